"""What the committed reference studies must say: the claims of the README rest on them."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure as Canvas

from meanfield.plots import style
from meanfield.studies import get_study
from meanfield.system import storage
from meanfield.workbench.study import Figure

STUDIES = ("references",)
RESULTS = Path(__file__).parents[2] / "results"


def numbers(study):
    return json.loads((RESULTS / study / "summary.json").read_text())["numbers"]


def holds(number):
    low, high = number["interval"]
    return low <= number["expected"] <= high


@pytest.mark.parametrize("reference", ["particles", "chain", "fokker-planck"])
def test_rate_is_one_over_n_against_every_reference(reference):
    found = numbers("references")
    for metric in ("coupling", "matched_w2", "function"):
        slope = found[f"{metric}_{reference}"]
        assert abs(slope["value"] + 1) <= 0.03
        assert slope["interval"][1] - slope["interval"][0] < 0.08


@pytest.mark.parametrize("study", STUDIES)
def test_figures_hide_nothing_and_leave_the_data_alone(study):
    summary = json.loads((RESULTS / study / "summary.json").read_text())
    dataset = storage.read_dataset(RESULTS / study / "result.nc")
    before = dataset.copy(deep=True)
    figures = [b for b in get_study(study).report(summary, dataset) if isinstance(b, Figure)]
    assert len(figures) >= 2
    for block in figures:
        with mpl.rc_context(style.STYLE):
            canvas = Canvas(figsize=style.SIZE, layout="constrained")
            axes = block.plot(dataset, canvas.subplots())
            canvas.draw_without_rendering()
            assert axes.get_xlabel()
            assert axes.get_ylabel()
            legend = axes.get_legend().get_window_extent()
            assert not legend.overlaps(axes.get_window_extent())
            inside = canvas.bbox.padded(1.0)
            for part in (legend, axes.get_tightbbox()):
                assert inside.x0 <= part.x0
                assert inside.y0 <= part.y0
                assert part.x1 <= inside.x1
                assert part.y1 <= inside.y1
    assert dataset.identical(before)
