"""The study `widths`: which parametrizations learn features, and keep them rich, as width grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from meanfield import deep
from meanfield.deep.exponents import measurable
from meanfield.deep.parametrizations import PARAMETRIZATIONS
from meanfield.errors import DivergenceError
from meanfield.problem import Activation
from meanfield.statistics.estimate import Estimate, Note
from meanfield.studies.widths.config import WidthsConfig
from meanfield.studies.widths.report import WidthsHeadline, network_name, report
from meanfield.system.progress import Progress
from meanfield.workbench.config import named_activations
from meanfield.workbench.sections.data import describe_data, fingerprint
from meanfield.workbench.sections.deep_inputs import (
    Training,
    check_sizes,
    check_widths,
    constant_loss,
    load_inputs,
    scale_inputs,
    simulate_limit,
)
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

EARLY_STEPS = 6
"""Steps of the coordinate check: 0 to 5."""

# Standstill is noticed at saved steps.
_CHECKPOINTS = 20


def prepare(config: WidthsConfig) -> Plan:
    """Check the configuration; a unit is one network, or the limit for one activation."""
    network = config.network
    data = load_inputs(config, network.loss)
    X, y = data.X, data.y
    if network.unit_pixels:
        X = scale_inputs(X, np.sqrt(X.shape[1]))
    activations, schemes = network.networks
    own = named_activations(network.activations)
    training = Training(config, network.n_steps)
    common: dict[str, Any] = {"X": X, "y": y, "depth": network.depth, "tol": network.tol}
    common |= training.options()
    limit = config.limit.n_samples if config.limit.n_replicas and "mup" in schemes else 0
    check_sizes(config, "network", len(X), network.n_steps, network.depth, limit)
    check_widths(config, "network", network.widths, X.shape[1], network.depth, dtype=network.dtype)
    units = []
    for activation in activations:
        if config.limit.n_replicas and "mup" in schemes:
            arguments = {
                "common": common | {"activation": own[activation], "seed": config.seed},
                **config.limit.model_dump(),
            }
            key, label = f"{activation}-limit", f"{activation}, infinite width"
            work = config.limit.n_replicas * config.limit.n_samples
            units.append(Unit(key, train_limit, arguments, label, weight=work))
        seeds = range(config.seed, config.seed + network.n_seeds)
        for width, scheme, seed in product(sorted(set(network.widths)), schemes, seeds):
            arguments = {
                "common": common | {"activation": own[activation], "seed": seed},
                "scheme": scheme,
                "width": width,
                "dtype": network.dtype,
            }
            key = _key(activation, scheme, width, seed)
            label = f"{activation}, {scheme}, width {width}"
            units.append(Unit(key, train_network, arguments, label, weight=100 + width))
    facts: dict[str, Any] = {"input_check": deep.check_inputs(X).summary}
    facts |= {"n_inputs": X.shape[0], "n_features": X.shape[1], **training.attributes()}
    facts["constant_loss"] = constant_loss(y, network.loss, network.reduction)
    return Plan(
        units,
        lambda results: combine(config, facts, results),
        fingerprint(X, y),
        describe_data(config, data, scaled=network.unit_pixels),
    )


def _key(activation: str, scheme: str, width: int, seed: int) -> str:
    return f"{activation}-{scheme}-{width:06d}-{seed:03d}"


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
        unknown = {"feature_size": sizes, "loss": np.full(2, np.nan)}
        return {**dict.fromkeys(_LABELS, nothing), **unknown}
    return {name: values[0] for name, values in _measure(run).items()}


def train_limit(common: Mapping[str, Any], progress: Progress, **sampling: int) -> Arrays:
    """Simulate the infinite-width limit of µP; the leading axis counts replicas."""
    weight_variance, rate_scale = deep.experiment_scales("mup", common["X"].shape[1])
    limit = simulate_limit(
        **common,
        **sampling,
        weight_variance=weight_variance,
        rate_scale=rate_scale,
        save_at=_saved(common["n_steps"]),
        progress=progress,
    )
    return _measure(limit.replicas) | {"notes": np.array(limit.notes, dtype=str)}


def _early(n_steps: int) -> int:
    return min(EARLY_STEPS, n_steps + 1)


def _saved(n_steps: int) -> list[int]:
    late = np.linspace(0, n_steps, _CHECKPOINTS + 1).astype(int)
    return sorted({*range(_early(n_steps)), *late.tolist()})


def _measure(run: deep.DeepRun) -> Arrays:
    """Return the metrics of all networks of a run, layer by layer."""
    diversity = deep.feature_diversity(run.features)
    joint = deep.joint_diversity(run.features, run.initial_features)
    if run.input_rank < run.features.shape[-2]:  # h_1 = W_1 ξ has no more dimensions
        diversity[:, 0] = joint[:, 0] = 0.0
    return {
        "feature_change": run.feature_change[:, -1].mean(axis=-1),
        "feature_diversity": diversity,
        "joint_diversity": joint,
        "feature_size": run.feature_size[:, : _early(run.saved_steps[-1])],
        "loss": run.loss[:, [0, -1]],
    }


def combine(
    config: WidthsConfig, facts: Mapping[str, Any], results: Mapping[str, Arrays]
) -> Outcome:
    """Collect the networks, take means over seeds and fit exponents."""
    import xarray as xr

    network = config.network
    activations, schemes = network.networks
    axes: dict[str, list[Any]] = {
        "activation": activations,
        "scheme": schemes,
        "width": sorted(set(network.widths)),
        "seed": list(range(config.seed, config.seed + network.n_seeds)),
    }
    shape = [len(values) for values in axes.values()]
    limits = {a: results[f"{a}-limit"] for a in activations if f"{a}-limit" in results}
    variables: dict[str, Any] = {}
    for name, dims in _DIMENSIONS.items():
        stacked = [results[_key(*network)][name] for network in product(*axes.values())]
        variables[name] = ((*axes, *dims), np.reshape(stacked, (*shape, *stacked[0].shape)))
        if limits:
            values = np.array([limit[name] for limit in limits.values()])
            variables[f"limit_{name}"] = (("activation", "replica", *dims), values)
    notes = [f"{a}, infinite width: {note}" for a in limits for note in limits[a]["notes"]]
    attributes = network.model_dump(include={"depth", "n_steps"})
    attributes |= {"from_width": config.verdict.from_width, "source": config.data.source}
    coordinates = axes | {"layer": np.arange(1, network.depth + 1)}
    dataset = xr.Dataset(variables, coordinates, attributes | dict(facts))
    if notes:
        dataset.attrs["notes"] = notes
    _add_means(dataset)
    _add_activation_curves(dataset, named_activations(network.activations))
    return Outcome(dataset, _fit_exponents(dataset, config.seed).numbers())


_DIMENSIONS = {
    "feature_change": ("layer",),
    "feature_diversity": ("layer",),
    "joint_diversity": ("layer",),
    "feature_size": ("step", "size_layer"),
    "loss": ("end",),
}


def _add_means(dataset: Any) -> None:
    """Add means over seeds; networks that diverged are left out and counted."""
    diverged = np.isnan(dataset["loss"].values[..., 1])
    dataset["diverged"] = (("activation", "scheme", "width"), diverged.sum(axis=-1))
    for name in list(dataset.data_vars):
        over = "replica" if name.startswith("limit_") else "seed"
        dims = list(dataset[name].dims)
        if over in dims:
            means = deep.mean_over_networks(dataset[name].values, axis=dims.index(over))
            dims.remove(over)
            dataset[f"{name}_mean"] = means.to_xarray(dims)


def _add_activation_curves(dataset: Any, own: Mapping[str, Activation]) -> None:
    """Add ϕ and ϕ′ for the figure of the activations."""
    z = np.linspace(-6, 6, 481)
    entries = [own[name] for name in dataset["activation"].values]
    dataset.coords["z"] = z
    dataset["phi"] = (("activation", "z"), np.array([entry.value(z) for entry in entries]))
    slopes = np.array([entry.derivative(z) for entry in entries])
    dataset["phi_prime"] = (("activation", "z"), slopes)


def _fit_exponents(dataset: Any, seed: int) -> WidthsHeadline:
    """Fit the exponents in the width, and return the least over the layers."""
    widths = dataset["width"].values
    wide = widths >= dataset.attrs["from_width"]
    if wide.sum() < 2:
        return WidthsHeadline()
    dims = ("activation", "scheme", "layer")
    shape = [dataset.sizes[dim] for dim in dims]
    least: dict[str, dict[str, Estimate]] = {}
    for metric, label in _LABELS.items():
        least[metric], by_layer = {}, []
        for a, activation in enumerate(dataset["activation"].values):
            for s, scheme in enumerate(dataset["scheme"].values):
                values = dataset[metric].values[a, s][wide]  # (width, seed, layer)
                by_layer.append(deep.fit_width_exponents(widths[wide], values, seed=seed))
                layer, exponent = deep.fit_least_exponent(widths[wide], values, seed=seed)
                least[metric][network_name(activation, scheme)] = replace(
                    exponent,
                    notes=(_layer_note(layer, exponent, measurable(values)),),
                    label=f"Exponent of {label}, {activation}, {PARAMETRIZATIONS[scheme].title}",
                )
        exponents = Estimate.stack(by_layer, resampled="seeds").map(lambda p: p.reshape(shape))
        dataset[f"{metric}_exponent"] = exponents.to_xarray(dims)
    return WidthsHeadline(**least)


def _layer_note(layer: int, exponent: Estimate, part: np.ndarray) -> Note:
    """Say which layer decides, and which have nothing to measure."""
    absent = ", ".join(str(i + 1) for i in np.flatnonzero(~part))
    zero = f"not measurable in layer {absent}: zero at every width, up to rounding"
    if not part.any():
        return Note("layer", zero)
    if exponent.known:
        text = f"least over layers: layer {layer + 1}"
    else:
        text = f"not measurable in layer {layer + 1}: zero, or diverged, at some width"
    return Note("layer", f"{text}; {zero}" if absent else text)


_LABELS = {
    "feature_change": "feature change",
    "feature_diversity": "least eigenvalue",
    "joint_diversity": "joint least eigenvalue",
}


EXAMPLE: dict[str, Any] = {
    "study": "widths",
    "title": "Which parametrization learns rich features? Ten images of digits",
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

LATE = (
    "network.activations",
    "network.parametrizations",
    "network.widths",
    "network.n_seeds",
    "limit.n_replicas",
    "verdict.from_width",
)

STUDY = Study("widths", WidthsConfig, EXAMPLE, prepare, report, LATE)
