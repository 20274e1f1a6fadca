"""Several wells: distances of partners by hand, modulo symmetry, and the verdict."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.chaos import measure_rates
from meanfield.chaos.chaos_plan import plan_chaos
from meanfield.chaos.metrics import folded_squares, partner_metrics
from meanfield.chaos.reference_path import reference_path
from meanfield.chaos.wells import find_wells
from meanfield.flow.particles import Particles
from meanfield.problem import get_activation


def test_distances_by_hand():
    """Partners 3, 4 and 0 apart: mean square 25/3, squared mean (7/3)², one of three beyond 3.5."""
    x = Particles(np.zeros((1, 3)), np.array([[[3.0, 0], [0, 4], [1, 1]]]))
    y = Particles(np.zeros((1, 3)), np.array([[[0.0, 0], [0, 0], [1, 1]]]))
    found = partner_metrics(folded_squares(x, y), size=3.5)
    assert found["coupling"] == pytest.approx([25 / 3])
    assert found["w1_squared"] == pytest.approx([49 / 9])
    assert found["separated"] == pytest.approx([1 / 3])
    assert (found["w1_squared"] <= found["coupling"]).all()


IMAGES = {
    "tanh": lambda a, w, b: (-a, -w, -b),
    "cos": lambda a, w, b: (a, -w, -b),
    "abs": lambda a, w, b: (a, -w, -b),
    "sin": lambda a, w, b: (-a, w, b + 3 * np.pi),
}


@pytest.mark.parametrize("name", IMAGES)
def test_symmetry_of_a_partner_does_not_matter(name):
    rng = np.random.default_rng(0)
    a, w, b = rng.normal(size=(2, 5)), rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5))
    at = Particles(rng.normal(size=(2, 5)), rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5)))
    activation = get_activation(name)
    plain = folded_squares(at, Particles(a, w, b), activation)
    moved = Particles(*IMAGES[name](a, w, b))
    np.testing.assert_allclose(folded_squares(at, moved, activation), plain, rtol=1e-12)
    assert (plain <= folded_squares(at, Particles(a, w, b))).all()
    assert folded_squares(moved, Particles(a, w, b), activation).max() < 1e-20
    assert folded_squares(moved, Particles(a, w, b)).min() > 0.01


@pytest.mark.parametrize("name", ["relu", "sigmoid", "silu", "softplus"])
def test_a_flip_that_leaves_something_over_is_no_symmetry_of_a_neuron(name):
    rng = np.random.default_rng(1)
    x, y = (Particles(rng.normal(size=(1, 4)), rng.normal(size=(1, 4, 2))) for _ in range(2))
    flipped = Particles(-y.a, -y.w)
    for other in (y, flipped):
        np.testing.assert_array_equal(
            folded_squares(x, other, get_activation(name)), folded_squares(x, other)
        )


def learning(seed=0):
    """Features are learned: y = tanh x₁ − tanh x₂ at low temperature, mirror wells ± (a, w)."""
    X = np.random.default_rng(seed).normal(size=(48, 8))
    y = np.tanh(X[:, 0]) - np.tanh(X[:, 1])
    return mf.Problem(X, y, bias=False, l2=0.05, temperature=0.012)


def sine():
    """One weight w with wells of different functions, the exact chain as the limit."""
    X = np.linspace(-np.pi, np.pi, 32)[:, None]
    y = 0.5 * (np.sin(X[:, 0]) + np.sin(4 * X[:, 0]))
    return mf.Problem(X, y, "sin", bias=False, train=("w",), l2=0.02, temperature=0.05)


def studied(problem, counts, n_replicas, step_size, n_steps, times):
    scheme = mf.Scheme.of(problem, step_size=step_size, n_steps=n_steps)
    plan = plan_chaos(problem, scheme, counts, n_replicas, times=times, cloud_replicas=0)
    return plan, reference_path(plan)


def test_wells_are_minima_of_the_frozen_potential():
    plan, path = studied(learning(), [16, 32, 64], 4, 0.5, 300, [300])
    wells = find_wells(plan, path)
    assert wells.n_wells == 2
    assert wells.n_modulo == 1
    assert wells.occupation == pytest.approx([0.5, 0.5], abs=0.12)
    np.testing.assert_allclose(wells.minima[0], -wells.minima[1], atol=0.05)
    problem, residual = plan.problem, path.predictions[300] - plan.problem.y
    a, w = wells.minima[0, 0], wells.minima[0, 1:]
    z = np.tanh(problem.X @ w)
    in_a = np.mean(residual * z) + 0.05 * a
    in_w = (residual * a * (1 - z**2)) @ problem.X / 48 + 0.05 * w
    assert abs(in_a) + np.abs(in_w).max() < 0.01 * np.abs(a)
    assert wells.size == pytest.approx(np.linalg.norm(wells.minima[0]), rel=0.02)


def test_a_quadratic_potential_has_one_well():
    X = np.random.default_rng(1).normal(size=(10, 2))
    problem = mf.Problem(X, X[:, 0], "identity", bias=False, train=("w",), l2=0.2, temperature=0.05)
    rates = mf.chaos_rates(
        problem, [16, 32, 64], 24, step_size=0.3, n_steps=30, times=[10, 30], cloud_replicas=0
    )
    assert rates.wells.n_wells == 1
    assert rates.verdict.startswith("one well: W2² falls like 1/N")
    assert repr(rates).endswith(rates.verdict)
    assert "unbiased" in [note.code for note in rates.fits["law_bias"].slope.notes]
    assert not any("more replicas" in flag for flag in rates.flags["law_bias"])
    assert (rates.dataset["w1_squared"] <= rates.dataset["coupling"] * (1 + 1e-12)).all()


@pytest.mark.parametrize(("make", "step_size", "n_steps"), [(sine, 0.1, 400), (learning, 0.5, 400)])
def test_several_wells_are_named_and_no_floor_is_claimed(make, step_size, n_steps):
    rates = mf.chaos_rates(
        make(), [32, 64, 128], 16, step_size=step_size, n_steps=n_steps, times=[n_steps],
        cloud_replicas=0,
    )  # fmt: skip
    assert rates.verdict.startswith("several wells: partners separate")
    assert rates.expected_slope["coupling"] is None
    assert rates.expected_slope["w1_squared"] == rates.expected_slope["function"] == -1
    assert np.isnan(rates.constant["coupling"])
    for metric in ("w1_squared", "function"):
        assert rates.fits[metric].slope.agrees
    assert "floor" not in {note.code for fit in rates.fits.values() for note in fit.slope.notes}
    assert "noise floor" not in repr(rates)
    assert rates.slope["coupling"] > rates.slope["w1_squared"]
    assert (rates.dataset["separated"].mean("replica") > 0).all()


def test_particles_without_a_minimum_do_not_size_the_wells():
    """A softplus neuron may descend for ever; the others' well is as wide as they are spread."""
    X = np.random.default_rng(0).normal(size=(64, 2))
    problem = mf.Problem(
        X, np.tanh(X[:, 0] - X[:, 1]), activation="softplus", l2=0.01, temperature=0.01
    )
    rates = mf.chaos_rates(problem, [16, 32, 64], 4, step_size=0.2, n_steps=100)
    late = mf.simulate(problem, 256, step_size=0.2, n_steps=100).particles.coordinates
    assert 0 < rates.wells.size < 4 * np.sqrt(np.square(late).sum(axis=-1).mean())


def test_particles_without_a_minimum_stay_with_those_of_their_side():
    """Weights without a penalty grow for ever; which way they go is decided long before."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = np.tanh(2 * X[:, 0]) - np.tanh(2 * X[:, 1])
    problem = mf.Problem(X, y, l2=(0.05, 0.0), temperature=0.0)
    plan, path = studied(problem, [8, 16, 32], 4, 0.3, 200, [200])
    wells = find_wells(plan, path)
    assert (wells.n_wells, wells.n_modulo) == (4, 2)
    # Heun's steps of 0.2 up to a time of 1600, where the last few particles still arrive.
    np.testing.assert_allclose(wells.occupation, [0.289, 0.242, 0.223, 0.207], atol=0.02)


def test_replicas_may_come_in_any_order():
    plan, path = studied(sine(), [8, 16, 32], 6, 0.1, 50, [50])
    piece = measure_rates.measure(plan, path, range(6))
    order = np.random.default_rng(0).permutation(6)
    mixed = {name: values[:, :, order] for name, values in piece.items()}
    wells = find_wells(plan, path)
    one, other = (measure_rates.assemble_rates(plan, path, [p], wells) for p in (piece, mixed))
    for metric in ("w1_squared", "coupling", "function"):
        assert one.slope[metric] == pytest.approx(other.slope[metric], rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("make", [sine, learning])
def test_squared_w1_keeps_its_rate(make):
    step_size, n_steps = (0.1, 3000) if make is sine else (0.5, 1000)
    rates = mf.chaos_rates(
        make(), [32, 64, 128, 256, 512], 32, step_size=step_size, n_steps=n_steps,
        times=[n_steps], cloud_replicas=0,
    )  # fmt: skip
    assert -1.15 < rates.slope["w1_squared"] < -0.85
    assert rates.slope["coupling"] > -0.75
    assert rates.fits["function"].slope.agrees


def test_a_lattice_that_is_too_large_is_said():
    problem = sine().replace(temperature=1e-5)
    rates = mf.chaos_rates(
        problem, [4, 8, 16], 4, step_size=0.1, n_steps=10, times=[10], cloud_replicas=0
    )
    assert rates.dataset.attrs["reference"] == "particles"
    assert "lattice of" in rates.dataset.attrs["reference_reason"]
    assert "more than the 1600 particles" in repr(rates)
