"""The budget as a whole: it adds up, its laws have their slopes, and it reads well."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import meanfield as mf
from meanfield.decomposition import Component
from meanfield.decomposition.assemble import contribution
from meanfield.decomposition.budget_dataset import _tails
from meanfield.decomposition.error_budget import COMPONENTS
from meanfield.decomposition.truncated_target import truncate_target
from meanfield.plots.budget import plot_budget
from meanfield.problem import Teacher
from tests.decomposition.by_keyword import plan_errors

TARGET = Teacher.random(2, 2, bias=False, min_angle=60, weight_norm=1.5, seed=3)


def problem(n, noise=0.0):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2))
    y = TARGET(X) + noise * rng.normal(size=n)
    return mf.Problem(X, y, bias=False, l2=0.1, temperature=0.02)


@pytest.fixture(scope="module")
def budget():
    shares = []

    def progress(done, total):
        assert 0 <= done <= total
        shares.append(done / total)

    budget = mf.decompose_error(
        problem(64, noise=0.2),
        TARGET,
        n_particles=32,
        n_steps=30,
        n_atoms=2,
        n_replicas=16,
        data_counts=[32, 64, 128, 256, 512, 1024],
        particle_counts=[8, 16, 32, 64, 128, 256],
        n_population=2048,
        long_particles=64,
        path_particles=1024,
        n_test=100,
        progress=progress,
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1
    return budget


def test_signed_components_add_up(budget):
    assert budget.closure < 1e-12
    norms = np.array([budget.components[name].norms for name in COMPONENTS])
    assert (budget.total.norms <= norms.sum(axis=0) * (1 + 1e-12)).all()
    assert (budget.total.norms > 0).all()


def test_contributions_add_up_to_the_total_exactly(budget):
    parts = [budget.components[name] for name in COMPONENTS]
    values = [part.contribution.value for part in parts]
    assert sum(values) == pytest.approx(budget.total.value, rel=1e-12)
    assert budget.total.contribution.value == pytest.approx(budget.total.value, rel=1e-12)
    for part in (*parts, budget.total):
        low, high = part.contribution.interval
        assert low < part.contribution.value < high
        assert abs(part.contribution.value) <= part.value * (1 + 1e-12)
    # One total, one interval.
    assert budget.total.contribution.interval == budget.total.interval
    saved = budget.dataset["component_contribution"].sel(bound="value").values
    np.testing.assert_array_equal(saved[:-1], values)
    rows = repr(budget).splitlines()[1:7]
    assert [float(row.split()[1]) for row in rows] == pytest.approx(values, rel=1e-2)


def test_contribution_is_the_projection_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    mean, parts = np.array([2.0, -0.5]), []
    hits, trials = 0, 200
    for _ in range(trials):
        # Of E⟨Δ_k, Δ⟩ = mean_k · Σ mean + variance, spread over replicas and over inputs.
        noise = 0.3 * (rng.normal(size=(2, 12, 1, 1)) + rng.normal(size=(2, 1, 40, 1)))
        parts = mean[:, None, None, None] + noise
        found = contribution(parts[0], parts.sum(axis=0))
        variance = 2 * 0.3**2
        truth = (mean[0] * mean.sum() + variance) / np.sqrt(mean.sum() ** 2 + 2 * variance)
        hits += found.low < truth < found.high
    assert found.value == pytest.approx(
        (parts[0] * parts.sum(axis=0)).mean() / np.sqrt((parts.sum(axis=0) ** 2).mean())
    )
    assert 0.88 * trials <= hits <= 0.995 * trials


def test_nothing_contributes_to_no_error():
    nothing = np.zeros((4, 10, 1))
    assert contribution(nothing, nothing).value == 0.0


def test_score_is_that_of_the_network_that_is_kept(budget):
    variance = TARGET(np.random.default_rng(1).normal(size=(20000, 2))).var()
    assert budget.score.value == pytest.approx(1 - budget.total.value**2 / variance, abs=0.1)
    assert budget.score.low < budget.score.value < budget.score.high


def test_every_component_has_an_interval_around_it(budget):
    for part in (*budget.components.values(), budget.total):
        low, high = part.interval
        assert 0 < low < part.value < high
        assert part.value == pytest.approx(np.sqrt((part.norms**2).mean()), rel=1e-12)


def test_slopes_are_minus_one_over_a_factor_32(budget):
    dataset = budget.dataset
    assert dataset["data_count"][-1] == 32 * dataset["data_count"][0]
    assert dataset["particle_count"][-1] == 32 * dataset["particle_count"][0]
    for fit in (budget.statistical_rate, budget.chaos_rate):
        assert fit.slope.low <= -1 <= fit.slope.high
        assert fit.slope.high - fit.slope.low < 0.6
        assert fit.slope.notes == ()


def test_optimisation_decays(budget):
    decay = budget.decay
    assert decay.rate.low > 0.05
    assert decay.other_rate.low > 0.05
    time, mean = (
        budget.dataset["time"].values,
        budget.dataset["optimisation_mean"].sel(bound="value").values,
    )
    fitted = (time >= decay.span[0]) & (time <= decay.span[1])
    assert mean[fitted][-1] < 0.3 * mean[fitted][0]


def test_sparse_residual_falls_to_little_at_the_number_of_the_teacher(budget):
    counts = budget.dataset["atom_count"].values.tolist()
    mean = budget.dataset["sparse_mean"].sel(bound="value").values
    assert (np.diff(mean) < 0).all()
    # At two atoms the network of 32 noisy particles is met; one atom misses half of it.
    assert mean[counts.index(2)] < 0.1 * mean[counts.index(1)]


def test_tail_over_thresholds_holds_that_of_the_budget(budget):
    dataset = budget.dataset
    tail = dataset["tail_by_threshold"].values
    assert (np.diff(tail) >= 0).all()
    assert (np.diff(dataset["atoms_by_threshold"].values) <= 0).all()
    at = int(np.argmin(np.abs(np.log(dataset["threshold"].values / dataset.attrs["threshold"]))))
    assert tail[at] == pytest.approx(dataset.attrs["tail_exact"], rel=1e-12)
    assert dataset["atoms_by_threshold"][at] == budget.bounds[0].number


def test_tail_over_thresholds_leaves_out_what_is_not_told_from_zero():
    def target(X):
        return np.abs(X[:, 0]) * X[:, 1]

    X = np.random.default_rng(0).normal(size=(16, 4))
    plan = plan_errors(mf.Problem(X, target(X), activation="relu", temperature=0.01), target)
    truncated = truncate_target(plan)
    assert truncated.bounds[0].expansion.method == "least squares"
    thresholds, tails, counts = _tails(plan, truncated)
    at = int(np.argmin(np.abs(np.log(thresholds / plan.threshold))))
    assert counts[at] == truncated.bounds[0].number
    assert tails[at] == pytest.approx(truncated.exact, rel=1e-12)


def test_stopping_rule_and_own_errors_are_reported(budget):
    assert budget.settled
    assert budget.moves[-1] <= 0.02
    for name in ("regularisation", "statistical"):
        part = budget.components[name]
        assert 0 < part.resolution < 0.5 * part.value
    assert not any("not resolved" in note for note in budget.notes)


def test_it_reads_well(budget):
    text = repr(budget)
    assert max(map(len, text.splitlines())) < 250
    for word in (*COMPONENTS, "total", "closure", "slope", "advice", "N = 32 particles"):
        assert word in text
    assert budget.advice.option in ("n", "N", "t", "S")
    assert budget.advice.statement in " ".join(text.split())
    assert budget.advice.first in ("n", "N", "t", "S", "l2", "temperature")
    assert budget.bounds[0].barron_norm > 0


def test_it_draws_itself(budget):
    from matplotlib.figure import Figure

    ax = budget.plot(Figure().subplots())
    labels = [text.get_text().split(":")[0] for text in ax.texts]
    assert labels == [*COMPONENTS, "total"]
    norms, bars = ax.patches[::2], ax.patches[1::2]
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    values = [budget.components[name].contribution.value for name in COMPONENTS]
    np.testing.assert_allclose(ends, [*np.cumsum(values), budget.total.value])
    # The last component ends where the total does.
    assert ends[-2] == pytest.approx(ends[-1], rel=1e-12)
    wide = [budget.components[name].value for name in COMPONENTS]
    np.testing.assert_allclose([abs(bar.get_width()) for bar in norms[:-1]], wide)
    low, high = ax.get_xlim()
    for bar in ax.patches:
        assert low <= min(bar.get_x(), bar.get_x() + bar.get_width()) < high


def test_a_wide_interval_leaves_the_bars_in_sight(budget):
    from matplotlib.figure import Figure

    dataset = budget.dataset.copy(deep=True)
    dataset["component_contribution"].loc[{"bound": "high"}][0] = 1e6
    ax = plot_budget(dataset, Figure().subplots())
    longest = max(bar.get_x() + bar.get_width() for bar in ax.patches)
    assert ax.get_xlim()[1] < 3 * longest


def test_the_same_seed_gives_the_same_budget():
    options = {
        "n_particles": 8,
        "n_steps": 5,
        "n_atoms": None,
        "n_replicas": 4,
        "n_population": 64,
        "long_particles": 16,
        "path_particles": 64,
        "settle_steps": 16,
        "n_test": 20,
        "data_counts": [8, 32],
    }
    first, second = (mf.decompose_error(problem(16), TARGET, **options) for _ in range(2))
    assert repr(first) == repr(second)
    # All particles are kept: nothing is lost in the last step.
    assert first.components["sparse"].value == 0
    assert "S" not in first.advice.gain


def test_the_chaos_component_is_predicted():
    budget = mf.decompose_error(
        problem(16),
        TARGET,
        n_particles=32,
        n_steps=20,
        n_atoms=2,
        atom_counts=[2],
        n_replicas=4,
        data_counts=[8, 16, 32],
        particle_counts=[16, 32, 64],
        n_population=64,
        path_particles=1024,
        settle_steps=16,
        n_test=100,
        predict=True,
    )
    predicted = mf.predict_chaos(
        plan_errors(problem(16), TARGET, n_steps=20, n_test=100).training_set(0, 16),
        step_size=0.2,
        n_steps=20,
        times=[20],
        inputs=plan_errors(problem(16), TARGET, n_steps=20, n_test=100).X_test,
        dtype="float32",
        n_systems=4,
    ).dataset["function_at_inputs"]
    # Of four training sets; this is the first of them.
    assert budget.chaos_predicted.low < float(predicted[0]) < 2 * budget.chaos_predicted.value
    ratios = budget.dataset["chaos_ratio"]
    within = (ratios.sel(bound="low") < 1.2) & (ratios.sel(bound="high") > 0.8)
    assert within.all()
    line = budget.dataset["chaos_predicted_line"].sel(particle_count=64)
    assert float(line) == pytest.approx(budget.chaos_predicted.value * (1 / 64 - 1 / 1024))
    assert "nothing fitted" in repr(budget)


def test_data_have_held_out_estimates_and_say_so():
    rng = np.random.default_rng(0)
    X, held = rng.normal(size=(64, 3)), rng.normal(size=(30, 3))
    data = mf.Problem(
        X, np.sign(X[:, 0]), l2=0.1, temperature=0.02, X_test=held, y_test=np.sign(held[:, 0])
    )
    budget = mf.decompose_error(
        data,
        n_data=16,
        n_particles=8,
        n_steps=10,
        n_atoms=2,
        n_replicas=4,
        data_counts=[8, 16, 32, 64],
        long_particles=64,
        path_particles=128,
    )
    assert budget.closure < 1e-12
    assert budget.bounds == ()
    assert any("held-out estimate" in note and "64 rows" in note for note in budget.notes)
    assert "held-out estimate" in budget.components["tail"].meaning
    statistical = budget.dataset["statistical_mean"]
    assert statistical.sel(data_count=64, bound="value") == 0
    assert budget.statistical_rate.slope.known


def test_several_outputs():
    teacher = Teacher([[1.0, 0.5], [-0.5, 1.0]], [[1.5, 0.0], [0.0, 1.5]])
    X = np.random.default_rng(0).normal(size=(16, 2))
    problem = mf.Problem(X, teacher(X), bias=False, l2=0.1, temperature=0.02)
    budget = mf.decompose_error(
        problem,
        teacher,
        n_particles=8,
        n_steps=10,
        n_atoms=2,
        n_replicas=4,
        data_counts=[8, 32],
        n_population=64,
        long_particles=32,
        path_particles=128,
        n_test=50,
    )
    assert budget.closure < 1e-12
    assert len(budget.bounds) == 2


def small(**options):
    """Return a small budget after long training."""
    return mf.decompose_error(
        problem(16),
        TARGET,
        **{
            "n_steps": 60,
            "n_atoms": 2,
            "n_replicas": 4,
            "data_counts": [8, 16, 32],
            "n_population": 64,
            "settle_steps": 50,
            "n_test": 50,
            **options,
        },
    )


def test_narrow_long_time_networks_put_no_floor_under_chaos():
    counts = {"n_particles": 512, "particle_counts": [32, 128, 512], "path_particles": 4096}
    budget = small(**counts, long_particles=32, n_replicas=12)
    assert budget.components["chaos"].resolution < 0.5 * budget.components["chaos"].value
    low, high = budget.chaos_rate.slope.interval
    assert low < -1 < high
    assert high - low < 0.6
    assert budget.closure < 1e-12


def test_what_half_the_penalty_and_temperature_take_off_is_what_training_so_gives():
    budget = small(n_atoms=None, n_particles=8, path_particles=128, long_particles=32)
    plan = plan_errors(problem(16), TARGET, n_steps=60, n_atoms=None, n_replicas=4, n_test=50)
    half = {"l2": {"l2": 0.05}, "temperature": {"temperature": 0.01}}
    for name, change in half.items():
        gains = []
        for r in range(4):
            data = plan.training_set(r, 16)
            options = {"step_size": 0.2, "n_steps": 60, "first_replica": r, "dtype": "float32"}
            runs = [mf.simulate(p, 8, **options) for p in (data, data.replace(**change))]
            errors = [
                ((plan.truth[:, 0] - run.predict(plan.X_test)[0]) ** 2).mean() for run in runs
            ]
            gains.append(errors[0] - errors[1])
        assert budget.advice.halved[name].value == pytest.approx(np.mean(gains), rel=1e-5)


def test_doubling_the_atoms_beyond_the_particles_keeps_them_all():
    options = {"n_particles": 8, "n_atoms": 5, "path_particles": 128, "long_particles": 32}
    some, all_of_them = small(**options), small(**{**options, "n_atoms": None})
    gain = some.total.value**2 - all_of_them.total.value**2
    assert some.advice.gain["S"].value == pytest.approx(gain, rel=1e-6)


def test_columns_of_the_text_do_not_touch(budget):
    tiny = Component(1.714e-15, 5.648e-16, 5.203e-15, meaning="to the kept part")
    text = repr(dataclasses.replace(budget, components={**budget.components, "tail": tiny}))
    assert "5.203e-15] to the kept part" in text
