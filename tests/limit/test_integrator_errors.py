"""Errors of integrators are differences of plain runs on the same Brownian paths."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.limit.integrator_errors import IntegratorErrors, integrator_errors
from meanfield.problem import teacher

SETTINGS = {
    "step_sizes": [0.2, 0.4, 0.8], "reference_step": 0.1, "n_particles": 64, "n_replicas": 10,
    "burn_in": 4.0, "duration": 12.0, "path_step_sizes": [0.1, 0.2, 0.4], "path_time": 1.6,
    "seed": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def problem():
    data = teacher(
        n_features=1, n_atoms=1, bias=False, n_train=6, inputs="uniform-cube", output_norm=3.0,
        n_test=1,
    )  # fmt: skip
    return data.problem(bias=False, l2=0.5, temperature=2.0)


@pytest.fixture(scope="module")
def found(problem):
    calls = []
    errors = integrator_errors(
        problem,
        batch_size=2,
        anchor_period=3,
        progress=lambda done, total: calls.append((done, total)),
        **SETTINGS,
    )
    assert calls == [(i, 6) for i in range(1, 7)]
    return errors


def test_stationary_errors_are_differences_of_plain_runs(problem, found):
    law = mf.stationary(problem)
    start, f = law.sample(64, 10, 2), law.predictions

    def amplitude(name, h, m, start=start, **batches):
        run = mf.simulate(
            problem, step_size=h, n_steps=round(12 / h), integrator=name, init=start, seed=2,
            substeps=m, save_at=range(round(12 / h) + 1), **batches,
        )  # fmt: skip
        return run.predictions @ f / (f @ f)

    fine = amplitude("leimkuhler-matthews", 0.1, 1)
    np.testing.assert_allclose(found["euler"].reference_bias, fine[:, 40:].mean(1) - 1, rtol=1e-9)
    gap = (amplitude("euler", 0.4, 4) - fine[:, ::4])[:, 10:]
    np.testing.assert_allclose(found["euler"].bias[1], gap.mean(1), rtol=1e-9)
    assert found["euler"].stationary_error[1].value == pytest.approx(gap.mean())
    coarse = amplitude("leimkuhler-matthews", 0.2, 2)
    gap = (coarse[:, :-1] - (fine[:, :-1:2] + fine[:, 2::2]) / 2)[:, 20:]
    np.testing.assert_allclose(found["leimkuhler-matthews"].bias[0], gap.mean(1), rtol=1e-9)
    few = mf.Particles(start.a[:8], start.w[:8], None)
    batches = amplitude("euler", 0.4, 4, few, batch_size=2, anchor_period=3)
    gap = (batches - fine[:8, ::4])[:, 10:]
    np.testing.assert_allclose(found["euler, SVRG"].bias[1], gap.mean(1), rtol=1e-9)
    own = amplitude("kinetic", 0.1, 1)
    gap = (amplitude("kinetic", 0.8, 8) - own[:, ::8])[:, 5:]
    np.testing.assert_allclose(found["kinetic"].bias[2], gap.mean(1), rtol=1e-9)


def test_strong_errors_are_distances_of_plain_runs(problem, found):
    start = mf.stationary(problem).sample(64, 10, 2)

    def end(name, h, m):
        run = mf.simulate(
            problem, step_size=h, n_steps=round(1.6 / h), integrator=name, init=start, seed=2,
            substeps=m,
        )  # fmt: skip
        return run.particles.coordinates

    away = end("leimkuhler-matthews", 0.2, 64) - end("euler", 0.1 / 32, 1)
    squared = np.square(away).sum(-1).mean(-1)
    errors = found["leimkuhler-matthews"]
    np.testing.assert_allclose(errors.squared_distance[1], squared, rtol=1e-9)
    assert errors.strong_error[1].value == pytest.approx(np.sqrt(squared.mean()))
    assert len(found["euler, minibatch"].path_step_sizes) == 0


def test_costs_count_gradients_over_all_data(found):
    at = {name: errors.gradients[1] for name, errors in found.items()}
    assert list(at.values()) == pytest.approx([2.5] * 4 + [2.5 * 2 / 6, 2.5])
    assert found["euler, SVRG"].reference == "leimkuhler-matthews"
    assert found["kinetic"].reference == "kinetic"


def test_orders_and_costs_of_exact_powers():
    """Errors 0.1 η and distances 0.3 η², alike in all replicas but for a common factor."""
    h, factor = np.array([0.1, 0.2, 0.4, 0.8]), 1 + 0.01 * np.arange(-2.0, 3.0)
    errors = IntegratorErrors(
        integrator=mf.flow.integrators.get_integrator("euler"),
        minibatch=None,
        step_sizes=h,
        bias=0.1 * np.outer(h, factor),
        reference="leimkuhler-matthews",
        reference_bias=np.zeros(5),
        path_step_sizes=h,
        squared_distance=0.3 * np.outer(h**2, factor),
        gradients=1 / h,
    )
    assert errors.stationary_order().value == pytest.approx(1.0)
    assert errors.strong_order().value == pytest.approx(1.0)
    assert errors.strong_order().expected == 1.0
    np.testing.assert_allclose(errors.strong_error.value, np.sqrt(0.3) * h)
    assert errors.gradients_at(0.04).value == pytest.approx(2.5)
    assert errors.gradients_at(0.04).label.endswith("of euler at a bias of 4%")


def test_a_step_size_beyond_stability_is_left_out(problem):
    stiff = problem.replace(l2=6.0)
    # At 0.8 the particles grow by 3.8 a step, and leave the numbers after some 530 of them.
    long = {"n_replicas": 4, "step_sizes": [0.1, 0.2, 0.8], "duration": 600.0}
    settings = {**SETTINGS, **long}
    errors = integrator_errors(stiff, ["euler"], **settings)["euler"]
    assert np.isfinite(errors.bias[:2]).all()
    assert np.isnan(errors.bias[2]).all()
    assert np.isnan(errors.stationary_error.value[2])
    order = errors.stationary_order()
    assert np.isnan(order.value)
    assert [note.code for note in order.notes] == ["diverged", "no-order"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_sizes": [0.2, 0.4]}, "at least three step sizes"),
        ({"step_sizes": [0.2, 0.4, 0.55]}, "step_sizes must hold whole multiples of 0.1"),
        ({"step_sizes": [-0.2, 0.4, 0.6]}, "step_sizes must be greater than 0"),
        ({"duration": 12.1}, "duration must hold whole multiples of 0.2"),
        ({"burn_in": 12.0}, "burn_in must be shorter than duration"),
        ({"integrators": ["eulr"]}, "Unknown integrator 'eulr'"),
        ({"integrators": []}, "integrators must name at least one"),
        ({"batch_size": 7}, "batch_size must be at most the 6 data"),
        ({"n_replicas": 2}, "n_replicas must be an integer of at least 4"),
    ],
)
def test_wrong_settings_are_told_before_the_work(problem, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        integrator_errors(problem, **{**SETTINGS, **changes})
    (key,) = changes
    assert caught.value.argument in (key, "integrator")


def test_a_problem_without_a_stationary_law_is_told(problem):
    with pytest.raises(ValueError, match="temperature"):
        integrator_errors(problem.replace(temperature=0.0), **SETTINGS)
