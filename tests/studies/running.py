"""What the tests of the studies share: each study run once, its page, and whole figures."""

from __future__ import annotations

import matplotlib as mpl
import pytest
import xarray as xr
from matplotlib.figure import Figure

from meanfield import plots
from meanfield.plots import style
from meanfield.studies import get_study
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study

TEACHER = {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 120, "n_test": 20}


def configured(configs, name):
    """Return the study that `name` begins with and the configuration of that name."""
    study = get_study(name.split()[0])
    return study, parse(study.config, {"study": study.name, "seed": 3, **configs[name]})


def run_once(configs, folder):
    """Return a function of a name: dataset, numbers and folder of its study, run once, undrawn."""
    done = {}

    def result(name):
        if name not in done:
            out = folder / name.replace(" ", "-")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(plots, "render", lambda plot, dataset: (b"", b""))
                summary = run_study(*configured(configs, name), out)
            done[name] = (storage.read_dataset(out / "result.nc"), summary["numbers"], out)
        return done[name]

    return result


def page(folder):
    return (folder / "report.html").read_text()


def assert_draws_whole(plot, dataset):
    """The figure leaves its data alone, names its axes, and lies within its edges."""
    before = dataset.copy(deep=True)
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=style.SIZE, layout="constrained")
        axes = figure.subplots()
        assert plot(dataset, axes) is axes
        xr.testing.assert_identical(dataset, before)
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        figure.draw_without_rendering()
        inside = figure.bbox.padded(1.0)
        parts = [axes.get_tightbbox()]
        if axes.get_legend():
            parts.append(axes.get_legend().get_window_extent())
            assert not parts[-1].overlaps(axes.get_window_extent())
        for part in parts:
            assert inside.x0 <= part.x0
            assert inside.y0 <= part.y0
            assert part.x1 <= inside.x1
            assert part.y1 <= inside.y1
