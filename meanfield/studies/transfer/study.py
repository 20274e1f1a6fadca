"""The study `transfer`: whether the best learning rate of narrow networks is that of wide ones.

Its headline numbers, for every parametrization and optimizer such as ``mup_sgd``: ``…_drift``, the
exponent of the best rate in the width (0: it transfers), ``…_movement``, the factor by which it
moves from the least width to the largest, and ``…_best_rate`` at the largest; `mf.deep.rate_drift`
fits them. Found in ``results/transfer`` (tanh, three hidden layers): under µP the best rate moves
by a factor of 0.99 [0.92, 1.06] from width 64 to 4096 with SGD, and of 0.93 [0.85, 1.02] from 64 to
1024 with Adam; under SP it falls like n^−0.92 and n^−1.47.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from meanfield import deep
from meanfield.deep.descent import without_advice
from meanfield.deep.parametrizations import PARAMETRIZATIONS
from meanfield.errors import ConfigError, DivergenceError
from meanfield.statistics.estimate import Estimate, Note
from meanfield.studies.transfer.config import TransferConfig
from meanfield.studies.transfer.report import TransferHeadline, kind_name, report
from meanfield.workbench.sections.data import describe_data, fingerprint
from meanfield.workbench.sections.deep_inputs import (
    check_sizes,
    check_widths,
    constant_loss,
    load_inputs,
    scale_inputs,
)
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

CHECKED_STEPS = 5
"""Steps of the coordinate check."""


def prepare(config: TransferConfig) -> Plan:
    """Check the configuration; a unit is one network, trained at many rates."""
    network, rates = config.network, config.rates
    data = load_inputs(config, network.loss)
    X, y = data.X, data.y
    if network.unit_pixels:
        X = scale_inputs(X, np.sqrt(X.shape[1]))
    for optimizer in network.optimizers:
        if len(network.widths_of(optimizer)) < 2:
            raise ConfigError(
                f"key 'network.widths' leaves fewer than two widths to {optimizer}; give two or "
                f"more{', up to network.widest_adam' if optimizer == 'adam' else ''}."
            )
    check_sizes(config, "network", len(X), network.n_steps, network.depth)
    check_widths(config, "network", network.widths, X.shape[1], network.depth, network.dtype)
    common: dict[str, Any] = {"X": X, "y": y, "activation": network.own_activation}
    same = {"depth", "loss", "n_steps", "reduction", "dtype", "tol"}
    common |= network.model_dump(include=same)
    grid = rates.model_dump(include={"factor", "beyond", "most"})
    units = []
    for optimizer, scheme in product(dict.fromkeys(network.optimizers), network.schemes):
        widths = network.widths_of(optimizer)
        for width, seed in product(widths, _seeds(config)):
            arguments = {
                "common": common | {"seed": seed},
                "grid": grid | {"anchor": _anchor(config, optimizer)},
                "kind": {"optimizer": optimizer, "parametrization": scheme, "width": width},
            }
            label = f"{scheme}, {optimizer}, width {width}"
            needs = {}
            if width != widths[0]:
                needs["narrow"] = _key(optimizer, scheme, widths[0], seed)
            weight = 100 + width * (width / 16 if optimizer == "adam" else 1)
            key = _key(optimizer, scheme, width, seed)
            units.append(Unit(key, search, arguments, label, needs, weight))
    facts: dict[str, Any] = {"n_inputs": X.shape[0], "n_features": X.shape[1]}
    facts["constant_loss"] = constant_loss(y, network.loss, network.reduction)
    return Plan(
        units,
        lambda results: combine(config, facts, results),
        fingerprint(X, y),
        describe_data(config, data, scaled=network.unit_pixels),
    )


def _seeds(config: TransferConfig) -> range:
    return range(config.seed, config.seed + config.network.n_seeds)


def _anchor(config: TransferConfig, optimizer: str) -> float:
    return config.rates.adam_start if optimizer == "adam" else config.rates.start


def _key(optimizer: str, scheme: str, width: int, seed: int) -> str:
    return f"{optimizer}-{scheme}-{width:06d}-{seed:03d}"


def search(
    common: Mapping[str, Any],
    grid: Mapping[str, Any],
    kind: Mapping[str, Any],
    narrow: Arrays | None = None,
) -> Arrays:
    """Find the best base rate of a network, from the best of the narrowest one outwards."""
    weight_variance, rate_scale = deep.experiment_scales(
        kind["parametrization"], common["X"].shape[1]
    )
    settings = {**common, "weight_variance": weight_variance, "rate_scale": rate_scale}
    anchor, factor = grid["anchor"], grid["factor"]
    place = 0
    if narrow is not None and np.isfinite(narrow["best"]):
        place = int(np.rint(np.log(narrow["best"] / anchor) / np.log(factor)))
    start = anchor * factor**place
    walk = {"factor": factor, "beyond": grid["beyond"], "most": grid["most"]}
    curve = deep.rate_curve(**settings, **kind, **walk, start=start)
    places = place + np.rint(np.log(curve.rates / start) / np.log(factor)).astype(np.int64)
    return {
        "places": places,
        "losses": curve.losses,
        "best": np.float64(curve.best),
        "lent": np.array([start, curve.losses[places == place][0]]),
        "feature_size": _early_sizes(settings, kind, start),
    }


def _early_sizes(settings: Mapping[str, Any], kind: Mapping[str, Any], rate: float) -> np.ndarray:
    """Return the mean size of each layer's features, and of the output, over the first steps."""
    steps = min(CHECKED_STEPS, settings["n_steps"])
    step_size = deep.base_step_size(kind["parametrization"], rate, kind["width"], kind["optimizer"])
    arguments = {**settings, **kind, "n_steps": steps, "save_at": range(steps + 1)}
    try:
        with without_advice():
            run = deep.train(**arguments, step_size=step_size)
    except DivergenceError:
        return np.full((steps + 1, settings["depth"] + 1), np.inf)
    return run.feature_size[0]


def combine(
    config: TransferConfig, facts: Mapping[str, Any], results: Mapping[str, Arrays]
) -> Outcome:
    """Put all curves on one grid, and fit how the best rates move."""
    import xarray as xr

    network = config.network
    optimizers = list(dict.fromkeys(network.optimizers))
    axes: dict[str, list[Any]] = {
        "optimizer": optimizers,
        "scheme": network.schemes,
        "width": sorted({n for o in optimizers for n in network.widths_of(o)}),
        "seed": list(_seeds(config)),
    }
    places = [found["places"] for found in results.values()]
    first, last = min(p.min() for p in places), max(p.max() for p in places)
    grid = np.arange(first, last + 1)
    shape = [len(values) for values in axes.values()]
    steps = min(CHECKED_STEPS, network.n_steps) + 1
    losses = np.full((*shape, len(grid)), np.nan)
    best, lent = np.full(shape, np.nan), np.full((*shape, 2), np.nan)
    sizes = np.full((*shape, steps, network.depth + 1), np.nan)
    for index in np.ndindex(*shape):
        names = [values[i] for values, i in zip(axes.values(), index, strict=True)]
        found = results.get(_key(*names))
        if found is None:  # a width that is too large for Adam
            continue
        losses[index][found["places"] - first] = found["losses"]
        best[index], lent[index] = found["best"], found["lent"]
        sizes[index] = found["feature_size"]
    dims = tuple(axes)
    factor = config.rates.factor
    rates = np.array([_anchor(config, optimizer) * factor**grid for optimizer in optimizers])
    dataset = xr.Dataset(
        {
            "loss": ((*dims, "rate_place"), losses),
            "rate": (("optimizer", "rate_place"), rates),
            "best_rate": (dims, best),
            "lent_rate": (dims, lent[..., 0]),
            "lent_loss": (dims, lent[..., 1]),
            "feature_size": ((*dims, "step", "size_layer"), sizes),
        },
        axes | {"rate_place": grid},
        network.model_dump(include={"depth", "loss", "n_steps", "reduction"})
        | {"activation": network.own_activation.name, "source": config.data.source}
        | dict(facts),
    )
    return Outcome(dataset, _fit(dataset, config.seed).numbers())


def _fit(dataset: Any, seed: int) -> TransferHeadline:
    """Fit the drift of every kind of network, and the exponents of its coordinate check."""
    found = TransferHeadline()
    dims = ("optimizer", "scheme", "width")
    shape = [dataset.sizes[dim] for dim in dims]
    nothing = Estimate(np.nan)
    curves = np.full(shape, nothing, dtype=object)
    checks = []
    for o, optimizer in enumerate(dataset["optimizer"].values):
        for s, scheme in enumerate(dataset["scheme"].values):
            losses = dataset["loss"].values[o, s]
            sizes = dataset["feature_size"].values[o, s][:, :, -1]
            tried = ~np.isnan(dataset["lent_rate"].values[o, s]).all(axis=1)
            widths = dataset["width"].values[tried]
            drift = deep.rate_drift(widths, dataset["rate"].values[o], losses[tried])
            curves[o, s, tried] = [drift.best[i] for i in range(len(widths))]
            checks.append(deep.fit_width_exponents(widths, sizes[tried], seed=seed))
            name = kind_name(str(scheme), str(optimizer))
            title = f"{PARAMETRIZATIONS[scheme].title}, {optimizer}"
            notes = [] if drift.exponent.known else [_lost(widths, drift.best.value)]
            found.drift[name] = replace(
                drift.exponent,
                expected=0.0 if scheme == "mup" else None,
                label=f"Exponent of the best rate in the width, {title}",
                notes=tuple(notes),
            )
            found.movement[name] = replace(
                drift.movement,
                label=f"Factor by which the best rate moves from width {widths[0]} to "
                f"{widths[-1]}, {title}",
            )
            found.widest[name] = replace(
                drift.best[-1], label=f"Best base rate at width {widths[-1]}, {title}"
            )
    best_means = Estimate.stack(list(curves.reshape(-1)), resampled="networks")
    dataset["best_rate_mean"] = best_means.map(lambda p: p.reshape(shape)).to_xarray(dims)
    exponents = Estimate.stack(checks, resampled="seeds")
    dataset["size_exponent"] = exponents.map(
        lambda p: p.reshape(*shape[:2], dataset.sizes["size_layer"])
    ).to_xarray((*dims[:2], "size_layer"))
    return found


def _lost(widths: np.ndarray, best: np.ndarray) -> Note:
    width = widths[np.isnan(best)][0]
    text = f"at width {width} not all networks were tried where the mean loss is least"
    return Note("open", f"{text}: raise rates.beyond and rates.most")


EXAMPLE: dict[str, Any] = {
    "study": "transfer",
    "title": "Does the best learning rate transfer? Ten images of digits",
    "data": {
        "source": "digits",
        "classes": [0, 1],
        "standardize": "none",
        "test_fraction": 0.0,
        "n_samples": 10,
    },
    "network": {"widths": [32, 64, 128, 256], "optimizers": ["sgd", "adam"]},
}

STUDY = Study("transfer", TransferConfig, EXAMPLE, prepare, report)
