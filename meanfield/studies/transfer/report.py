"""What the study `transfer` found, in plain words, with verdicts by a stated rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from meanfield.deep.parametrizations import PARAMETRIZATIONS
from meanfield.deep.transfer import MOVED, stays
from meanfield.statistics.estimate import Estimate
from meanfield.studies.transfer import figures
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Table, Text
from meanfield.workbench.headline import Headline, Summary, family
from meanfield.workbench.report.formatting import format_number, format_short

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class TransferHeadline(Headline):
    """How the best base rate moves with the width, by `kind_name`."""

    drift: dict[str, Estimate] = family("{}_drift")  # its exponent in the width
    movement: dict[str, Estimate] = family("{}_movement")  # the factor over all widths
    widest: dict[str, Estimate] = family("{}_best_rate")  # the rate at the largest width


FLAT = 0.25
"""The coordinate check holds when the exponents of all sizes are within this of 0."""

_SHORT = {"sp": "SP", "ntp": "NTP", "ip": "IP", "mup": "µP"}
_ANSWERS = {True: "yes", False: "no", None: "not decided"}


def kind_name(scheme: str, optimizer: str) -> str:
    """Return the name under which the headline holds a kind of network."""
    return f"{scheme}_{optimizer}"


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell under which parametrization a best rate found at a small width is one at a large."""
    found = TransferHeadline.read(summary)
    optimizers, schemes = ([str(v) for v in dataset[d].values] for d in ("optimizer", "scheme"))
    kinds = list(product(schemes, optimizers))
    blocks: list[Block] = [
        Finding(_finding(found, kinds)),
        *(_curves(scheme, optimizer) for optimizer in optimizers for scheme in schemes[:1]),
        Heading("What was computed"),
        Text(_setting(dataset)),
        Text(
            "A base rate is what multiplies the powers of the width that a parametrization gives "
            "each layer. Under SP it is the one rate of all layers, as it is set in practice: the "
            "best should fall like 1/n with gradient descent and like n^−1.5 with Adam once "
            "networks are wide, powers that Table 2 of [RFL] takes of it beforehand. "
            "Rates were tried on a grid, from the best one of the narrowest network with the same "
            "seed outwards, until the training loss, averaged over the last quarter of the "
            "steps, was larger at several rates on either side of its least value, and less there "
            "than before training; between the rates of the grid the best is that of the parabola "
            "through the logarithms of three losses."
        ),
        Heading("Verdicts"),
        Text(
            "The best rate of a width is that of the least loss, geometric mean over seeds, and a "
            "power of the width is fitted to it; the intervals are by the jackknife over seeds. "
            "It transfers when the factor by which that power moves it from the smallest "
            f"width to the largest has a 95% interval between {1 / MOVED:.2f} and {MOVED:g}, and "
            "does not when the interval lies outside; otherwise the data do not decide. Beside it "
            "stands the coordinate check: the size of the features of every layer, and of the "
            f"output, after {dataset.sizes['step'] - 1} steps at the best rate of the narrowest "
            f"network has an exponent in the width within {FLAT:g} of 0. A check may hold, and "
            "rates still not transfer: it looks at the first steps and at sizes alone."
        ),
        _verdicts(found, dataset, kinds),
        *_notes(found, kinds),
        _lending(dataset, kinds),
        Heading("Best rates"),
        *(
            Figure(
                f"best_rate_{optimizer}",
                partial(figures.plot_best_rates, optimizer=optimizer),
                f"Best base rate with {optimizer} against the width, with 95% interval.",
            )
            for optimizer in optimizers
        ),
        Heading("Loss against the base rate"),
        *(_curves(scheme, o) for o in optimizers for scheme in schemes[1:]),
    ]
    return blocks


def _curves(scheme: str, optimizer: str) -> Figure:
    return Figure(
        f"{scheme}_{optimizer}_loss",
        partial(figures.plot_curves, scheme=scheme, optimizer=optimizer),
        f"{PARAMETRIZATIONS[scheme].title.capitalize()}, {optimizer}: training loss, averaged over "
        "the last quarter of the steps, against the base rate, one curve per width, geometric mean "
        "over seeds; filled, the best rate.",
    )


def _finding(found: TransferHeadline, kinds: list[tuple[str, str]]) -> str:
    by_answer: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for scheme, optimizer in kinds:
        answer = stays(found.movement[kind_name(scheme, optimizer)])
        by_answer[answer].append(f"{_SHORT[scheme]} with {optimizer}")
    yes, no, open_ = (_listed(names) for names in by_answer.values())
    if not yes and not no:
        return (
            "The data do not decide whether the best learning rate transfers from narrow networks "
            f"to wide ones under {open_}; more seeds (network.n_seeds) narrow the intervals."
        )
    parts = []
    if yes:
        parts.append(f"transfers from narrow networks to wide ones under {yes}")
    if no:
        same = "it does not" if yes else "does not transfer from narrow networks to wide ones"
        parts.append(f"{same} under {no}")
    if open_:
        parts.append(f"under {open_} the data do not decide")
    return f"The best learning rate {'; '.join(parts)}."


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + "".join(names[-1:])


def _setting(dataset: xr.Dataset) -> str:
    attrs, seeds = dataset.attrs, dataset.sizes["seed"]
    loss = {"mean": "mean", "sum": "summed"}[attrs["reduction"]]
    spans: dict[str, list[str]] = {}
    for optimizer in dataset["optimizer"].values:
        tried = dataset["lent_rate"].sel(optimizer=optimizer).notnull().any(["scheme", "seed"])
        widths = dataset["width"].values[tried.values]
        spans.setdefault(f"{widths[0]} to {widths[-1]} units", []).append(str(optimizer))
    trained = ", ".join(f"{span} by {_listed(names)}" for span, names in spans.items())
    return (
        f"Networks with {attrs['depth']} hidden layers ({attrs['activation']}), {seeds} of every "
        f"kind, were trained on {attrs['n_inputs']} inputs of dimension {attrs['n_features']} "
        f"({attrs['source']}) by {attrs['n_steps']} full-batch steps on the {loss} "
        f"{attrs['loss']} loss: {trained}. Initial variances and the constants of the "
        "rates are those of the experiments in [RFL], Appendix A."
    )


def _verdicts(found: TransferHeadline, dataset: xr.Dataset, kinds: list[tuple[str, str]]) -> Table:
    rows = [
        ["Network", "best rate at the largest width", "exponent", "moves by", "transfers", "check"]
    ]
    for scheme, optimizer in kinds:
        name = kind_name(scheme, optimizer)
        sizes = Estimate.from_xarray(
            dataset["size_exponent"].sel(scheme=scheme, optimizer=optimizer)
        )
        rows.append(
            [
                f"{_SHORT[scheme]}, {optimizer}",
                format_short(found.widest[name]),
                format_short(found.drift[name]),
                format_short(found.movement[name]),
                _ANSWERS[stays(found.movement[name])],
                _check(sizes),
            ]
        )
    return Table(rows, "Best base rates with 95% intervals over seeds, and the coordinate check.")


def _notes(found: TransferHeadline, kinds: list[tuple[str, str]]) -> list[Block]:
    """Tell why a best rate is not measurable."""
    return [
        Text(f"{_SHORT[scheme]}, {optimizer}: {note.text}.")
        for scheme, optimizer in kinds
        for note in found.drift[kind_name(scheme, optimizer)].notes
    ]


def _check(exponents: Estimate) -> str:
    """Say whether the coordinate check holds, or what fails it most."""
    values = exponents.value
    if not np.isfinite(values).all():
        return "fails: diverges"
    worst = int(np.argmax(np.abs(values)))
    where = "f" if worst == len(values) - 1 else f"h_{worst + 1}"
    text = f"{where} like n^{format_number(float(values[worst]))}"
    return f"holds ({text})" if abs(values[worst]) < FLAT else f"fails: {text}"


def _lending(dataset: xr.Dataset, kinds: list[tuple[str, str]]) -> Table:
    """Return what the best rate of the narrowest network costs the widest one."""
    rows = [["Network", "loss at its own best rate", "at the narrowest network's"]]
    for scheme, optimizer in kinds:
        at = dataset.sel(scheme=scheme, optimizer=optimizer)
        tried = at["lent_rate"].notnull().any("seed").values
        wide = at.isel(width=int(np.flatnonzero(tried)[-1]))
        own = wide["loss"].min("rate_place").values
        lent = wide["lent_loss"].values
        rows.append([f"{_SHORT[scheme]}, {optimizer}", *(_mean_loss(v) for v in (own, lent))])
    return Table(rows, "Training loss of the widest networks, geometric mean over seeds.")


def _mean_loss(losses: np.ndarray) -> str:
    if not np.isfinite(losses).all():
        return "diverges"
    return format_number(float(np.exp(np.log(np.maximum(losses, 1e-300)).mean())))
