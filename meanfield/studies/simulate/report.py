"""What happened to the loss and to the particles, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield import plots
from meanfield.studies.simulate import figures
from meanfield.studies.simulate.headline import SimulateHeadline
from meanfield.workbench.report.formatting import (
    format_estimate,
    format_interval,
    format_number,
    format_value,
    heading_for_problem,
)
from meanfield.workbench.study import Block, Figure, Finding, Summary, Table, Text

if TYPE_CHECKING:
    import xarray as xr

_ONE_REPLICA = "Of a single replica, which says nothing about its own spread."


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
    if found.test_accuracy is not None:
        share = 100 * found.test_accuracy.value
        finding += f" On held-out data {share:.1f} % of the labels are right."
    rows = [["Quantity", "Mean", "95% interval"]]
    for number in found.numbers().values():
        interval = format_interval(number) or "needs 2 replicas"
        rows.append([number.label, format_value(number), interval])
    return [
        Finding(finding),
        *heading_for_problem(dataset.attrs["problem"]),
        Table(
            rows,
            _ONE_REPLICA
            if n_replicas == 1
            else f"Mean over {n_replicas} independent replicas with Student's 95% interval for the "
            "mean: repeating the study with other seeds would cover the true mean 19 times in 20.",
        ),
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
