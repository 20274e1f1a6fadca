"""Figures: axes in, the same axes out, the data untouched, everything legible."""

from __future__ import annotations

import io
import itertools

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.path import Path
from PIL import Image

from meanfield import plots
from meanfield.errors import ArgumentError
from meanfield.plots import style
from meanfield.statistics.estimate import Estimate
from meanfield.studies.chaos import figures as chaos_figures
from meanfield.studies.simulate import figures as simulate_figures
from meanfield.studies.widths import figures as widths_figures

COUNTS = np.array([16, 32, 64, 128])
TIME = np.array([0.1, 1.0, 5.0, 10.0, 15.0, 20.0])


def chaos_dataset(law_bias=(3e-4, 8e-5, 2e-5, -1e-6), n_parameters=10):
    """A result of the study `chaos` as theory would have it."""
    growth = 1 - np.exp(-TIME / 4)
    variables = {"mean_field_loss": ("time", 0.3 * np.exp(-TIME / 5) + 0.01)}

    def add(name, dims, mean, factor=1.3):
        variables[name] = Estimate(mean, mean / factor, mean * factor).to_xarray(dims)

    constants = {"coupling": 2.2, "matched_w2": 2.0, "function": 0.3, "w1_squared": 1.6}
    for metric, constant in constants.items():
        line = constant * growth.max() / COUNTS
        add(f"{metric}_mean", ["particles", "time"], constant * growth / COUNTS[:, None])
        add(f"{metric}_peak", ["particles"], line)
        variables[f"{metric}_line"] = ("particles", line)
        variables[f"{metric}_slope"] = Estimate(-1.0, -1.1, -0.95).to_xarray()
    for metric in ("raw_w2", "sampling_floor"):
        line = 20.0 * COUNTS**-0.2
        add(f"{metric}_mean", ["particles"], line, 1.05)
        variables[f"{metric}_line"] = ("particles", line)
        variables[f"{metric}_slope"] = Estimate(-0.2, -0.21, -0.19).to_xarray()
    loss = variables["mean_field_loss"][1] + 0.5 / COUNTS[:, None]
    add("loss_mean", ["particles", "time"], loss)
    bias, error = np.array(law_bias), 1e-5
    bounds = bias - 2 * error, np.maximum(bias, 0) + 2 * error
    variables["law_bias_mean"] = Estimate(bias, *bounds).to_xarray(["particles"])
    coordinates = {"particles": COUNTS, "time": TIME}
    return xr.Dataset(variables, coordinates, attrs={"n_parameters": n_parameters})


def simulate_dataset(n_outputs=None, n_replicas=3, test=True):
    """A result of the study `simulate`."""
    rng = np.random.default_rng(0)
    outputs = () if n_outputs is None else (n_outputs,)
    dims = ("replica", "step", "particle")
    a_dims = (*dims, "output") if outputs else dims
    loss = np.geomspace(1.0, 0.05, 12)
    half = 0.05 * loss if n_replicas > 1 else np.nan * loss
    variables = {
        "a": (a_dims, rng.normal(size=(n_replicas, 2, 40, *outputs))),
        "w": ((*dims, "feature"), rng.normal(size=(n_replicas, 2, 40, 3))),
    }
    for name in ("loss", "test_loss") if test else ("loss",):
        mean = Estimate(loss, loss - half, loss + half)
        variables[f"{name}_mean"] = mean.to_xarray(["loss_step"])
    steps = np.concatenate([[0], np.geomspace(1, 1000, 11)])
    coordinates = {"loss_time": ("loss_step", 0.1 * steps), "time": ("step", [0.0, 100.0])}
    return xr.Dataset(variables, coordinates)


FIGURES = [
    (plots.plot_rates, chaos_dataset()),
    (plots.plot_constants, chaos_dataset()),
    (plots.plot_loss, chaos_dataset()),
    (chaos_figures.plot_raw_w2, chaos_dataset()),
    (chaos_figures.plot_raw_w2, chaos_dataset(n_parameters=3)),
    (chaos_figures.plot_law_bias, chaos_dataset()),
    (chaos_figures.plot_law_bias, chaos_dataset(law_bias=(-1e-6, 2e-6, -1e-7, 0.0))),
    (chaos_figures.plot_law_bias, chaos_dataset(law_bias=(3e-3, 8e-4, 2e-4, 5e-5))),
    (plots.plot_loss, simulate_dataset()),
    (plots.plot_loss, simulate_dataset(n_replicas=1, test=False)),
    (simulate_figures.plot_particles, simulate_dataset()),
    (simulate_figures.plot_particles, simulate_dataset(n_outputs=4)),
]


@pytest.mark.parametrize(("plot", "dataset"), FIGURES)
def test_axes_in_axes_out_and_data_untouched(plot, dataset):
    before = dataset.copy(deep=True)
    axes = Figure().subplots()
    settings = dict(mpl.rcParams)
    assert plot(dataset, axes) is axes
    xr.testing.assert_identical(dataset, before)
    assert dict(mpl.rcParams) == settings
    assert axes.get_xlabel()
    assert axes.get_ylabel()


def covered(axes, box):
    """Whether a box lies on points, intervals or lines of the axes."""
    paths = [line.get_path().transformed(line.get_transform()) for line in axes.get_lines()]
    for collection in axes.collections:
        shift = collection.get_transform()
        if len(collection.get_offsets()) > 1:  # of a scatter
            paths.append(
                Path(collection.get_offset_transform().transform(collection.get_offsets()))
            )
        else:
            paths += [path.transformed(shift) for path in collection.get_paths()]
    return any(path.intersects_bbox(box, filled=False) for path in paths)


@pytest.mark.parametrize(("plot", "dataset"), FIGURES)
def test_legend_covers_no_data_and_everything_is_inside(plot, dataset):
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=style.SIZE, layout="constrained")
        axes = plot(dataset, figure.subplots())
        figure.draw_without_rendering()
        legend = axes.get_legend().get_window_extent()
        assert not covered(axes, legend)
        inside = figure.bbox.padded(1.0)
        for part in (legend, axes.get_tightbbox()):
            assert inside.x0 <= part.x0
            assert inside.y0 <= part.y0
            assert part.x1 <= inside.x1
            assert part.y1 <= inside.y1


PUBLIC = [(plot, dataset) for plot, dataset in FIGURES if plot in vars(plots).values()]


@pytest.mark.parametrize(("plot", "dataset"), PUBLIC)
@pytest.mark.parametrize("layout", [None, "constrained"])
def test_public_figures_can_be_read_side_by_side_and_saved_without_clipping(plot, dataset, layout):
    figure = Figure(layout=layout)
    both = figure.subplots(1, 2)
    for axes in both:
        plot(dataset, axes)
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in both]
    assert boxes[0].x1 <= boxes[1].x0 + 1
    for axes, box in zip(both, boxes, strict=True):
        legend = axes.get_legend()
        frame = axes.get_window_extent().padded(2.0)
        extent = legend.get_window_extent()
        assert frame.x0 <= extent.x0 < extent.x1 <= frame.x1
        assert not covered(axes, extent)
        assert figure.bbox.containsx(box.x0)
        assert figure.bbox.containsx(box.x1)
        assert figure.bbox.containsy(box.y0)
        assert figure.bbox.containsy(box.y1)
        texts = [*legend.get_texts(), *axes.get_xticklabels(), axes.xaxis.label, axes.yaxis.label]
        assert min(text.get_fontsize() for text in texts) >= 5.5


@pytest.mark.parametrize(("plot", "dataset"), PUBLIC)
def test_public_figures_do_not_care_for_the_order_of_dimensions(plot, dataset):
    figure = Figure()
    first, second = figure.subplots(1, 2)
    plot(dataset, first)
    plot(dataset.transpose(*list(dataset.sizes)[::-1]), second)
    for one, other in zip(first.get_lines(), second.get_lines(), strict=True):
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())


@pytest.mark.parametrize(
    "plot", [plots.plot_rates, plots.plot_constants, plots.plot_loss, plots.plot_budget]
)
def test_other_datasets_are_told_by_what_they_lack(plot):
    with pytest.raises(ArgumentError, match=r"dataset must hold .*, as the dataset of"):
        plot(xr.Dataset({"weight": ("x", [1.0])}))


def test_no_interval_stands_before_the_start():
    dataset = chaos_dataset()
    dataset = dataset.assign_coords(time=[0.0, 0.1, 5.0, 10.0, 15.0, 20.0])
    axes = plots.plot_constants(dataset, Figure().subplots())
    times = np.array([bars.lines[0].get_xdata() for bars in axes.containers])
    assert times.min() >= 0
    assert (np.diff(times, axis=1) > 0).all()


def test_counts_that_leave_no_room_are_not_all_labelled():
    axes = Figure().subplots(1, 2)[0]
    counts = 2 ** np.arange(3, 17)
    axes.plot(counts, 1 / counts)
    style.count_axis(axes, counts)
    axes.figure.draw_without_rendering()
    shown = [tick for tick in axes.get_xticklabels() if tick.get_text()]
    boxes = [tick.get_window_extent() for tick in shown]
    assert shown[-1].get_text() == "65536"
    assert len(shown) > 2
    assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(boxes))


def test_rate_plot_shows_the_saved_numbers_and_the_expected_slope():
    dataset = chaos_dataset()
    axes = plots.plot_rates(dataset, Figure().subplots())
    lines = {line.get_label(): line for line in axes.get_lines()}
    guide = lines["expected: slope $-1$"]
    steps = np.diff(np.log(guide.get_ydata())) / np.diff(np.log(guide.get_xdata()))
    np.testing.assert_allclose(steps, -1)
    assert (guide.get_ydata() > dataset["coupling_peak"].sel(bound="high").values).all()
    _, labels = axes.get_legend_handles_labels()
    assert "matched $W_2^2$: −1.00 [−1.10, −0.95]" in labels
    bars = axes.containers[1]
    peak = Estimate.from_xarray(dataset["matched_w2_peak"])
    np.testing.assert_array_equal(bars.lines[0].get_ydata(), peak.value)
    ends = bars.lines[2][0].get_segments()
    np.testing.assert_allclose([end[0, 1] for end in ends], peak.low)
    np.testing.assert_allclose([end[1, 1] for end in ends], peak.high)


def test_counts_are_the_ticks():
    axes = plots.plot_rates(chaos_dataset(), Figure().subplots())
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["16", "32", "64", "128"]
    assert len(axes.get_xticks(minor=True)) == 0


def test_raw_distance_is_never_labelled_as_one_over_n():
    axes = chaos_figures.plot_raw_w2(chaos_dataset(), Figure().subplots())
    _, labels = axes.get_legend_handles_labels()
    assert "independent: slope $-2/10$" in labels
    assert not any("expected" in label for label in labels)


def test_bias_hidden_in_noise_is_an_upper_bound():
    dataset = chaos_dataset()
    axes = chaos_figures.plot_law_bias(dataset, Figure().subplots())
    bound = {line.get_label(): line for line in axes.get_lines()}["upper bound"]
    np.testing.assert_array_equal(bound.get_xdata(), COUNTS[2:])
    bias = Estimate.from_xarray(dataset["law_bias_mean"])
    np.testing.assert_array_equal(bound.get_ydata(), bias.high[2:])


def test_new_axes_without_any():
    from matplotlib import pyplot

    axes = plots.plot_loss(simulate_dataset())
    assert axes is pyplot.gca()
    assert axes.has_data()
    pyplot.close(axes.figure)


def test_render_gives_png_at_200_dots_and_vectors_without_dates():
    png, pdf = plots.render(plots.plot_rates, chaos_dataset())
    image = Image.open(io.BytesIO(png))
    assert image.size == tuple(round(200 * length) for length in style.SIZE)
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    assert b"/CIDFontType2" in pdf  # letters that can be edited, as journals ask
    assert plots.render(plots.plot_rates, chaos_dataset()) == (png, pdf)


def test_saving_logs_nothing(caplog):
    z = np.linspace(-2.0, 2.0, 5)
    dataset = xr.Dataset(
        {"phi_prime": (("activation", "z"), [1 - np.tanh(z) ** 2])},
        {"activation": ["tanh"], "z": z},
    )
    plots.render(widths_figures.plot_slopes, dataset)
    assert not caplog.records


def test_axis_without_positive_values_stays_linear():
    axes = Figure().subplots()
    axes.plot([1.0, 2.0], [0.0, -1e-16])
    style.log_scale(axes, "x")
    style.log_scale(axes, "y")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
