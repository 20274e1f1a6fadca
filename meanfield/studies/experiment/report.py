"""The one report of an experiment, from the top down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from meanfield.statistics.estimate import Estimate
from meanfield.studies.atoms.report import report as atoms_report
from meanfield.studies.cell.report import report as cell_report
from meanfield.studies.chaos.report import SENSELESS, ChaosHeadline
from meanfield.studies.chaos.report import report as chaos_report
from meanfield.studies.errors.report import report as errors_report
from meanfield.studies.experiment import figures
from meanfield.studies.experiment.count import advice, against_penalty, count_sentence
from meanfield.system.storage import attribute_list
from meanfield.workbench.blocks import Block, Details, Figure, Finding, Heading, Table, Text
from meanfield.workbench.blocks import figures as figures_of
from meanfield.workbench.headline import Summary
from meanfield.workbench.report.formatting import format_estimate, format_number
from meanfield.workbench.sections.learning import (
    learning_sentence,
    shown_scores,
    under_way,
)

if TYPE_CHECKING:
    import xarray as xr

_REPORTS = {
    "chaos": chaos_report,
    "atoms": atoms_report,
    "errors": errors_report,
    "cell": cell_report,
}


@dataclass(frozen=True)
class _Part:
    """One part as its own study would report it."""

    summary: Summary
    dataset: xr.Dataset
    blocks: Sequence[Block]

    @property
    def finding(self) -> str:
        return next(block.text for block in self.blocks if isinstance(block, Finding))

    @property
    def picture(self) -> list[Figure]:
        """Its first figure."""
        return list(figures_of(self.blocks))[:1]

    def details(self, title: str) -> Details:
        """Return all else that it reports."""
        shown = [*self.picture, next(b for b in self.blocks if isinstance(b, Finding))]
        return Details(title, [block for block in self.blocks if block not in shown])


def report(summary: Summary, tree: xr.DataTree) -> list[Block]:
    """Report an experiment from the top down."""
    overview = tree["overview"].to_dataset()
    parts = {name: _part(name, summary, tree) for name in _REPORTS if name in tree.children}
    score = _score(summary)
    blocks: list[Block] = []
    for name, question, section in (
        ("chaos", "How wide is wide?", _width),
        ("atoms", "What does the network consist of?", _atoms),
        ("errors", "Where does the error come from?", _errors),
        ("cell", "The learning cell", _cell),
    ):
        if name in parts:
            blocks += [Heading(question), *section(parts[name], overview)]
    headline = [_learned(score, overview), *_headlines(parts, overview)]
    problem = str(overview.attrs["problem"]).strip("<>")
    return [
        Finding(" ".join(sentence for sentence in headline if sentence)),
        Heading("Has it learned?"),
        *_learning(score, overview, parts.get("chaos")),
        *blocks,
        Heading("What was computed"),
        Text(f"{problem}."),
    ]


def _part(name: str, summary: Summary, tree: xr.DataTree) -> _Part:
    """Return one part; its figures draw from its branch, under names of its own."""
    dataset = tree[name].to_dataset()
    names, keys = (attribute_list(dataset, which) for which in ("names", "keys"))
    own = {key: summary["numbers"][shown] for shown, key in zip(names, keys, strict=True)}
    part_summary = summary | {"numbers": own}
    blocks = _REPORTS[name](part_summary, dataset)
    return _Part(part_summary, dataset, [_moved(name, block) for block in blocks])


def _moved(part: str, block: Block) -> Block:
    if isinstance(block, Figure):
        return replace(
            block, name=f"{part}-{block.name}", plot=partial(figures.of_part, part, block.plot)
        )
    return block


def _score(summary: Summary) -> Estimate | None:
    found = {
        key: Estimate.from_summary(saved)
        for key, saved in summary["numbers"].items()
        if key in ("test_r2", "test_accuracy", "train_r2", "train_accuracy")
    }
    return next(iter(found.values()), None)


def _known(overview: xr.Dataset, name: str) -> Estimate | None:
    variable = overview.get(f"score_{name}")
    return None if variable is None else Estimate.from_xarray(variable)


def _learned(score: Estimate | None, overview: xr.Dataset) -> str:
    if score is None:
        return ""
    return learning_sentence(score, float(overview.attrs["guess"]), _known(overview, "linear"))


def _learning(score: Estimate | None, overview: xr.Dataset, chaos: _Part | None) -> list[Block]:
    blocks: list[Block] = []
    if score is not None:
        others = {}
        if (dictionary := _known(overview, "dictionary")) is not None:
            others["its atoms alone"] = dictionary
        held_out = bool(overview.attrs["held_out"])
        rows = "held-out rows" if held_out else "training rows, as none were held out"
        caption = (
            f"{score.label.split(' on ')[0]} on the {rows}. Intervals count the rows as well as "
            "the networks: other rows of the same kind would give a score in it 19 times in 20. "
            "The linear model is ridge or logistic regression, its penalty chosen by "
            "cross-validation on the training rows."
        )
        blocks.append(Table(shown_scores(score, _known(overview, "linear"), others), caption))
    if chaos is not None:
        blocks += [
            block
            for block in chaos.blocks
            if isinstance(block, Figure) and block.name == "chaos-loss"
        ]
        loss = chaos.dataset["loss"].isel(particles=-1).mean("replica").values
        if still := under_way(chaos.dataset["time"].values, loss):
            blocks.append(Text(still))
    return blocks


def _headlines(parts: Mapping[str, _Part], overview: xr.Dataset) -> list[str]:
    """Return a sentence for each part, none of which says what another denies."""
    sentences = []
    if "chaos" in parts:
        sentences.append(_neurons(parts["chaos"], overview))
    if "atoms" in parts:
        sentences.append(count_sentence(parts["atoms"].summary, parts["atoms"].dataset, overview))
    if "errors" in parts:
        sentences.append(_largest_error(parts["errors"]))
    return sentences


def _neurons(part: _Part, overview: xr.Dataset) -> str:
    """Say how many neurons bring the network within one per cent of infinite width."""
    found = ChaosHeadline.read(part.summary)
    slope, partners = found.slope["function"], found.slope["w1_squared"]
    if senseless := [note.text for note in slope.notes if note.code in SENSELESS]:
        return f"How many neurons are enough cannot be said. {senseless[0]}"
    if slope.agrees is False:
        return (
            "The distance of networks from infinite width does not fall like 1/N over these "
            "numbers of neurons, so that no number can be said to be enough: the slope in N is "
            f"{format_estimate(slope)}, where {format_number(slope.expected)} is expected."
        )
    if slope.expected is None and slope.known:
        return (
            "No theory says at what rate these networks approach infinite width, so that no number "
            f"of neurons is named: the slope in N is {format_estimate(slope)}."
        )
    if not slope.agrees or not slope.excludes(0.0):
        return (
            "How far networks are from infinite width was not measured precisely enough to say "
            f"how many neurons are needed: the slope in N is {format_estimate(slope)}."
        )
    target = 0.01 * float(overview.attrs["label_variance"])
    needed = max(1, math.ceil(found.constant["function"].value / target))
    digits = 10 ** max(0, int(math.log10(needed)) - 1)
    text = (
        f"What networks compute approaches infinite width like 1/N (slope {format_estimate(slope)})"
        f": about {round(needed / digits) * digits or 1} neurons bring the mean squared difference "
        "from it below 1% of the variance of the labels."
    )
    if partners.agrees is False and partners.value > partners.expected:
        text += (
            " Their neurons approach those of the limit more slowly: the slope of their squared "
            f"mean distance is {format_estimate(partners)}."
        )
    return text


def _largest_error(part: _Part) -> str:
    """Say of which network it is the error: not of the one whose score is reported."""
    attrs = part.dataset.attrs
    neurons, rows = _counted(attrs["n_particles"], "neuron"), _counted(attrs["n_data"], "row")
    kept = f", kept to {_counted(attrs['n_atoms'], 'atom')}" if attrs.get("n_atoms") else ""
    return (
        f"Errors are split for networks of {neurons}{kept}, trained on {rows}: the sizes under "
        f"[errors]. {part.finding}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _width(part: _Part, overview: xr.Dataset) -> list[Block]:
    return [
        Text(f"{_neurons(part, overview)} {part.finding}"),
        *part.picture,
        part.details("All that was measured of the approach to infinite width"),
    ]


def _atoms(part: _Part, overview: xr.Dataset) -> list[Block]:
    blocks: list[Block] = [Text(part.finding), *part.picture]
    if advised := advice(part.dataset, overview):
        blocks.insert(1, Text(advised))
    if "truth_angle" in overview:
        blocks.append(Text(_truth(overview)))
    if "image" not in part.dataset.attrs and overview.sizes.get("atom", 0):
        blocks.append(_by_input(overview))
    if "path_n_atoms" in overview:
        blocks += [
            Text(against_penalty(overview)),
            Figure(
                "penalties",
                figures.plot_penalties,
                "Number of atoms and score of one network for each strength of the penalty; noise "
                "changes along with it. Filled marks can be relied on. The dashed line is the "
                "penalty of this experiment.",
            ),
        ]
    return [*blocks, part.details("All that was found of the atoms")]


def _truth(overview: xr.Dataset) -> str:
    """Say which of the teacher's neurons were found, in all networks."""
    angle = overview["truth_angle"].values
    found = np.isfinite(angle).all(axis=0)
    of, networks = angle.shape[1], angle.shape[0]
    if not found.any():
        return f"None of the teacher's {of} neurons was found in all {networks} networks."
    # An angle of exactly 0 would say more than can be known.
    within = format_number(max(float(angle[:, found].max()), 0.01))
    return (
        f"{found.sum()} of the teacher's {of} neurons were found in all {networks} networks, their "
        f"directions within {within}° of the truth."
    )


_MOST_INPUTS = 4


def _by_input(overview: xr.Dataset) -> Table:
    """Show what each atom looks at, by the names of the inputs."""
    names = [str(name) for name in overview["input"].values]
    w, b = overview["atom_w"].values, overview["atom_b"].values
    rows = [["Atom", "Coefficient", "Offset", "Largest input weights"]]
    for i in np.argsort(-overview["atom_c"].values):
        largest = np.argsort(-np.abs(w[i]))[:_MOST_INPUTS]
        weights = ", ".join(f"{names[j]} {_signed(w[i, j])}" for j in largest if w[i, j])
        rest = len(names) - len(largest)
        others = f", and {rest} smaller one{'' if rest == 1 else 's'}" if rest else ""
        sign = "" if overview["atom_sign"].values[i] >= 0 else "−"
        size = format_number(float(overview["atom_c"].values[i]))
        rows.append(
            [
                str(len(rows)),
                f"{sign}{size}",
                _signed(b[i]),
                f"{weights}{others}",
            ]
        )
    return Table(
        rows,
        "Atoms of the reference network, the strongest first. Weights belong to the inputs as the "
        "network sees them, after standardisation: data.json has the means and scales that lead "
        "back to the units of the table.",
    )


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{format_number(float(value))}"


def _errors(part: _Part, overview: xr.Dataset) -> list[Block]:
    blocks: list[Block] = [Text(_largest_error(part)), *part.picture]
    if overview.attrs["numbers_for_errors"]:
        blocks.insert(
            0,
            Text(
                "Errors are split in L². For this part the networks learn the classes as numbers, "
                "with the squared loss."
            ),
        )
    return [*blocks, part.details("All that was measured of the error")]


def _cell(part: _Part, overview: xr.Dataset) -> list[Block]:
    return [Text(part.finding), part.details("What each part of the cell rests on")]
