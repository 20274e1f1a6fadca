"""What happened to the loss and to the particles, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield import plots
from meanfield.statistics.estimate import Estimate
from meanfield.studies.simulate import figures
from meanfield.workbench.blocks import Block, Figure, Finding, Text
from meanfield.workbench.headline import Summary
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_number,
    heading_for_problem,
    headline_table,
)
from meanfield.workbench.sections.learning import LearningHeadline, learning_sentence, under_way

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class SimulateHeadline(LearningHeadline):
    """What the training came to, over the replicas."""

    loss: Estimate  # on the training data, at the end
    test_loss: Estimate | None = None  # where data are held out
    gap: Estimate | None = None  # duality gap, the largest of a few networks


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell what happened to the loss and to the particles."""
    found = SimulateHeadline.read(summary)
    n_particles, n_replicas = dataset.attrs["n_particles"], dataset.sizes["replica"]
    time = format_number(float(dataset["loss_time"][-1]))
    start = format_number(float(dataset["loss_mean"].sel(bound="value")[0]))
    finding = (
        f"By time {time} the training loss of {n_particles} particles went from "
        f"{start} to {format_estimate(found.loss)}."
    )
    finding += "".join(f" {note.text}" for note in found.loss.notes)
    if found.score is not None:
        learning = learning_sentence(found.score, float(dataset.attrs["guess"]), None)
        finding = f"{learning} {finding}"
    still = under_way(dataset["loss_time"].values, dataset["loss_mean"].sel(bound="value").values)
    caption = (
        f"Mean over {n_replicas} independent replicas with Student's 95% interval for the mean: "
        "repeating the study with other seeds would cover the true mean 19 times in 20."
    )
    if n_replicas == 1:
        caption = "Of a single replica, which says nothing about its own spread."
    caption += " The interval of the score counts the rows as well as the replicas."
    columns = ("Quantity", "Mean", "95% interval")
    return [
        Finding(finding),
        *([Text(still)] if still else []),
        *heading_for_problem(dataset.attrs["problem"]),
        headline_table(found, caption, columns, missing="needs 2 replicas"),
        *_certificate(found, dataset),
        Figure(
            "loss",
            plots.plot_loss,
            "Loss over time, mean over replicas; the band is the 95% interval of the mean. Time "
            "is the sum of the step sizes.",
        ),
        Figure(
            "particles",
            figures.plot_particles,
            "Every particle at the first and at the last kept step: the length of its input "
            "weights against its output weight. Particles near the horizontal axis hardly "
            "contribute to the network.",
        ),
        Text(
            "Each particle is one neuron. The network is the mean of all neurons, so that every "
            "neuron moves by an amount that does not shrink with width (µP): features are learned. "
            "In the limit of infinitely many neurons only their distribution matters."
        ),
    ]


def _certificate(found: SimulateHeadline, dataset: xr.Dataset) -> list[Block]:
    """Say how far from the global optimum the networks can be, where that is known."""
    if found.gap is None:
        return []
    low, high = (format_number(float(dataset.attrs[name])) for name in ("least", "most"))
    return [
        Text(
            f"The free energy (risk, penalty and entropy) has a least value between {low} and "
            f"{high}. By their duality gap the error signals of the networks are certified within "
            f"{format_number(found.gap.value)} of that global optimum: the Gibbs law that they "
            "produce is no further above it. The gap holds the chance of finitely many neurons "
            "too, which counts more the lower the temperature is."
        )
    ]
