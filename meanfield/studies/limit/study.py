"""The study `limit`: infinitely wide networks by themselves, and how finite ones approach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from meanfield import checks, deep
from meanfield.errors import ConfigError
from meanfield.problem import get_activation
from meanfield.statistics.estimate import Estimate, Note
from meanfield.studies.limit.config import LimitConfig
from meanfield.studies.limit.joint import add_joint, joint_units
from meanfield.studies.limit.report import LimitHeadline, report
from meanfield.system.progress import Progress
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

# Networks of a unit have about this many units per layer in all.
_UNIT_NEURONS = 2**16


def prepare(config: LimitConfig) -> Plan:
    """Check the configuration; units are limits and groups of finite networks."""
    network, convergence = config.network, config.convergence
    loaded = load_inputs(config, network.loss)
    X, y, X_test = loaded.X, loaded.y, loaded.X_test
    if network.input_length is not None:
        X = scale_inputs(X, network.input_length)
        X_test = None if X_test is None else scale_inputs(X_test, network.input_length)
    activations = [get_activation(name) for name in network.activations]
    if len(convergence.widths) == 1:
        raise ConfigError("key 'convergence.widths' needs two widths or more, or none.")
    depth = max(network.depths, default=1)
    check_sizes(config, "network", len(X), network.n_steps, depth, config.limit.n_samples)
    if convergence.widths:
        steps, n_samples = convergence.n_steps, convergence.n_samples
        check_sizes(config, "convergence", len(X), steps, depth, n_samples)
        check_widths(config, "convergence", convergence.widths, X.shape[1], depth)
    others = [convergence.n_steps * bool(convergence.widths), config.joint.n_steps * (depth > 1)]
    training = Training(config, network.n_steps, max(others))
    common = {
        "X": X,
        "y": y,
        "X_test": X_test,
        "weight_variance": tuple(network.weight_variance),
        "batch_size": network.batch_size,
    }
    epoch = _epoch(config, len(X))
    late = {} if epoch == 1 else {"save_at": _saved(network.n_steps, epoch)}
    units = []
    for activation, depth in product(activations, network.depths):
        same = common | {"activation": activation, "depth": depth}
        key, label = f"{activation.name}-{depth}", f"{activation.name}, depth {depth}"
        arguments = {"common": same | training.options() | late, "seed": config.seed}
        arguments["sampling"] = config.limit.model_dump()
        work = network.n_steps * config.limit.n_replicas * config.limit.n_samples
        text = f"{label}, infinite width"
        units.append(Unit(f"{key}-limit", train_limit, arguments, text, weight=work))
        units += _comparison(config, same | training.options(convergence.n_steps), key, label)
        joint = same | training.options(config.joint.n_steps)
        units += joint_units(config.joint, joint, config.seed, key, label)
    facts = {
        **training.attributes(),
        "batch_size": network.batch_size or len(X),
        "epoch": epoch,
        "input_check": deep.check_inputs(X).summary,
        "goodness": [f"{own.name}: {deep.is_good(own).reason}" for own in activations],
        "input_rank": int(np.linalg.matrix_rank(X)),
        "constant_loss": constant_loss(y, network.loss, network.reduction),
        "n_inputs": X.shape[0],
        "n_features": X.shape[1],
    }
    return Plan(
        units,
        lambda results: combine(config, y, facts, results),
        fingerprint(X, y, X_test),
        describe_data(config, loaded, scaled=network.input_length is not None),
    )


def _epoch(config: LimitConfig, n_inputs: int) -> int:
    """Return the steps of an epoch, whose batches together hold the inputs."""
    batch_size = config.network.batch_size or n_inputs
    if batch_size > n_inputs:
        raise ConfigError(
            f"key 'network.batch_size' = {batch_size} exceeds the {n_inputs} training inputs; "
            "lower it."
        )
    if n_inputs // batch_size > config.network.n_steps:
        raise ConfigError("key 'network.n_steps' must be an epoch of batches or more; raise it.")
    return n_inputs // batch_size


def _saved(n_steps: int, epoch: int) -> list[int]:
    """Return the steps that are saved with batches: the first and last epochs, and some between."""
    ends = {*range(min(n_steps, max(10, epoch)) + 1), *range(n_steps - epoch, n_steps)}
    return sorted(ends | set(np.linspace(0, n_steps, 31).round().astype(int).tolist()))


def _comparison(config: LimitConfig, same: Mapping[str, Any], key: str, label: str) -> list[Unit]:
    """Return the units that measure the approach to the limit."""
    convergence = config.convergence
    if not convergence.widths:
        return []
    common = {**same, "X_test": None}
    sampling = convergence.model_dump(include={"n_samples", "n_replicas"})
    sampling |= config.limit.model_dump(include={"max_rank", "tol"})
    arguments: dict[str, Any] = {"common": common, "seed": config.seed, "sampling": sampling}
    work: float = convergence.n_steps * convergence.n_replicas * convergence.n_samples
    text = f"{label}, reference"
    units = [Unit(f"{key}-reference", train_limit, arguments, text, weight=work)]
    for width in sorted(set(convergence.widths)):
        first = config.seed
        for part, size in enumerate(group_sizes(width, convergence.networks_per_unit)):
            arguments = {"common": common, "width": width, "first_seed": first, "n_networks": size}
            place, text = f"{key}-{width:06d}-{part:03d}", f"{label}, width {width}"
            work = convergence.n_steps * size * width**2 / 100
            units.append(Unit(place, train_networks, arguments, text, weight=work))
            first += size
    return units


def group_sizes(width: int, networks_per_unit: float) -> list[int]:
    """Split the networks of a width into groups that one unit trains."""
    total = max(1, round(networks_per_unit * width))
    size = max(1, _UNIT_NEURONS // width)
    if total / size > checks.MOST_LISTED:
        raise ConfigError(
            f"key 'convergence.networks_per_unit' = {networks_per_unit:g} asks for {total:.3g} "
            f"networks of width {width}, more than {checks.MOST_LISTED * size}; lower it."
        )
    return [min(size, total - first) for first in range(0, total, size)]


def train_limit(
    common: Mapping[str, Any], seed: int, sampling: Mapping[str, Any], progress: Progress
) -> Arrays:
    """Simulate the limit; the leading axis of the arrays counts replicas."""
    limit = simulate_limit(**common, **sampling, seed=seed, progress=progress)
    run = limit.replicas
    return {
        "predictions": run.predictions,
        "predictions_test": run.predictions_test,
        "error_signals": run.error_signals,
        "saved_steps": run.saved_steps,
        "feature_change": run.feature_change.mean(axis=-1),
        "least_h": deep.without_rounding(run.least_eigenvalue_h, run.kernel_h),
        "least_x": deep.without_rounding(run.least_eigenvalue_x, run.kernel_x),
        "kernel_h": run.kernel_h[:, -1],
        "kernel_x": run.kernel_x[:, -1],
        "weight_change": run.weight_change,
        "sharpness": run.sharpness,
        "loss": run.loss[:, [0, -1]],
        "notes": np.array(limit.notes, dtype=str),
    }


def train_networks(
    common: Mapping[str, Any], width: int, first_seed: int, n_networks: int
) -> Arrays:
    """Train networks of one width; return their predictions and their last kernels."""
    run = deep.train(
        **common,
        width=width,
        parametrization="mup",
        seed=first_seed,
        n_replicas=n_networks,
        engine="dense",
        dtype="float32",
        save_at=[],
    )
    return {"predictions": run.predictions, "kernel_x": run.kernel_x[:, -1]}


def combine(
    config: LimitConfig,
    targets: np.ndarray,
    facts: Mapping[str, Any],
    results: Mapping[str, Arrays],
) -> Outcome:
    """Average the replicas, follow Theorem 4.5 and Corollary 4.6, and fit the approach."""
    import xarray as xr

    network = config.network
    names = [get_activation(name).name for name in network.activations]
    cases = [f"{name}-{depth}" for name in names for depth in network.depths]
    layers = max(network.depths)
    variables: dict[str, Any] = {}
    for key, dims in _CURVES.items():
        stacked = [_padded(results[f"{case}-limit"][key], key, layers) for case in cases]
        means = Estimate.mean(np.stack(stacked, axis=1), resampled="replicas")
        several = ("output",) if stacked[0].ndim > len(dims) + 1 else ()
        variables[key] = means.to_xarray(("case", *dims, *several))
    if network.loss != "cross-entropy":
        variables["target"] = (("input", "output")[: targets.ndim], targets)
    notes = [f"{case}: {note}" for case in cases for note in results[f"{case}-limit"]["notes"]]
    coordinates = {
        "case": cases,
        "activation": ("case", [name for name in names for _ in network.depths]),
        "depth": ("case", [depth for _ in names for depth in network.depths]),
        "step": np.arange(network.n_steps + 1),
        "saved_step": results[f"{cases[0]}-limit"]["saved_steps"],
        "layer": np.arange(1, layers + 1),
    }
    attributes: dict[str, Any] = config.limit.model_dump(include={"n_samples", "n_replicas"})
    attributes |= {"source": config.data.source, **facts}
    dataset = xr.Dataset(variables, coordinates, attributes)
    if notes:
        dataset.attrs["notes"] = notes
    found = LimitHeadline()
    add_joint(dataset, config.joint, cases, results, facts["n_inputs"])
    for case in cases:
        _add_end(found, dataset, case)
    if config.convergence.widths:
        _add_convergence(found, dataset, config, cases, results)
    return Outcome(dataset, found.numbers())


_CURVES = {
    "predictions": ("step", "input"),
    "predictions_test": ("step", "test_input"),
    "feature_change": ("saved_step", "layer"),
    "least_h": ("saved_step", "layer"),
    "least_x": ("saved_step", "layer"),
    "kernel_h": ("layer", "input", "other_input"),
    "kernel_x": ("layer", "input", "other_input"),
    "error_signals": ("step", "input"),
    "weight_change": ("saved_step", "weight_layer"),
    "sharpness": ("saved_step",),
    "loss": ("end",),
}


def _padded(values: np.ndarray, key: str, layers: int) -> np.ndarray:
    """Fill the layers that a shallower network does not have with NaN."""
    dims = ("replica", *_CURVES[key])
    wanted = {"layer": layers, "weight_layer": layers + 1}
    pad = [(0, wanted.get(dim, n) - n) for dim, n in zip(dims, values.shape, strict=False)]
    pad += [(0, 0)] * (values.ndim - len(dims))
    return np.pad(values, pad, constant_values=np.nan) if np.any(pad) else values


def _add_end(found: LimitHeadline, dataset: Any, case: str) -> None:
    """Add what Theorem 4.5 and Corollary 4.6 speak of."""
    at = dataset.sel(case=case)
    signals = np.abs(Estimate.from_xarray(at["error_signals"]).value)
    signals = signals.reshape(len(signals), -1).max(axis=1)
    found.error_signal[case] = Estimate(
        signals[-1],
        notes=(Note("start", f"{signals[0]:.3g} at the start"),),
        label=f"Largest error signal at the end, {case}",
    )
    found.last_move[case] = Estimate(
        deep.relative_last_step(
            Estimate.from_xarray(at["weight_change"]).value,
            dataset.attrs["epoch"] + (dataset.attrs["epoch"] > 1),
        ),
        label=f"Largest size of the last step, relative to the first, over layers, {case}",
    )
    deficient = dataset.attrs["input_rank"] < dataset.attrs["n_inputs"]
    candidates = []
    for feature in ("h", "x"):
        skip = 1 if feature == "h" and deficient else 0
        values = Estimate.from_xarray(at[f"least_{feature}"])[:, skip:]
        if values.known:
            least, step, layer = deep.least_over_training(values)
            where = f"{feature}_{layer + skip + 1} at step {int(dataset['saved_step'][step])}"
            candidates.append((least, where))
    if candidates:
        least, where = min(candidates, key=lambda one: one[0].value)
        if least.value == 0:
            where += ": the features are linearly dependent, up to rounding"
        found.least_eigenvalue[case] = replace(
            least,
            notes=(Note("where", where),),
            label=f"Least eigenvalue of the features over layers and steps, {case}",
        )


def _add_convergence(
    found: LimitHeadline,
    dataset: Any,
    config: LimitConfig,
    cases: list[str],
    results: Mapping[str, Arrays],
) -> None:
    """Compare finite networks with the limit; add what separates them, against the width."""
    widths = sorted(set(config.convergence.widths))
    approaches: list[deep.WidthConvergence] = []
    aligned: list[deep.KernelConvergence] = []
    for case in cases:
        reference = results[f"{case}-reference"]["predictions"]
        error = reference.std(axis=0, ddof=1) / np.sqrt(len(reference))
        networks, kernels = {}, {}
        for width in widths:
            parts = range(len(group_sizes(width, config.convergence.networks_per_unit)))
            keys = [f"{case}-{width:06d}-{part:03d}" for part in parts]
            networks[width] = np.concatenate([results[key]["predictions"] for key in keys])
            kernels[width] = np.concatenate([results[key]["kernel_x"] for key in keys])
        try:
            approach = deep.width_convergence(reference.mean(axis=0), networks, error)
        except ValueError as problem:
            raise ConfigError(f"[convergence]: {problem}") from None
        approaches.append(approach)
        limit = results[f"{case}-reference"]["kernel_x"].mean(axis=0)
        aligned.append(deep.kernel_convergence(limit, kernels))
    dataset.coords["width"] = widths
    _add_alignment(found, dataset, cases, aligned)
    for name in ("bias", "spread", "gap"):
        curves = [getattr(approach, name) for approach in approaches]
        dataset[name] = Estimate.stack(curves).to_xarray(("case", "width"))
        exponents, constants = (getattr(found, f"{name}_{of}") for of in ("exponent", "constant"))
        for case, approach in zip(cases, approaches, strict=True):
            label = f"Exponent of the {name} in the width, {case}"
            exponents[case] = replace(getattr(approach, f"{name}_fit").slope, label=label)
            constant = getattr(approach, f"{name}_constant")
            if constant.known:
                constants[case] = replace(constant, label=f"{constant.label}, {case}")


def _add_alignment(
    found: LimitHeadline, dataset: Any, cases: list[str], aligned: list[deep.KernelConvergence]
) -> None:
    """Add how well kernels align with those of the limit, layer by layer."""
    with_all_layers = partial(_with_layers, layers=dataset.sizes["layer"])
    for name, key in (("alignment", "alignment"), ("scaled", "misalignment_times_width")):
        curves = [getattr(one, name).map(with_all_layers) for one in aligned]
        dataset[key] = Estimate.stack(curves).to_xarray(("case", "width", "layer"))
    for case, one in zip(cases, aligned, strict=True):
        slopes = [fit.slope for fit in one.fits]
        layer = int(np.argmax(np.where([s.known for s in slopes], one.scaled.value[-1], -np.inf)))
        found.alignment_exponent[case] = replace(
            slopes[layer],
            label=f"Exponent of 1 − alignment with the limit's kernel in the width, {case}",
            notes=(*slopes[layer].notes, Note("layer", f"layer {layer + 1}, the least aligned")),
        )


def _with_layers(values: np.ndarray, layers: int) -> np.ndarray:
    """Fill the layers that a shallower network does not have with NaN, the last axis."""
    missing = layers - values.shape[-1]
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)], constant_values=np.nan)


EXAMPLE: dict[str, Any] = {
    "study": "limit",
    "title": "The infinite-width limit of networks with two and three hidden layers",
    "data": {
        "source": "single-index",
        "n_features": 10,
        "n_train": 6,
        "n_test": 4,
        "labels": "sign",
    },
    "network": {"activations": ["tanh"], "n_steps": 300},
    "limit": {"n_samples": 1024},
    "convergence": {"widths": [16, 32, 64], "n_steps": 20, "n_samples": 4096, "n_replicas": 4},
}

LATE = (
    "network.activations",
    "network.depths",
    "convergence.widths",
    "convergence.networks_per_unit",
)

STUDY = Study("limit", LimitConfig, EXAMPLE, prepare, report, LATE)
