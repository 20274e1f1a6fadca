"""How fast the mean-field law must relax: a log-Sobolev bound, and the free energy that falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.checks import unmasked
from meanfield.limit.cubature import product_points
from meanfield.limit.grid import GridLaw, InputCoordinates

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LogSobolevBound:
    r"""A lower bound on the log-Sobolev constant of the Gibbs laws along a path.

    Attributes
    ----------
    constant : float
        ``α`` in :math:`\mathrm{KL}(µ | π) \le I(µ | π) / (2α)` for every
        :math:`π \propto e^{−V[µ_t]/τ}` of the path.
    rate : float
        ``2 α τ``: the free energy above its minimum falls at least like ``exp(−rate · t)``.
    argument : str
        ``"Bakry–Émery"`` (the potential is convex) or ``"Holley–Stroock"`` (a bounded
        perturbation of a convex one), whichever gives more.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.3, temperature=0.1)
    >>> path = mf.mean_field(problem, "chain", step_size=0.2, n_steps=20)
    >>> bound = mf.limit.log_sobolev_bound(problem, path.predictions)
    >>> bound.argument, bool(np.isclose(bound.rate, 2 * bound.constant * problem.temperature))
    ('Bakry–Émery', True)
    """

    constant: float
    rate: float
    argument: str


def log_sobolev_bound(problem: Problem, predictions: ArrayLike) -> LogSobolevBound:
    r"""Bound the log-Sobolev constant from the constants of a problem and its error signals.

    With :math:`g(w, b) = \frac1n \sum_j r_j σ(⟨w, x_j⟩ + b)` the potential of frozen output
    weights is :math:`g + \fracλ2 |θ|^2`, and

    .. math:: α \ge \max\Bigl(\frac{λ − \sup\|∇^2 g\|}{τ},\;
        \fracλτ e^{−\mathrm{osc}(g)/τ}\Bigr).

    Trained output weights are shifted by :math:`−g/λ_a`, which makes them an independent Gaussian
    and leaves :math:`\frac{λ_w}{2} |θ|^2 − |g|^2 / (2 λ_a)` for the others; the shift has the
    Lipschitz constant :math:`Λ = s/2 + \sqrt{1 + s^2/4}`, :math:`s = \sup\|∇g\| / λ_a`, so that
    the smaller of the two constants counts, divided by :math:`Λ^2`. The suprema are bounded by
    those of σ and its derivatives and by the sizes of the inputs and of the signals
    :math:`r_j = ∂ℓ/∂f`, the largest along the path.

    Parameters
    ----------
    problem : Problem
        All input parameters trained, positive λ and τ.
    predictions : array_like, shape (T, n) or (T, n, k)
        Mean-field predictions along the path.

    Returns
    -------
    LogSobolevBound

    Raises
    ------
    ValueError
        No bound of this kind exists for the problem; the sentence says why.

    References
    ----------
    Bakry, Émery 1985; Holley, Stroock 1987; Nitanda, Wu, Suzuki, AISTATS 2022, and Chizat,
    "Mean-field Langevin dynamics: exponential convergence and annealing", TMLR 2022 (rate 2ατ).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.3, temperature=0.3)
    >>> path = mf.mean_field(problem, "chain", step_size=0.2, n_steps=20)
    >>> bool(mf.limit.log_sobolev_bound(problem, path.predictions).rate > 0)
    True
    """
    _check(problem)
    sigma, tau = problem.activation, problem.temperature
    targets = problem.targets
    unmasked("predictions", predictions)
    predictions = np.asarray(predictions, dtype=float).reshape(-1, *targets.shape)
    signals = problem.loss.derivative(predictions, targets)
    sizes = np.sqrt(np.square(problem.X).sum(1) + problem.bias)
    trained = "a" in problem.train
    # Output weights frozen at 1 feel the sum of the signals.
    strength = np.linalg.norm(signals, axis=2) if trained else np.abs(signals.sum(2))
    n = problem.n_data
    height, slope, bend = ((strength * sizes**i).sum(1).max() / n for i in range(3))
    slope *= sigma.lipschitz
    bend *= sigma.curvature
    bounded = sigma.bounds is not None
    low, high = sigma.bounds or (-math.inf, math.inf)
    l2 = problem.l2_input
    if not trained:
        convexity, oscillation = l2 - bend, height * (high - low)
    else:
        top = height * max(abs(low), abs(high))
        convexity = l2 - (slope**2 + top * bend) / problem.l2_output if bounded else -math.inf
        oscillation = top**2 / (2.0 * problem.l2_output)
    options = {
        "Bakry–Émery": convexity / tau,
        "Holley–Stroock": l2 / tau * math.exp(-oscillation / tau) if bounded else 0.0,
    }
    argument = max(options, key=options.__getitem__)
    constant = options[argument]
    if constant <= 0:
        raise ValueError(
            f"No log-Sobolev bound: {sigma.name} is unbounded, so that only a convex potential "
            "gives one, and the potential is not convex here; increase l2."
        )
    if trained:
        stretch = slope / problem.l2_output
        stretch = 0.5 * stretch + math.sqrt(1.0 + 0.25 * stretch**2)
        constant = min(problem.l2_output / tau, constant) / stretch**2
    return LogSobolevBound(constant, 2.0 * constant * tau, argument)


def _check(problem: Problem) -> None:
    """Refuse what no argument covers."""
    sigma, reason = problem.activation, None
    if problem.temperature == 0:
        reason = "there is no noise (temperature 0)"
    elif problem.frozen_inputs:
        reason = f"{' and '.join(problem.frozen_inputs)} is frozen"
    elif problem.l2_input == 0 or ("a" in problem.train and problem.l2_output == 0):
        reason = "l2 = 0 leaves nothing to contract to"
    elif not np.isfinite(sigma.lipschitz):
        reason = f"{sigma.name} is not Lipschitz"
    elif "a" in problem.train and sigma.bounds is None:
        reason = f"the output weights are trained and {sigma.name} is unbounded"
    if reason:
        raise ValueError(f"No log-Sobolev bound: {reason}.")


def free_energy(problem: Problem, law: GridLaw) -> float:
    r"""Free energy :math:`J(µ) = R(f_µ) + \fracλ2 ∫|θ|^2 dµ + τ ∫ µ \log µ` of a law on a grid.

    Parameters
    ----------
    problem, law : Problem, GridLaw
        At most two trained coordinates, and their law.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.1, temperature=0.1)
    >>> from meanfield.limit.fokker_planck import fokker_planck
    >>> scheme = mf.Scheme.of(problem, step_size=0.2, n_steps=20)
    >>> start, end = fokker_planck(problem, scheme, save_at=[0, 20]).laws
    >>> mf.limit.free_energy(problem, end) < mf.limit.free_energy(problem, start)
    True
    """
    coordinates = InputCoordinates(problem)
    points = product_points(*law.axes)
    masses, density = law.masses.reshape(-1), law.density.reshape(-1)
    z, outputs = coordinates.pre_activations(points)
    predictions = (masses * outputs[:, 0]) @ problem.activation.value(z)
    penalty = 0.5 * masses @ (np.square(points) @ coordinates.l2)
    entropy = masses @ np.log(np.maximum(density, 1e-300))
    risk = problem.risk(coordinates.shaped(predictions[None]))[0]
    return float(risk + penalty + problem.temperature * entropy)
