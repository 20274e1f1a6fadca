"""The study `transfer`: its numbers are those of the library; what it says follows from them."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield import deep, plots
from meanfield.errors import ConfigError
from meanfield.statistics.estimate import Estimate
from meanfield.studies import get_study
from meanfield.studies.transfer import study as transfer
from meanfield.studies.transfer.report import TransferHeadline, _finding, report
from meanfield.system import storage
from meanfield.workbench.config import parse
from meanfield.workbench.runner import run_study
from meanfield.workbench.sections.deep_inputs import load_inputs, scale_inputs


def configuration(network=None, rates=None):
    return parse(
        transfer.TransferConfig,
        {
            "study": "transfer",
            "seed": 5,
            "data": {
                "source": "digits",
                "classes": [0, 1],
                "n_samples": 6,
                "standardize": "none",
                "test_fraction": 0.0,
            },
            "network": {
                "parametrizations": ["mup", "sp"],
                "optimizers": ["sgd", "adam"],
                "widths": [8, 16, 32],
                "widest_adam": 16,
                "n_seeds": 2,
                "n_steps": 8,
                "depth": 2,
                **(network or {}),
            },
            "rates": {"factor": 2.0, "beyond": 3, **(rates or {})},
        },
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished folder, its summary, and its dataset."""
    out = tmp_path_factory.mktemp("transfer") / "out"
    original, plots.render = plots.render, lambda plot, dataset: (b"", b"")
    try:
        summary = run_study(get_study("transfer"), configuration(), out)
    finally:
        plots.render = original
    return out, summary, storage.read_dataset(out / "result.nc")


def test_curves_are_those_of_the_library(finished):
    _, summary, saved = finished
    data = load_inputs(configuration())
    X, y = scale_inputs(data.X, 8.0), data.y
    for scheme in ("mup", "sp"):
        variance, scale = deep.experiment_scales(scheme, 64)
        settings = {"depth": 2, "activation": "tanh", "n_steps": 8, "reduction": "mean"}
        settings |= {"dtype": "float32", "weight_variance": variance, "rate_scale": scale}
        settings |= {"parametrization": scheme, "factor": 2.0, "beyond": 3}
        narrow = deep.rate_curve(X, y, width=8, seed=6, start=0.1, **settings)
        at = saved.sel(optimizer="sgd", scheme=scheme, seed=6)
        assert float(at["best_rate"].sel(width=8)) == pytest.approx(narrow.best)
        # A wider one starts at the rate of the grid that is nearest to the narrow one's best.
        place = np.rint(np.log2(narrow.best / 0.1))
        start = 0.1 * 2.0**place
        wide = deep.rate_curve(X, y, width=32, seed=6, start=start, **settings)
        found = at.sel(width=32)
        assert float(found["lent_rate"]) == pytest.approx(start)
        tried = ~np.isnan(found["loss"].values)
        np.testing.assert_allclose(found["rate"].values[tried], wide.rates)
        np.testing.assert_allclose(found["loss"].values[tried], wide.losses, rtol=1e-6)
        losses = saved["loss"].sel(optimizer="sgd", scheme=scheme).values
        drift = deep.rate_drift([8, 16, 32], found["rate"].values, losses)
        number = summary["numbers"][f"{scheme}_sgd_drift"]
        assert number["value"] == pytest.approx(drift.exponent.value)
        assert number["interval"] == pytest.approx(list(drift.exponent.interval))
    assert np.isnan(saved["best_rate"].sel(optimizer="adam", width=32)).all()
    assert not np.isnan(saved["best_rate"].sel(optimizer="adam", width=16)).any()


def test_report_and_figures_follow_from_the_dataset(finished):
    out, summary, saved = finished
    text = (out / "report.html").read_text()
    for piece in ("8 to 32 units by sgd", "8 to 16 units by adam", "coordinate check"):
        assert piece in text
    figures = [b for b in report(summary, saved) if hasattr(b, "plot")]
    names = [figure.name for figure in figures]
    assert names[0] == "mup_sgd_loss"
    assert len(set(names)) == len(names) == 4 + 2
    for figure in figures[:3]:
        png, _ = plots.render(figure.plot, saved)
        assert png.startswith(b"\x89PNG")


def test_what_cannot_be_measured_is_told_with_its_reason(finished):
    _, summary, saved = finished
    numbers = {name: dict(number) for name, number in summary["numbers"].items()}
    numbers["sp_adam_drift"] |= {"notes": ["at width 8 nothing"], "note_codes": ["open"]}
    texts = [getattr(block, "text", "") for block in report({**summary, "numbers": numbers}, saved)]
    assert "SP, adam: at width 8 nothing." in texts


def test_the_finding_tells_kinds_apart():
    moved = {
        "mup_sgd": Estimate(1.1, 0.9, 1.3),
        "sp_sgd": Estimate(0.02, 0.01, 0.05),
        "mup_adam": Estimate(1.1, 0.5, 2.0),
    }
    kinds = [("mup", "sgd"), ("sp", "sgd"), ("mup", "adam")]
    assert _finding(TransferHeadline(movement=moved), kinds) == (
        "The best learning rate transfers from narrow networks to wide ones under µP with sgd; it "
        "does not under SP with sgd; under µP with adam the data do not decide."
    )
    undecided = {"mup_sgd": moved["mup_adam"]}
    assert _finding(TransferHeadline(movement=undecided), kinds[:1]) == (
        "The data do not decide whether the best learning rate transfers from narrow networks to "
        "wide ones under µP with sgd; more seeds (network.n_seeds) narrow the intervals."
    )


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            {"optimizers": ["adamm"]},
            r"optimizers\[0\]': Unknown optimizer 'adamm'\. Did you mean 'adam'\?$",
        ),
        ({"widths": [16]}, r"network\.widths' leaves fewer than two widths to sgd"),
        ({"widest_adam": 8}, r"leaves fewer than two widths to adam"),
    ],
)
def test_configuration_is_checked(network, message):
    with pytest.raises(ConfigError, match=message):
        transfer.prepare(configuration(network))


def test_three_classes_are_trained_by_cross_entropy():
    config = configuration({"loss": "cross-entropy", "n_seeds": 1})
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"classes": [0, 1, 2], "n_samples": 9})}
    )
    unit = transfer.prepare(config).units[0]
    found = unit.function(**unit.arguments)
    assert found["losses"].min() < np.log(3)
    assert np.isfinite(found["best"])
