"""Time integrators of the mean-field Langevin dynamics, as coefficients of one linear step.

Every integrator here advances each coordinate c of each particle by

    θ_c ← decay_c θ_c − gain_c ∂_c U(θ) + noise_{t,c} ξ_{t,c},

where ``U`` is the data part of the potential ``V``. The kernel knows this form only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield import checks

if TYPE_CHECKING:
    from meanfield.problem import Problem


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of the step; frozen coordinates have decay 1, gain 0 and noise 0.

    Parameters
    ----------
    decay, gain : ndarray, shape (C,)
        Per coordinate.
    noise : ndarray, shape (n_steps, C)
        Per step and coordinate.
    """

    decay: NDArray[np.float64]
    gain: NDArray[np.float64]
    noise: NDArray[np.float64]


@dataclass(frozen=True)
class Integrator:
    """A time integrator.

    Parameters
    ----------
    name : str
        Public name.
    strong_order : float
        Order in the step size of the pathwise error on a fixed horizon.
    stationary_order : float
        Order of the bias of the stationary law.
    gradients_per_step : int
        Cost of a step in gradient evaluations.
    coefficients : callable
        ``(l2, step_size, temperature) -> (decay, gain, noise)`` for arrays that broadcast.
    """

    name: str
    strong_order: float
    stationary_order: float
    gradients_per_step: int
    coefficients: Callable[..., tuple[NDArray, NDArray, NDArray]]


def _euler(l2, step_size, temperature):
    decay = 1 - step_size * l2
    gain = np.full_like(decay, step_size)
    return decay, gain, np.sqrt(2 * step_size * temperature)


def _exponential_euler(l2, step_size, temperature):
    # −expm1(−z)/z is the exact average of the contraction over the step; 1 at z = 0.
    rate = np.asarray(step_size * l2, dtype=float)
    decay = np.exp(-rate)
    return decay, step_size * _phi(rate), np.sqrt(2 * step_size * temperature * _phi(2 * rate))


def _phi(z):
    """(1 − exp(−z)) / z, continued by 1 at 0."""
    safe = np.where(z == 0, 1.0, z)
    return np.where(z == 0, 1.0, -np.expm1(-safe) / safe)


INTEGRATORS: dict[str, Integrator] = {
    "euler": Integrator("euler", 1.0, 1.0, 1, _euler),
    "exponential-euler": Integrator("exponential-euler", 1.0, 1.0, 1, _exponential_euler),
}


def get_integrator(name: str | Integrator) -> Integrator:
    """Return the integrator of that name.

    Parameters
    ----------
    name : str or Integrator
        A key of `INTEGRATORS`, or an integrator, which is returned as it is.

    Returns
    -------
    Integrator
        The integrator.

    Raises
    ------
    ValueError
        If there is no integrator of that name.
    """
    if isinstance(name, Integrator):
        return name
    return INTEGRATORS[checks.choice("integrator", name, INTEGRATORS)]


def step_coefficients(
    problem: Problem,
    integrator: Integrator,
    step_size: float,
    temperatures: NDArray[np.float64],
) -> Coefficients:
    """Return the coefficients of every step for the coordinates of `problem`.

    Parameters
    ----------
    problem : Problem
        Gives the L2 strengths and the trained coordinates.
    integrator : Integrator
        The integrator.
    step_size : float
        Step size η.
    temperatures : ndarray, shape (n_steps,)
        Temperature τ_t of each step.

    Returns
    -------
    Coefficients
        With zero gain and noise on frozen coordinates.
    """
    k, d = problem.n_outputs, problem.n_features
    l2 = np.array([problem.l2_output] * k + [problem.l2_input] * (d + int(problem.bias)))
    trained = np.array(
        ["a" in problem.train] * k
        + ["w" in problem.train] * d
        + ["b" in problem.train] * int(problem.bias)
    )
    decay, gain, noise = integrator.coefficients(l2, step_size, temperatures[:, None])
    noise = np.broadcast_to(noise, (len(temperatures), len(l2)))
    return Coefficients(
        decay=np.where(trained, decay, 1.0),
        gain=np.where(trained, gain, 0.0),
        noise=np.where(trained, noise, 0.0),
    )
