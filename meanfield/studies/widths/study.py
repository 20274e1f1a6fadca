"""The study `widths`: which parametrizations learn features, and keep them rich, as width grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from meanfield import deep
from meanfield.deep.parametrizations import PARAMETRIZATIONS
from meanfield.errors import DivergenceError
from meanfield.problem import ACTIVATIONS, get_activation
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.intervals import mean_factor
from meanfield.studies.widths.report import report
from meanfield.workbench.config import (
    ActivationName,
    Count,
    Positive,
    PowerOfTwo,
    Section,
    Step,
    accepted_by,
)
from meanfield.workbench.sections.data import DataConfig, fingerprint
from meanfield.workbench.sections.deep_inputs import load_inputs, scale_inputs, simulate_limit
from meanfield.workbench.study import Arrays, Context, Outcome, Plan, Study, Unit

EARLY_STEPS = 6
"""Steps of the coordinate check: 0 to 5."""

# Standstill is noticed at saved steps.
_CHECKPOINTS = 20
_METRICS = ("feature_change", "feature_diversity", "joint_diversity")


class NetworkSection(Section):
    """The networks and their training."""

    activations: list[ActivationName] = Field(
        ["silu", "tanh", "relu"], description=f"Activations: {', '.join(ACTIVATIONS)}."
    )
    parametrizations: list[Annotated[str, accepted_by(deep.get_parametrization)]] = Field(
        list(PARAMETRIZATIONS), description="Among sp, ntp, ip and mup."
    )
    widths: list[Count] = Field(
        [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096], description="Units per hidden layer."
    )
    depth: Count = Field(3, description="Hidden layers.")
    n_seeds: Count = Field(10, description="Networks of each kind, with seeds seed, seed + 1, ...")
    step_size: Positive = Field(0.1, description="Base learning rate.")
    n_steps: Count = Field(1000, description="Gradient steps.")
    reduction: Literal["mean", "sum"] = Field(
        "mean", description="Whether the loss is the mean or the sum over the inputs."
    )
    unit_pixels: bool = Field(
        True, description="Scale every input to length √d, so that its entries have size one."
    )
    dtype: Literal["float64", "float32"] = Field("float64", description="Precision.")
    tol: Positive = Field(
        1e-3,
        description="Wide networks follow only the directions that training meets, up to this "
        "relative size; the errors in the outputs that were measured are below it.",
    )


class LimitSection(Section):
    """The infinite-width limit of µP that is drawn beside the networks."""

    n_samples: PowerOfTwo = Field(
        4096, description="Samples of every random variable, a power of two."
    )
    n_replicas: Step = Field(4, description="Independent simulations; 0 leaves the limit out.")
    max_rank: Count = Field(1024, description="Most directions kept per matrix and side.")


class VerdictSection(Section):
    """The rule behind the verdicts."""

    from_width: Count = Field(
        64, description="Exponents are fitted from this width on; the least is over layers."
    )


class WidthsConfig(DataConfig):
    """Configuration of the study `widths`."""

    network: NetworkSection = Field(default_factory=NetworkSection)
    limit: LimitSection = Field(default_factory=LimitSection)
    verdict: VerdictSection = Field(default_factory=VerdictSection)


def prepare(config: WidthsConfig) -> Plan:
    """Check the configuration; a unit is one network, or the limit for one activation."""
    network = config.network
    X, y, _ = load_inputs(config)
    if network.unit_pixels:
        X = scale_inputs(X, np.sqrt(X.shape[1]))
    activations, schemes = _names(network)
    common = {
        "X": X,
        "y": y,
        "depth": network.depth,
        "step_size": network.step_size,
        "n_steps": network.n_steps,
        "reduction": network.reduction,
        "tol": network.tol,
    }
    units = []
    for activation in activations:
        if config.limit.n_replicas and "mup" in schemes:
            arguments = {
                "common": common | {"activation": activation, "seed": config.seed},
                **config.limit.model_dump(),
            }
            label = f"{activation}, infinite width"
            work = config.limit.n_replicas * config.limit.n_samples
            units.append(
                Unit(
                    f"{activation}-limit", train_limit, arguments, label, weight=work, context=True
                )
            )
        for width in sorted(set(network.widths)):
            for scheme in schemes:
                for seed in range(config.seed, config.seed + network.n_seeds):
                    arguments = {
                        "common": common | {"activation": activation, "seed": seed},
                        "scheme": scheme,
                        "width": width,
                        "dtype": network.dtype,
                    }
                    key = f"{activation}-{scheme}-{width:06d}-{seed:03d}"
                    label = f"{activation}, {scheme}, width {width}"
                    units.append(Unit(key, train_network, arguments, label, weight=100 + width))
    facts = {"input_check": deep.check_inputs(X).summary, "shape": X.shape}
    return Plan(units, lambda results: combine(config, facts, results), fingerprint(X, y))


def train_network(common: Mapping[str, Any], scheme: str, width: int, dtype: str) -> Arrays:
    """Train one network and measure its features; NaN when it diverged."""
    weight_variance, rate_scale = deep.experiment_scales(scheme, common["X"].shape[1])
    try:
        run = deep.train(
            **common,
            width=width,
            parametrization=scheme,
            weight_variance=weight_variance,
            rate_scale=rate_scale,
            dtype=dtype,
            save_at=_saved(common["n_steps"]),
        )
    except DivergenceError:
        nothing = np.full(common["depth"], np.nan)
        sizes = np.full((_early(common["n_steps"]), common["depth"] + 1), np.nan)
        return {
            **dict.fromkeys(_METRICS, nothing),
            "feature_size": sizes,
            "loss": np.full(2, np.nan),
        }
    return {name: values[0] for name, values in _measure(run).items()}


def train_limit(
    common: Mapping[str, Any], n_samples: int, n_replicas: int, max_rank: int, context: Context
) -> Arrays:
    """Simulate the infinite-width limit of µP; the leading axis counts replicas."""
    weight_variance, rate_scale = deep.experiment_scales("mup", common["X"].shape[1])
    limit = simulate_limit(
        **common,
        n_samples=n_samples,
        n_replicas=n_replicas,
        max_rank=max_rank,
        weight_variance=weight_variance,
        rate_scale=rate_scale,
        save_at=_saved(common["n_steps"]),
        progress=context.progress,
    )
    return _measure(limit.replicas) | {"notes": np.array(limit.notes, dtype=str)}


def _early(n_steps: int) -> int:
    return min(EARLY_STEPS, n_steps + 1)


def _saved(n_steps: int) -> list[int]:
    late = np.linspace(0, n_steps, _CHECKPOINTS + 1).astype(int)
    return sorted({*range(_early(n_steps)), *late.tolist()})


def _measure(run: deep.DeepRun) -> Arrays:
    """Return the metrics of all networks of a run, layer by layer."""
    return {
        "feature_change": run.feature_change[:, -1].mean(axis=-1),
        "feature_diversity": deep.feature_diversity(run.features),
        "joint_diversity": deep.joint_diversity(run.features, run.initial_features),
        "feature_size": run.feature_size[:, : _early(run.saved_steps[-1])],
        "loss": run.loss[:, [0, -1]],
    }


def _names(network: NetworkSection) -> tuple[list[str], list[str]]:
    """Return activations and parametrisations by their names, each once."""
    activations = dict.fromkeys(get_activation(name).name for name in network.activations)
    schemes = dict.fromkeys(
        deep.get_parametrization(name).name for name in network.parametrizations
    )
    return list(activations), list(schemes)


def combine(
    config: WidthsConfig, facts: Mapping[str, Any], results: Mapping[str, Arrays]
) -> Outcome:
    """Collect the networks, take means over seeds and fit exponents."""
    import xarray as xr

    network = config.network
    activations, schemes = _names(network)
    axes = {
        "activation": activations,
        "scheme": schemes,
        "width": sorted(set(network.widths)),
        "seed": list(range(config.seed, config.seed + network.n_seeds)),
    }
    variables = {}
    for name, dims in _DIMENSIONS.items():
        stacked = [
            results[f"{a}-{s}-{w:06d}-{seed:03d}"][name]
            for a in axes["activation"]
            for s in axes["scheme"]
            for w in axes["width"]
            for seed in axes["seed"]
        ]
        shape = [len(values) for values in axes.values()]
        variables[name] = ((*axes, *dims), np.reshape(stacked, (*shape, *stacked[0].shape)))
        if f"{axes['activation'][0]}-limit" in results:
            limit = [results[f"{a}-limit"][name] for a in axes["activation"]]
            variables[f"limit_{name}"] = (("activation", "replica", *dims), np.array(limit))
    notes = [
        f"{name}, infinite width: {note}"
        for name in axes["activation"]
        if f"{name}-limit" in results
        for note in results[f"{name}-limit"]["notes"]
    ]
    dataset = xr.Dataset(
        variables,
        coords=axes | {"layer": np.arange(1, network.depth + 1)},
        attrs={
            "depth": network.depth,
            "step_size": network.step_size,
            "n_steps": network.n_steps,
            "reduction": network.reduction,
            "from_width": config.verdict.from_width,
            "input_check": facts["input_check"],
            "n_inputs": facts["shape"][0],
            "n_features": facts["shape"][1],
            "source": config.data.source,
        },
    )
    if notes:
        dataset.attrs["notes"] = notes
    _add_means(dataset)
    _add_activation_curves(dataset)
    return Outcome(dataset, _fit_exponents(dataset, config.seed))


_DIMENSIONS = {
    "feature_change": ("layer",),
    "feature_diversity": ("layer",),
    "joint_diversity": ("layer",),
    "feature_size": ("step", "size_layer"),
    "loss": ("end",),
}


def _add_means(dataset: Any) -> None:
    """Add means over seeds with 95 % intervals; networks that diverged are left out and counted."""
    diverged = np.isnan(dataset["loss"].values[..., 1])
    dataset["diverged"] = (("activation", "scheme", "width"), diverged.sum(axis=-1))
    names = [name for name in dataset.data_vars if name.removeprefix("limit_") in _DIMENSIONS]
    for name in names:
        over = "replica" if name.startswith("limit_") else "seed"
        values, dims = dataset[name].values, dataset[name].dims
        mean, factor = _finite_mean(np.moveaxis(values, dims.index(over), 0))
        rest = tuple(dim for dim in dims if dim != over)
        for part, what in (("mean", mean), ("low", mean / factor), ("high", mean * factor)):
            dataset[f"{name}_{part}"] = (rest, what)


def _finite_mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and interval factor over the first axis, of the entries that are numbers."""
    flat = values.reshape(len(values), -1)
    mean, factor = np.full(flat.shape[1], np.nan), np.full(flat.shape[1], np.nan)
    for column in range(flat.shape[1]):
        alive = flat[np.isfinite(flat[:, column]), column]
        if alive.any():
            mean[column], factor[column] = mean_factor(alive, axis=0)
        elif len(alive):
            mean[column] = 0.0
    return mean.reshape(values.shape[1:]), factor.reshape(values.shape[1:])


def _add_activation_curves(dataset: Any) -> None:
    """Add ϕ and ϕ′ for the figure of the activations."""
    z = np.linspace(-6, 6, 481)
    entries = [get_activation(name) for name in dataset["activation"].values]
    dataset.coords["z"] = z
    dataset["phi"] = (("activation", "z"), np.array([entry.value(z) for entry in entries]))
    slopes = np.array([entry.derivative(z) for entry in entries])
    dataset["phi_prime"] = (("activation", "z"), slopes)


def _fit_exponents(dataset: Any, seed: int) -> dict[str, Estimate]:
    """Fit the exponents in the width, and report the least over the layers."""
    widths = dataset["width"].values
    wide = widths >= dataset.attrs["from_width"]
    numbers: dict[str, Estimate] = {}
    if wide.sum() < 2:
        return numbers
    for metric, label in _LABELS.items():
        exponents = np.full([dataset.sizes[d] for d in ("activation", "scheme", "layer")], np.nan)
        for a, activation in enumerate(dataset["activation"].values):
            for s, scheme in enumerate(dataset["scheme"].values):
                values = dataset[metric].values[a, s][wide]  # (width, seed, layer)
                fitted = deep.fit_width_exponents(widths[wide], values, seed=seed)
                exponents[a, s] = fitted.value
                layer, least = deep.fit_least_exponent(widths[wide], values, seed=seed)
                title = PARAMETRIZATIONS[scheme].title
                numbers[f"{activation}_{scheme}_{metric}"] = replace(
                    least,
                    notes=(*least.notes, Note("layer", f"least over layers: layer {layer + 1}")),
                    label=f"Exponent of {label}, {activation}, {title}",
                )
        dataset[f"{metric}_exponent"] = (("activation", "scheme", "layer"), exponents)
    return numbers


_LABELS = {
    "feature_change": "feature change",
    "feature_diversity": "least eigenvalue",
    "joint_diversity": "joint least eigenvalue",
}


EXAMPLE: dict[str, Any] = {
    "study": "widths",
    "title": "Which parametrization learns rich features? Ten handwritten digits",
    "seed": 42,
    "data": {
        "source": "digits",
        "classes": [0, 1],
        "standardize": "none",
        "test_fraction": 0.0,
        "n_samples": 10,
    },
    "network": {"widths": [16, 32, 64, 128, 256], "n_seeds": 4, "n_steps": 300},
    "limit": {"n_samples": 1024, "n_replicas": 3},
}

STUDY = Study("widths", WidthsConfig, EXAMPLE, prepare, report)
