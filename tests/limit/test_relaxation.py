"""The log-Sobolev bound against spectral gaps, and the free energy against its minimum."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.limit.relaxation import free_energy, log_sobolev_bound
from meanfield.limit.relaxation_rate import slowest_decay
from tests.limit.by_keyword import fokker_planck
from tests.naive_functions import ACTIVATIONS, LOSSES

X = np.array([[-0.9], [-0.3], [0.4], [1.1]])
Y = np.array([-1.2, 0.1, 0.8, 0.6])


def make(**changes):
    settings = {"bias": False, "train": ("w",), "l2": 0.3, "temperature": 0.2} | changes
    return mf.Problem(X, Y, **settings)


def spectral_gap(problem, predictions, axes):
    """Smallest positive eigenvalue of −(τΔ − ∇V·∇) on a grid, by its symmetric form."""
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    r = LOSSES[problem.loss.name].derivative(predictions.reshape(-1, 1), problem.targets)[:, 0]
    a, w = (points[..., 0], points[..., 1]) if len(axes) == 2 else (1.0, points[..., 0])
    g = ACTIVATIONS[problem.activation.name].value(w[..., None] * X[:, 0]) @ r / len(X)
    potential = a * g + problem.l2_input / 2 * np.square(points).sum(-1)
    tau, index = problem.temperature, np.arange(potential.size).reshape(potential.shape)
    operator = np.zeros((potential.size, potential.size))
    for axis in range(len(axes)):
        h = axes[axis][1] - axes[axis][0]
        i, j = np.delete(index, -1, axis).ravel(), np.delete(index, 0, axis).ravel()
        rise = (potential.ravel()[j] - potential.ravel()[i]) / (2 * tau)
        operator[i, j] = operator[j, i] = -tau / h**2
        np.add.at(operator, (i, i), tau / h**2 * np.exp(-rise))
        np.add.at(operator, (j, j), tau / h**2 * np.exp(rise))
    return np.linalg.eigvalsh(operator)[1]


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"l2": 0.8}, "Bakry–Émery"),
        ({}, "Holley–Stroock"),
        ({"activation": "sigmoid"}, "Bakry–Émery"),
        ({"activation": "cos", "temperature": 2.0}, "Holley–Stroock"),
        ({"activation": "softplus", "l2": 0.8}, "Bakry–Émery"),
    ],
)
def test_bound_is_below_the_spectral_gap(changes, argument):
    problem = make(**changes)
    predictions = np.array([0.3, -0.1, 0.2, -0.4])
    bound = log_sobolev_bound(problem, predictions[None])
    assert bound.argument == argument
    gap = spectral_gap(problem, predictions, (np.linspace(-12, 12, 801),))
    assert 0 < bound.rate / 2 <= gap * (1 + 1e-3)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_bound_with_trained_output_weights_is_below_the_spectral_gap(temperature):
    problem = make(train=("a", "w"), l2=0.5, temperature=temperature)
    predictions = np.array([0.3, -0.1, 0.2, -0.4])
    bound = log_sobolev_bound(problem, predictions[None])
    width = 6 * np.sqrt(temperature / 0.5)
    gap = spectral_gap(problem, predictions, (np.linspace(-width, width, 41),) * 2)
    assert 0 < bound.rate / 2 <= gap * (1 + 1e-2)


def test_without_a_force_the_bound_is_that_of_the_gaussian():
    for train in (("w",), ("a", "w")):
        bound = log_sobolev_bound(make(train=train), Y[None])
        assert bound.constant == pytest.approx(0.3 / 0.2)
        assert bound.rate == pytest.approx(0.6)


def test_the_worst_time_counts():
    problem = make()
    paths = np.stack([Y, Y + 0.5, Y + 1.0])
    assert log_sobolev_bound(problem, paths) == log_sobolev_bound(problem, paths[2:])


def test_free_energy_falls_at_least_as_fast_as_the_bound_to_that_of_the_stationary_law():
    problem = make(l2=0.4, temperature=0.3)
    path = fokker_planck(problem, step_size=0.1, n_steps=200, n_cells=512, substeps=4)
    energy = np.array([free_energy(problem, law) for law in path.laws])
    law = mf.stationary(problem)
    assert energy[-1] == pytest.approx(law.free_energy, abs=1e-4)
    gap = energy - energy[-1]
    rates = -np.diff(np.log(gap[:80])) / 0.1
    bound = log_sobolev_bound(problem, path.predictions).rate
    assert (rates >= bound).all()
    assert rates.min() >= slowest_decay(0.1 * np.arange(201), energy).value >= bound
    assert (np.diff(energy[:80]) < 0).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"temperature": 0.0}, "no noise"),
        ({"l2": 0.0}, "l2 = 0"),
        ({"train": ("a",)}, "w is frozen"),
        ({"activation": "he3"}, "he3 is not Lipschitz"),
        ({"activation": "relu", "train": ("a", "w")}, "relu is unbounded"),
        ({"activation": "relu"}, "potential is not convex"),
    ],
)
def test_says_why_there_is_no_bound(changes, reason):
    with pytest.raises(ValueError, match=reason):
        log_sobolev_bound(make(**changes), np.zeros((1, 4)))
