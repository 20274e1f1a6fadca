"""What the study `chaos` found, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meanfield import plots
from meanfield.chaos.chaos_plan import PILOT
from meanfield.chaos.verdict import exchange_sentence, unsettled
from meanfield.statistics.estimate import Estimate
from meanfield.studies.chaos import figures
from meanfield.studies.chaos.quantities import LABELS, MEANING
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Table, Text
from meanfield.workbench.headline import Summary, family
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_number,
    format_value,
    heading_for_problem,
    slope_row,
)
from meanfield.workbench.sections.learning import LearningHeadline, under_way, unlearned

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class ChaosHeadline(LearningHeadline):
    """What was found of each metric."""

    slope: dict[str, Estimate] = family("{}_slope")  # of log metric against log N
    constant: dict[str, Estimate] = family("{}_constant")  # N^(-expected slope) · metric
    # N · metric: its change over the second half of the run, relative to its mean there.
    trend: dict[str, Estimate] = family("{}_trend")
    supremum: dict[str, Estimate] = family("{}_supremum")  # largest N · metric at any time
    predicted: dict[str, Estimate] = family("{}_predicted")  # constant at the last time
    ratio: dict[str, Estimate] = family("{}_ratio")  # measured over predicted, largest N
    exchange: Estimate | None = None  # changes of well per particle and unit of time

    @property
    def noise(self) -> bool:
        """Whether there was noise: without it there is no theorem for the particles."""
        return self.slope["w1_squared"].expected is not None


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Report the rate at which the particles approach their limit, and whether it lasts."""
    found = ChaosHeadline.read(summary)
    metrics = [metric for metric in LABELS if metric in found.slope]
    attrs = dataset.attrs
    not_learned = unlearned(found.score, attrs.get("guess", 0.0))
    blocks: list[Block] = [
        Finding(f"{not_learned} {_finding(found, dataset)}".strip()),
        *heading_for_problem(dataset.attrs["problem"]),
        *([Text(said)] if (said := _under_way(dataset)) else []),
        Text(_reference(dataset)),
        *([Text(said)] if (said := _planned(found, dataset)) else []),
        *([] if found.noise else [Text(_NOISELESS)]),
        Heading("How fast"),
        Table(
            [
                ["Quantity", "Slope in N", "95% interval", "Expected", "Verdict"],
                *(slope_row(LABELS[metric], found.slope[metric]) for metric in metrics),
            ],
            "A slope of −1 means that twice as many particles halve the quantity. The interval "
            "comes from resampling the repetitions: done again with other seeds, such intervals "
            "hold the true slope 19 times in 20.",
        ),
        *_notes(found, metrics),
        *([Text(said)] if (said := _exchange(found, dataset)) else []),
        Figure(
            "rates",
            plots.plot_rates,
            f"Mean over the repetitions against the number of particles, with 95% intervals, "
            f"{_fitted_at(dataset)}; solid lines are the fits, the dashed line has the expected "
            "slope.",
        ),
        _bias(dataset, found.slope["law_bias"]),
        *_prediction(found, dataset),
        Heading("Does it last?"),
        Text(_lasts(found, dataset)),
        Figure(
            "constants",
            plots.plot_constants,
            "N times the mean coupling distance over time, one curve per number of particles, "
            "with 95% intervals. Curves that lie on each other mean a rate of 1/N; curves that "
            "stay flat to the right mean that it holds uniformly in time; curves that rise with N "
            "mean a slower rate, as of partners in different wells. The matched W₂² is never "
            "larger.",
        ),
        Figure(
            "loss",
            plots.plot_loss,
            "Training loss over time for each number of particles, and in the limit.",
        ),
    ]
    if "raw_w2" in found.slope:
        blocks += [
            Heading("Why the raw distance does not fall like 1/N"),
            Text(_raw(found, dataset.attrs["n_parameters"])),
            Figure(
                "raw_w2",
                figures.plot_raw_w2,
                "Raw squared Wasserstein distance to an unrelated sample of the limit, beside "
                "what independent particles of the limit have: the sampling floor.",
            ),
        ]
    if "law_w2" in found.slope:
        blocks += [
            Heading("Distance to the limit law itself"),
            Text(_law(found)),
            Figure(
                "law_w2",
                figures.plot_law_w2,
                "Exact squared Wasserstein distance between the particles and the limit law at "
                "the last time, beside what independent particles of the limit have.",
            ),
        ]
    meanings = [[LABELS[metric], MEANING[metric]] for metric in metrics]
    return [
        *blocks,
        Heading("What the quantities are"),
        Table([["Quantity", "Meaning"], *meanings], "All of them are 0 in the limit."),
        Text(
            "Particles and partners are coupled synchronously: by the same start and the same "
            "noise. The W₂ of the theorem is an infimum over all couplings, so that the distances "
            "of partners bound it from above."
        ),
    ]


def _prediction(found: ChaosHeadline, dataset: xr.Dataset) -> list[Block]:
    """Compare with the predicted constants, where they were asked for."""
    if not found.ratio:
        return []
    largest, sentences = int(dataset["particles"][-1]), []
    for metric, ratio in found.ratio.items():
        agrees = "in agreement with 1" if ratio.agrees else "which is not 1"
        sentences.append(
            f"N times the {LABELS[metric]} is predicted to tend to "
            f"{format_estimate(found.predicted[metric])} at the last time; measured at "
            f"N = {largest} over predicted is {format_estimate(ratio)}, {agrees}."
        )
    if "coupling" not in found.ratio:
        sentences.append(
            "The activation has a kink, for which N times the coupling distance has no limit."
        )
    if any(not ratio.agrees for ratio in found.ratio.values()):
        sentences.append(
            "The prediction is the limit of large N, to which systems of this size need not have "
            "come, and holds as long as partners stay in one well."
        )
    constant = found.predicted["function"].value
    needed = ", ".join(
        f"{math.ceil(constant / error**2)} for {format_number(error)}"
        for error in (0.1, 0.03, 0.01)
    )
    return [
        Heading("What theory predicts, with nothing fitted"),
        Text(" ".join(sentences)),
        Text(
            "Neurons that keep the root mean square difference between the network and its limit "
            f"below an error, by this prediction: {needed}."
        ),
    ]


def _fitted_at(dataset: xr.Dataset) -> str:
    """Say of which time the fitted means are."""
    if "precision" in dataset.attrs:
        return "of the second half of the run"
    return (
        "at the measured time at which it is largest (the same time for all numbers of particles)"
    )


def _under_way(dataset: xr.Dataset) -> str:
    """Say that the largest systems still learn, if they do."""
    loss = dataset["loss"].isel(particles=-1).mean("replica").values
    return under_way(dataset["time"].values, loss)


def _planned(found: ChaosHeadline, dataset: xr.Dataset) -> str:
    """Say how a run of a given precision was planned, what it reached, and what was fitted."""
    if "precision" not in dataset.attrs:
        return ""
    reached = ", ".join(
        f"±{found.slope[metric].width / 2:.2g} ({LABELS[metric]})"
        for metric in ("function", "w1_squared")
        if found.slope[metric].known
    )
    return (
        f"A half-width of {dataset.attrs['precision']:g} was asked for: a pilot of {PILOT} "
        f"repetitions planned the run, which ended with {dataset.sizes['replica']} and {reached}. "
        "Fitted is the mean over the second half of the run, less what the chance positions of the "
        "independent copies explain of its scatter, as N^s (C + C₂/N) from the smallest number of "
        "particles on at which the points are of that form: small systems, which cost least, then "
        "bend no slope."
    )


def _exchange(found: ChaosHeadline, dataset: xr.Dataset) -> str:
    """Say how often particles change wells, and how that is known; nothing with one well."""
    if found.exchange is None:
        return ""
    said = exchange_sentence(
        dataset["occupation"].values, Estimate.from_xarray(dataset["exchange"])
    )
    return (
        f"{said} Independent particles of the limit descend the potential of the last time, from "
        "where they are then and from where they were before: the share s that changed wells in a "
        "time t gives the number of changes κ by s = s∞ (1 − exp(−κ t / s∞)), where s∞ is the "
        "share for independent places."
    )


_NOISELESS = (
    "There is no noise here (temperature 0). Then only the function distance has a theorem that "
    "holds uniformly in time; the distances between particles may grow with time, and no slope is "
    "expected of them."
)


def _notes(found: ChaosHeadline, metrics: Sequence[str]) -> list[Block]:
    """Return every note once, with the quantities that it is on."""
    on: dict[str, list[str]] = {}
    for metric in metrics:
        for note in found.slope[metric].notes:
            on.setdefault(note.text, []).append(LABELS[metric])
    return [Text(f"Note on {'; '.join(labels)}: {text}") for text, labels in on.items()]


#: Notes on runs of which no slope means anything.
SENSELESS = ("loss-rose", "swings")

_LEAD = {
    "function": "The squared distance between the network of N neurons and the limit network",
    "w1_squared": "The squared mean distance between N neurons and their partners in the limit, "
    "which bounds W₁²,",
}


def _finding(found: ChaosHeadline, dataset: xr.Dataset) -> str:
    first = found.slope["function"]
    if not first.known or any(note.code in SENSELESS for note in first.notes):
        reasons = " ".join(note.text for note in first.notes)
        return f"No rate was found. {reasons}"
    metrics = ["function", "w1_squared"] if found.noise else ["function"]
    sentences = [_rate(found, metric, "precision" in dataset.attrs) for metric in metrics]
    verdict = dataset.attrs["verdict"]
    if found.noise:
        sentences += [
            f"{verdict[:1].upper()}{verdict[1:]}",
            "Partners share start and noise (the synchronous coupling); the W₂ of the theorem, an "
            "infimum over all couplings, is never larger.",
        ]
    return " ".join(sentences)


def _rate(found: ChaosHeadline, metric: str, late: bool) -> str:
    """Return the rate of a headline metric as a sentence or two."""
    slope = found.slope[metric]
    if not slope.known:
        return f"{_LEAD[metric]} has no slope: {' '.join(note.text for note in slope.notes)}"
    rate = f"{_LEAD[metric]} falls like N to the power {format_estimate(slope)}"
    if unsettled(slope):
        return (
            f"{rate}: at these numbers of particles it has not settled to 1/N (pre-asymptotic; see "
            "the notes below the table)."
        )
    if not slope.agrees:
        see = "; see the notes below the table" if slope.notes else ""
        return f"{rate}, which is not the expected 1/N{see}."
    if not slope.excludes(0.0):
        return (
            f"{rate}. The interval holds the expected −1 but also 0, so it does not show that the "
            "distance falls at all. More replicas, or particle counts further apart, narrow it."
        )
    mean = "mean over the second half of the run" if late else "largest mean over time"
    caution = " The interval is wide; more replicas narrow it." if slope.width > 0.3 else ""
    return (
        f"{rate}, in agreement with the expected 1/N: its {mean} is about "
        f"{format_value(found.constant[metric])}/N.{caution}"
    )


def _reference(dataset: xr.Dataset) -> str:
    attrs = dataset.attrs
    limit, step_size = describe_reference(attrs), attrs["step_size"]
    if not isinstance(step_size, str):  # a schedule is described by its range
        step_size = f"{step_size:g}"
    counts = ", ".join(str(count) for count in dataset["particles"].values)
    systems = dataset["systems"].values
    times = ", ".join(str(n) for n in systems * dataset.sizes["replica"])
    how_often = (
        f"{times} times," if len(set(systems)) > 1 else f"{dataset.sizes['replica']} times each,"
    )
    return (
        f"Systems of {counts} particles were trained, {how_often} by "
        f"noisy gradient descent ({attrs['integrator']}, step size {step_size}) up to "
        f"time {float(dataset['time'][-1]):g}; {limit}. Beside every particle runs a partner with "
        "the same start and the same noise that feels the limit instead of the other particles."
    )


def describe_reference(attrs: Mapping[str, Any]) -> str:
    """Return what stands for the limit, and why, as the end of a sentence."""
    method = attrs["reference"]
    if method == "gaussian":
        return "the limit is known exactly (Gaussian closure)"
    if method == "chain":
        return (
            "the limit is the law of the same discrete scheme with infinitely many particles, "
            f"computed on a lattice (error below {format_number(attrs['reference_error'])}), so "
            "that neither other particles nor the step size stand between the two"
        )
    if method == "fokker-planck":
        return (
            "the limit is the law in continuous time, from the Fokker–Planck equation (error of "
            f"its grid about {format_number(attrs['reference_error'])}); the discrete particles "
            "stay a multiple of the step size away from it, which shows as a floor once they are "
            "many"
        )
    why = attrs.get("reference_reason", "")
    reason = f", as {why}" if why else ""
    return f"a system of {attrs['reference_particles']} particles stands for the limit{reason}"


def _bias(dataset: xr.Dataset, slope: Estimate) -> Block:
    """Return the figure of the bias of the law, or what to say where none was seen."""
    if exact := [note.text for note in slope.notes if note.code == "unbiased"]:
        return Text(exact[0])
    bias = Estimate.from_xarray(dataset["law_bias_mean"])
    if (bias.low > 0).any():
        return Figure(
            "law_bias",
            figures.plot_law_bias,
            "Squared bias of the average network at the last time, with two standard errors. "
            "Points whose interval reaches zero are not distinguishable from no bias and are "
            "drawn as upper bounds.",
        )
    return Text(
        "No bias of the average network was seen at any number of particles: squared, it is below "
        f"{format_number(float(bias.high.max()))} everywhere. More replicas resolve a smaller one."
    )


def _lasts(found: ChaosHeadline, dataset: xr.Dataset) -> str:
    """Say of both headline metrics whether N times them grows, at every N and with N."""
    metrics = ["function", "w1_squared"] if found.noise else ["function"]
    said = []
    for metric in metrics:
        text = _uniform(found.trend[metric], LABELS[metric], found.slope[metric])
        trend = Estimate.from_xarray(dataset["trend"].sel(metric=metric))
        counts = dataset["particles"].values[:-1][trend.low[:-1] > 0]
        if len(counts):
            text += f" Of the smaller systems it grows at N = {', '.join(map(str, counts))}."
        said.append(text)
    return " ".join(said)


def _uniform(trend: Estimate, label: str, slope: Estimate) -> str:
    """Say whether N times a metric still grows late; no rate 1/N lasts that was not found."""
    if not trend.known and trend.notes:
        return " ".join(note.text for note in trend.notes)
    if not trend.known:
        return (
            "Too few times were measured in the second half of the run to say whether the "
            "distance still grows; add late times to chaos.times."
        )
    change, low, high = (
        f"{100 * part:+.1f}%".replace("-", "−") for part in (trend.value, trend.low, trend.high)
    )
    if slope.agrees is False:
        verdict = (
            f"As its slope in N is {format_value(slope)}, N times it grows with N: this is no rate "
            "1/N, however flat in time."
            if slope.value > slope.expected
            else f"Its slope in N is {format_value(slope)}, not −1: N times it falls with N."
        )
    elif trend.low > 0:
        verdict = "It still grows: run longer before claiming that the rate is uniform in time."
    elif trend.high < 0:
        verdict = "It falls, so nothing speaks against a rate that is uniform in time."
    else:
        verdict = (
            "The interval holds zero: no growth was found, which is what a rate that is uniform "
            f"in time requires, but growth by {high} of that mean cannot be excluded."
        )
    return (
        f"A line was fitted to N times the {label} of the largest systems over the second "
        f"half of the run: over that half it changes by {change} of its mean there (95% interval "
        f"{low} to {high}). {verdict}"
    )


def _law(found: ChaosHeadline) -> str:
    return (
        "With one trained parameter the distance to the limit law can be computed exactly. Its "
        f"slope is {format_estimate(found.slope['law_w2'])}, and that of independent particles "
        f"of the limit is {format_estimate(found.slope['law_floor'])}. In one dimension even "
        "independent sampling is of order 1/N, up to a logarithm in the tails; where the two "
        "agree, the particles are as good as independent ones."
    )


def _raw(found: ChaosHeadline, n_parameters: int) -> str:
    raw, floor = found.slope["raw_w2"], found.slope["sampling_floor"]
    text = (
        "A finite sample is far from its own law when particles have many parameters, even if "
        "they are perfectly independent. The raw distance measures that: its slope here is "
        f"{format_estimate(raw)}, and that of independent particles "
        f"is {format_estimate(floor)}."
    )
    if n_parameters > 4:
        text += (
            f" For {n_parameters} parameters and very large N theory gives −2/{n_parameters} for "
            "independent particles, far from −1."
        )
    return (
        f"{text} So the raw distance must not be fitted with 1/N; where it lies on the floor, the "
        "particles are as good as independent ones."
    )
