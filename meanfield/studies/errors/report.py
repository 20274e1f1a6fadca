"""What the study `errors` found, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield import plots
from meanfield.statistics.estimate import Estimate
from meanfield.studies.errors import figures
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Table, Text
from meanfield.workbench.headline import Summary, family
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_interval,
    format_number,
    format_share,
    format_short,
    format_value,
    heading_for_problem,
)
from meanfield.workbench.sections.learning import LearningHeadline, unlearned

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class ErrorsHeadline(LearningHeadline):
    """The total error, its components, their laws, and what each doubling or halving gains."""

    total: Estimate  # ‖f* − f_S‖; its notes are the cautions about the whole budget
    tail: Estimate  # as L² norms, which only bound it
    regularisation: Estimate
    statistical: Estimate
    optimisation: Estimate
    chaos: Estimate
    sparse: Estimate
    # What each component adds to the total; these sum to it.
    contribution: dict[str, Estimate] = family("contribution_{}")
    # Of the squared components `statistical` in n and `chaos` in N.
    slope: dict[str, Estimate] = family("{}_slope")
    # At which the optimisation error decays; None where too little of the decay was seen.
    rate: Estimate | None = None
    rate_difference: Estimate | None = None  # from that of another start
    # Of doubling n, N, t or S, and of half the l2 or temperature, in the squared total.
    gain: dict[str, Estimate] = family("gain_{}")
    # Of the squared chaos component: N times it, and measured over predicted at the largest N.
    chaos_predicted: Estimate | None = None
    chaos_ratio: Estimate | None = None
    closure: Estimate  # what the signed components miss of the total, relative


LABELS = {
    "tail": "Tail",
    "regularisation": "Regularisation",
    "statistical": "Statistical error",
    "optimisation": "Optimisation error",
    "chaos": "Propagation of chaos",
    "sparse": "Sparse residual",
}

# What a component costs, and what makes it smaller.
_MEANING = {
    "tail": ("what is left of the target when its Hermite series is cut", "smaller threshold"),
    "regularisation": (
        "what penalty and noise cost an infinitely wide network that has trained for ever on the "
        "whole population",
        "smaller l2 and temperature",
    ),
    "statistical": ("what it costs to have n training data", "more data"),
    "optimisation": ("what it costs to stop at time t", "longer training"),
    "chaos": ("what it costs to have N particles", "more particles"),
    "sparse": ("what it costs to keep S atoms", "more atoms"),
}

_DATA_TAIL = (
    "what a ridge regression on all training rows leaves of the held-out labels, their noise "
    "included",
    "cleaner labels, inputs that explain more, more rows",
)

_LEARNED = (
    "Errors are split in L², so the networks here learn with the squared loss, classes as numbers, "
    "in place of the loss {} of the configuration."
)

_OPTIONS = {
    "n": "twice the training data n",
    "N": "twice the particles N",
    "t": "twice the time t",
    "S": "twice the atoms S",
    "l2": "half the penalty l2",
    "temperature": "half the temperature",
}


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Report where the error comes from and what to increase first."""
    found, attrs = ErrorsHeadline.read(summary), dataset.attrs
    rows = [["Component", "Contribution", "L² norm", "Own error of the intermediates", "Remedy"]]
    resolution = dict(
        zip(dataset["component"].values, dataset["component_resolution"].values, strict=True)
    )
    for name, label in LABELS.items():
        number = getattr(found, name)
        own = format_number(float(resolution[name])) if resolution[name] else "–"
        cost, remedy = _meaning(name, attrs)
        if not attrs["closed_form"] and name in ("tail", "regularisation"):
            label = f"{label} (held-out estimate)"
        shown = (format_short(part) for part in (found.contribution[name], number))
        rows.append([label, *shown, own, f"{cost[0].upper()}{cost[1:]}: {remedy}."])
    total, closure = found.total, found.closure
    adds = f"to {format_number(closure.value)} of it" if closure.known else "which is zero"
    rows.append(["Total", format_value(total), format_short(total), "–", "–"])
    score = found.score
    return [
        Finding(f"{unlearned(score, 0.0)} {_finding(found, attrs)}".strip()),
        *([] if score is None else [Text(_learned(score))]),
        *heading_for_problem(attrs["problem"]),
        *([Text(_LEARNED.format(attrs["loss_given"]))] if "loss_given" in attrs else []),
        Text(_intermediates(dataset)),
        Figure(
            "budget",
            plots.plot_budget,
            "What every component adds to the total error, each solid bar beginning where the one "
            "above ends, with 95% intervals: they end at the total. The pale bars are the L² norms "
            "on held-out inputs: what a component would add if nothing else cancelled it or stood "
            "at right angles to it.",
        ),
        Table(
            rows,
            "With 95% intervals. The contribution of a component is its projection onto the total "
            "error; contributions add up to the total, and one below zero takes some error off. "
            "Their intervals are over training sets, noise and held-out inputs; those of the norms "
            "over training sets and noise, for the first two components, which do not depend on "
            "them, over held-out inputs. The signed components add up to the total error on every "
            f"held-out input, {adds}.",
        ),
        *(Text(f"Note: {note.text}") for note in total.notes),
        Heading("What to change first"),
        Text(attrs["advice"]),
        Table(
            _gain_rows(dataset, found),
            "Each change alone, with everything else as it is. Those of the penalty and of the "
            "temperature were trained; they cost nothing in addition.",
        ),
        Heading("The laws behind it"),
        Text(_laws(found)),
        *(_TAIL if attrs["closed_form"] else ()),
        Figure(
            "statistical",
            figures.plot_statistical,
            "Squared statistical error against the number of training data, mean over training "
            "sets with 95% intervals; the vertical line is the budget.",
        ),
        Figure(
            "chaos",
            figures.plot_particle_number,
            "Squared distance of N particles from the infinitely wide network after the same "
            "training, against N.",
        ),
        Figure(
            "optimisation",
            figures.plot_optimisation,
            "Squared distance to the long-time network over time, from the initial law and from "
            "a wider start, geometric means over training sets with 95% bands; black lines are "
            "the fitted decays. Both networks feel the same noise, so that the distance falls as "
            "far as training forgets its start; particles that end up in different places keep "
            "some noise.",
        ),
        Figure(
            "sparse",
            figures.plot_sparse,
            "Squared distance of the dictionary of S atoms from the network it stands for, and "
            "from the target.",
        ),
    ]


# Data have no coefficients.
_TAIL = [
    Figure(
        "tail",
        figures.plot_tail,
        "What is cut off the Hermite series of the target at each threshold, from its "
        "coefficients, and the number of atoms that bound what is kept.",
    )
]


def _meaning(component: str, attrs: Mapping[str, Any]) -> tuple[str, str]:
    of_data = component == "tail" and not attrs["closed_form"]
    return _DATA_TAIL if of_data else _MEANING[component]


def _finding(found: ErrorsHeadline, attrs: Mapping[str, Any]) -> str:
    largest = max(LABELS, key=lambda name: found.contribution[name].value)
    share = format_share(found.contribution[largest].value / max(found.total.value, 1e-300))
    return (
        f"The total error is {format_estimate(found.total)}; the largest part of it, {share}, "
        f"is the {LABELS[largest].lower()}: {_meaning(largest, attrs)[0]}. {attrs['advice']}"
    )


def _learned(score: Estimate) -> str:
    return f"The network that is kept has {score.label} {format_estimate(score)}."


def _intermediates(dataset: xr.Dataset) -> str:
    attrs = dataset.attrs
    if attrs["closed_form"]:
        whole = f"{attrs['n_population']} evenly spread inputs stand for the population"
    else:
        whole = (
            f"the network on all {attrs['n_population']} rows stands for the population, and "
            "training sets are drawn from these rows"
        )
    moves = ", ".join(format_share(float(move)) for move in dataset["move"])
    verdict = "" if attrs["settled"] else " (still above it when the rule gave up)"
    return (
        f"From the target one goes to {attrs['kept']}; then to the long-time network of infinite "
        f"width, where {whole}; to that on n = {attrs['n_data']} data; to time "
        f"{format_number(float(attrs['training_time']))}; to N = {attrs['n_particles']} "
        f"particles; and to {attrs.get('n_atoms', 'all')} atoms. Long-time networks are time "
        f"averages of {attrs['long_particles']} particles. The run is long enough when the "
        f"average over a round differs from that over the round before, half as long, by less "
        f"than {format_share(attrs['tolerance'])}; it moved by {moves}{verdict}."
    )


def _gain_rows(dataset: xr.Dataset, found: ErrorsHeadline) -> list[list[str]]:
    rows = [["Change", "Squared error taken off", "95% interval", "Extra compute", "Per unit"]]
    costs = dict(zip(dataset["option"].values, dataset["cost"].values, strict=True))
    for option, gain in found.gain.items():
        cost = float(costs[option])
        row = [_OPTIONS[option], format_value(gain), format_interval(gain)]
        shown = [f"{format_number(cost)} updates", format_number(gain.value / cost)] if cost else []
        rows.append([*row, *(shown or ["none", "–"])])
    return rows


def _laws(found: ErrorsHeadline) -> str:
    slope = found.slope
    text = (
        "Theory says that the squared statistical error falls like 1/n and the squared chaos "
        f"component like 1/N. Measured slopes: {format_estimate(slope['statistical'])} and "
        f"{format_estimate(slope['chaos'])}. "
    )
    for name, symbol in (("statistical", "n"), ("chaos", "N")):
        if not slope[name].known:
            text += f"In {symbol}: {' '.join(note.text for note in slope[name].notes)} "
    predicted, over = found.chaos_predicted, found.chaos_ratio
    if predicted is not None and over is not None:
        text += (
            f"Linear response predicts {format_estimate(predicted)} / N for the chaos component, "
            "with nothing fitted; at the largest N what was measured over that is "
            f"{format_estimate(over)}. "
        )
    rate, difference = found.rate, found.rate_difference
    if rate is None or difference is None:
        return text + "Too little of the decay in time was seen to fit a rate."
    return text + (
        f"The optimisation error decays at rate {format_estimate(rate)} per unit of time; from a "
        f"wider start the rate is {format_number(rate.expected)}, which is "
        f"{'within' if rate.agrees else 'outside'} the interval. Replica by replica the two differ "
        f"by {format_estimate(difference)}."
    )
