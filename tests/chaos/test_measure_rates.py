"""The rate study from end to end."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos import measure_rates
from meanfield.chaos.chaos_plan import default_times, plan_chaos
from meanfield.chaos.reference_path import automatic_method, reference_path


@pytest.fixture(scope="module")
def linear():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(10, 2))
    y = X @ [1.0, -0.5]
    return mf.Problem(
        X, y, activation="identity", bias=False, train=("w",), l2=0.2, temperature=0.05
    )


@pytest.fixture(scope="module")
def tanh():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(16, 2))
    return mf.Problem(X, np.tanh(X[:, 0] - X[:, 1]), l2=0.1, temperature=0.05)


SMALL = {"step_size": 0.3, "n_steps": 30, "times": [3, 15, 20, 30]}


@pytest.fixture(scope="module")
def rates(linear):
    return mf.chaos_rates(linear, [8, 16, 32, 64], 40, seed=3, **SMALL)


def test_slopes_and_constant_agree_with_the_closure(linear, rates):
    closure = mf.mean_field(linear, "gaussian", step_size=0.3, n_steps=30).details
    for metric in ("coupling", "matched_w2", "function"):
        low, high = rates.slope_ci[metric]
        assert low < -1 < high
    low, high = rates.constant_ci["coupling"]
    assert low < closure.coupling_constant[SMALL["times"]].max() < high
    assert rates.expected_slope == {
        "function": -1, "w1_squared": -1, "coupling": -1, "matched_w2": -1, "separated": None,
        "law_bias": None, "raw_w2": None, "sampling_floor": None,
    }  # fmt: skip


def test_raw_distance_is_not_called_a_rate(rates):
    """Raw W2² follows the sampling floor of its dimension, not 1/N."""
    assert rates.slope["raw_w2"] > -0.9
    assert abs(rates.slope["raw_w2"] - rates.slope["sampling_floor"]) < 0.15
    assert rates.expected_slope["raw_w2"] is None


def test_dataset_holds_everything_with_named_dimensions(rates):
    dataset = rates.dataset
    assert dataset["coupling"].dims == ("particles", "time", "replica")
    assert dict(dataset.sizes) == {
        "particles": 4,
        "time": 4,
        "replica": 40,
        "metric": 4,
        "bound": 3,
        "well": 1,
        "into_well": 1,
    }
    assert np.all(dataset["matched_w2"] <= dataset["coupling"] * (1 + 1e-12))
    assert np.isfinite(dataset["raw_w2"][:, -1, :8]).all()
    assert np.isnan(dataset["raw_w2"][:, :-1]).all()
    means = np.log(dataset["function"].mean("replica")[:, -1])
    by_hand = np.polyfit(np.log(dataset["particles"]), means, 1)[0]
    slope = dataset["slope"].sel(metric="function", bound="value")[-1]
    assert float(slope) == pytest.approx(by_hand)


def test_batches_of_replicas_do_not_matter(tanh):
    plan = plan_of(tanh, [8, 16, 32], 10, **SMALL)
    path = reference_path(plan, n_particles=500)
    whole = measure_rates.assemble_rates(plan, path, [measure_rates.measure(plan, path, range(10))])
    parts = [range(0, 4), range(4, 5), range(5, 10)]
    split = measure_rates.assemble_rates(
        plan, path, [measure_rates.measure(plan, path, r) for r in parts]
    )
    assert whole.dataset.identical(split.dataset)
    assert [r for batch in plan.batches() for r in batch] == list(range(10))


def test_saved_pieces_give_the_same_bits(tanh):
    """Saving makes arrays contiguous, and the order of a sum shows in its last bit."""
    plan = plan_of(tanh, [8, 16, 32], 64, **SMALL)
    path = reference_path(plan, n_particles=500)
    piece = measure_rates.measure(plan, path, range(64))
    piece = {name: np.asfortranarray(values) for name, values in piece.items()}
    assert any(not values.flags.c_contiguous for values in piece.values())
    saved = {name: np.array(values, order="C") for name, values in piece.items()}
    fresh, read = (measure_rates.assemble_rates(plan, path, [values]) for values in (piece, saved))
    np.testing.assert_equal(fresh.slope, read.slope)
    np.testing.assert_equal(fresh.constant_ci, read.constant_ci)


def test_reference_error_is_flagged(tanh):
    path = mf.mean_field(tanh, n_particles=200, step_size=0.3, n_steps=30)
    rates = mf.chaos_rates(tanh, [8, 16, 32], 8, reference=path, cloud_replicas=0, **SMALL)
    assert any("error of its own" in flag for flag in rates.flags["coupling"])
    assert "raw_w2" not in rates.fits


def plan_of(problem, counts, n_replicas, times=None, **settings):
    """Return the plan of a study whose scheme is given by its keywords."""
    return plan_chaos(problem, mf.Scheme.of(problem, **settings), counts, n_replicas, times=times)


def test_default_reference_is_large_enough(tanh):
    plan = plan_of(tanh, [8, 16, 32], 8, **SMALL)
    assert reference_path(plan).n_particles == 3200


def test_step_zero_is_left_out(tanh):
    assert plan_of(tanh, [8, 16, 32], 8, step_size=0.3, n_steps=9, times=[0, 9]).times == (9,)


def test_default_times_show_the_late_half():
    times = np.array(default_times(400))
    assert times[-1] == 400
    assert np.sum(times >= 200) >= 5
    assert np.all(np.diff(times) > 0)
    assert default_times(1) == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"particle_counts": [8, 16]}, "at least three sizes"),
        ({"particle_counts": [8, 16, 0]}, "particle_counts must be an integer of at least 1"),
        ({"n_replicas": 3}, "n_replicas must be at least 4 to give intervals"),
        ({"times": [40]}, "times must be steps between 1 and n_steps=30"),
        ({"times": []}, "times must be steps"),
        ({"cloud_size": 8}, "cloud_size must be at least the largest particle count 32"),
        ({"particle_counts": 32}, "particle_counts must be a sequence of integers"),
        ({"reference": np.zeros((31, 16))}, "reference must be a method's name or a MeanFieldPath"),
        ({"reference": "chian"}, "Did you mean 'chain'"),
        ({"reference": "chain"}, "at most 2 trained coordinates"),
        ({"step_size": -1}, "step_size must be greater than 0"),
    ],
)
def test_bad_arguments_are_named(tanh, arguments, message):
    settings = {"particle_counts": [8, 16, 32], "n_replicas": 8, **SMALL, **arguments}
    with pytest.raises((ValueError, TypeError), match=message):
        mf.chaos_rates(tanh, **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_size": 0.2}, "step_size=0.2 instead of 0.3"),
        ({"n_steps": 20}, "only 20 steps of the 30"),
        ({"integrator": "exponential-euler"}, "integrator='exponential-euler'"),
        ({"init": mf.InitialLaw(scale=2.0)}, "init="),
        ({"temperature": 0.1}, "another temperature"),
    ],
)
def test_a_reference_of_other_dynamics_is_refused(tanh, change, message):
    settings = {"step_size": 0.3, "n_steps": 30, "n_particles": 16, **change}
    path = mf.mean_field(tanh, **settings)
    with pytest.raises(ValueError, match=message):
        mf.chaos_rates(tanh, [8, 16, 32], 8, reference=path, **SMALL)


def test_a_reference_of_another_problem_is_refused(tanh, linear):
    path = mf.mean_field(linear, "gaussian", step_size=0.3, n_steps=30)
    with pytest.raises(ValueError, match="another problem"):
        mf.chaos_rates(tanh, [8, 16, 32], 8, reference=path, **SMALL)


@pytest.fixture(scope="module")
def one():
    X = np.linspace(-1, 1, 8)[:, None]
    y = np.sin(2 * X[:, 0])
    return mf.Problem(X, y, bias=False, train=("w",), l2=0.1, temperature=0.05)


@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({}, "chain"),
        ({"activation": "identity"}, "gaussian"),
        ({"train": ("a", "w"), "temperature": 0.5}, "chain"),
        ({"train": ("a", "w"), "temperature": 1e-4}, "particles"),  # too many lattice points
        ({"temperature": 0.0}, "particles"),
        ({"train": ("a",)}, "particles"),
    ],
)
def test_automatic_reference_is_exact_where_that_is_cheap(one, changes, method):
    plan = plan_of(one.replace(**changes), [4, 8, 64], 4, step_size=0.1, n_steps=4)
    assert reference_path(plan).method == method


def test_automatic_reference_stays_within_memory():
    X = np.linspace(-1, 1, 6000)[:, None]
    problem = mf.Problem(X, X[:, 0], bias=False, train=("a", "w"), temperature=0.5)
    plan = plan_of(problem, [4, 8, 1024], 4, step_size=0.1, n_steps=1)
    assert automatic_method(plan, 10**6) == "particles"


def test_law_of_the_gaussian_closure_is_that_of_the_chain(one):
    """W2² to the limit law by two references that share nothing but the law."""
    settings = {"step_size": 0.3, "n_steps": 8, "times": [2, 8], "seed": 2, "cloud_replicas": 0}
    problem = one.replace(activation="identity")
    exact, chain = (
        mf.chaos_rates(problem, [4, 8, 16], 6, reference=reference, **settings)
        for reference in ("gaussian", "chain")
    )
    for name in ("law_w2", "law_floor", "coupling"):
        np.testing.assert_allclose(exact.dataset[name], chain.dataset[name], rtol=1e-5)
    assert exact.dataset["law_w2"].dims == ("particles", "time", "replica")


def test_distance_of_independent_draws_to_their_law(one):
    """For N = 1 the squared distance to the law is the second moment about the point."""
    settings = {"step_size": 0.3, "n_steps": 6, "times": [6], "seed": 2, "cloud_replicas": 0}
    rates = mf.chaos_rates(one, [1, 2, 4], 400, reference="chain", **settings)
    law = mf.mean_field(one, "chain", step_size=0.3, n_steps=6).details.at(6)
    floor = rates.dataset["law_floor"].sel(particles=1)[0].values
    error = floor.std(ddof=1) / 20
    assert abs(floor.mean() - 2 * law.covariance()[0, 0]) < 4 * error


def test_step_size_keeps_particles_away_from_the_flow_in_continuous_time(one):
    settings = {"step_size": 1.0, "n_steps": 20, "times": [10, 20], "cloud_replicas": 0}
    chain, flow = (
        mf.chaos_rates(one, [64, 512, 4096], 16, reference=reference, **settings)
        for reference in ("chain", "fokker-planck")
    )
    assert chain.fits["function"].slope.agrees
    gap = mf.mean_field(one, "chain", step_size=1.0, n_steps=20).predictions
    gap = gap - mf.mean_field(one, "fokker-planck", step_size=1.0, n_steps=20).predictions
    excess = (flow.dataset["function"] - chain.dataset["function"]).mean("replica")
    expected = np.square(gap[[10, 20]]).mean(1)
    np.testing.assert_allclose(excess.sel(particles=4096), expected, rtol=0.5)
    assert flow.slope["function"] > chain.slope["function"] + 0.1


def test_supremum_is_the_largest_mean(rates):
    for metric, trend in rates.trends.items():
        means = 64 * rates.dataset[metric].sel(particles=64).mean("replica")
        assert trend.supremum.value == pytest.approx(float(means.max()))
        assert trend.supremum_time == pytest.approx(float(means.time[means.argmax("time")]))


def test_late_is_late_in_time_not_in_steps(linear):
    """Steps that shrink to a tenth: half of the time is over long before half of the steps."""
    steps = np.arange(5, 41, 5)
    rates = mf.chaos_rates(
        linear, [16, 32, 64], 6, step_size=mf.schedule.Geometric(0.5, 0.05), n_steps=40,
        times=steps, cloud_replicas=0,
    )  # fmt: skip
    time, coupling = rates.dataset["time"].values, rates.dataset["coupling"].values[-1]
    late = time >= time[-1] / 2
    assert late.sum() > (steps >= 20).sum()
    slope = np.polyfit(time[late], 64 * coupling.mean(axis=1)[late], 1)[0]
    expected = slope * (time[-1] - time[late][0]) / (64 * coupling[late].mean())
    assert rates.trends["coupling"].change.value == pytest.approx(expected)


@pytest.mark.slow
def test_intervals_are_honest_on_the_oracle(linear):
    """Over 200 small studies the 95 % intervals hold −1 between 90 % and 98 % of the time."""
    path = mf.mean_field(linear, "gaussian", step_size=0.3, n_steps=30)
    held = {"coupling": 0, "matched_w2": 0, "function": 0}
    for seed in range(200):
        rates = mf.chaos_rates(
            linear, [16, 32, 64, 128], 24, seed=seed, reference=path, cloud_replicas=0, **SMALL
        )
        for metric in held:
            held[metric] += rates.fits[metric].slope.agrees
    print(held)  # the README gives these counts
    assert all(180 <= count <= 196 for count in held.values()), held


def test_schedules_keep_the_rate_exact(linear):
    """Cooling with shrinking steps: N E D_N stays on the closure, at times that are sums."""
    settings = {
        "step_size": mf.schedule.Geometric(0.6, 0.2),
        "temperature": mf.schedule.Logarithmic(0.3),
        "n_steps": 20,
        "integrator": "leimkuhler-matthews",
    }
    rates = mf.chaos_rates(linear, [8, 16, 32], 64, times=[5, 20], cloud_replicas=0, **settings)
    sizes = mf.schedule.Geometric(0.6, 0.2).values(20)
    np.testing.assert_allclose(rates.dataset["time"], [sizes[:5].sum(), sizes.sum()])
    exact = mf.mean_field(linear, "gaussian", **settings).details.coupling_constant[[5, 20]]
    np.testing.assert_array_equal(rates.dataset["coupling_exact"], exact)
    measured = 32 * rates.dataset["coupling"].sel(particles=32)
    error = measured.std("replica", ddof=1) / np.sqrt(64)
    assert (abs(measured.mean("replica") - exact) < 4 * error).all()
    other = mf.mean_field(linear, "gaussian", **{**settings, "temperature": 0.3})
    with pytest.raises(ValueError, match="another temperature"):
        mf.chaos_rates(linear, [8, 16, 32], 4, times=[5, 20], reference=other, **settings)
    other = mf.mean_field(
        linear, "gaussian", **{**settings, "step_size": mf.schedule.Geometric(0.6, 0.3)}
    )
    with pytest.raises(ValueError, match="another schedule of the step size"):
        mf.chaos_rates(linear, [8, 16, 32], 4, times=[5, 20], reference=other, **settings)


def test_kinetic_particles_have_kinetic_copies(tanh):
    settings = {"step_size": 0.2, "n_steps": 10, "integrator": "kinetic(2)", "cloud_replicas": 0}
    path = mf.mean_field(tanh, n_particles=6400, step_size=0.2, n_steps=10, integrator="kinetic(2)")
    rates = mf.chaos_rates(tanh, [16, 32, 64], 96, times=[10], reference=path, **settings)
    low, high = rates.slope_ci["coupling"]
    assert low < -1 < high < -0.7
    with pytest.raises(ValueError, match=r"integrator='kinetic\(2\)' instead of 'kinetic'"):
        mf.chaos_rates(
            tanh,
            [16, 32, 64],
            8,
            times=[10],
            reference=path,
            **{**settings, "integrator": "kinetic"},
        )
