"""The stationary law of mean-field Langevin dynamics: a Gibbs fixed point, by quadrature."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.limit.gibbs import Gibbs, GibbsFamily
from meanfield.system.generators import generator
from meanfield.system.threads import fixed_blas

if TYPE_CHECKING:
    from meanfield.flow.particles import Particles
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_MAX_DIMENSION = 3
_MAX_UNKNOWNS = 4000
#: Legendre tails of the quadrature cells on the way and near the solution.
_ROUGH, _FINE = 1e-4, 1e-8
#: Temperature at which a hard problem is first solved, falling by 4 from there.
_HOT = 0.1
#: Distance to the edge of normalisability, relative to l2, at which mass is said to escape.
_EDGE = 1e-9
#: Predictions below this many rounding errors of what they are the sum of are zero.
_ZERO = 100.0
_PARTICLES = "use a long run of mf.simulate instead"


@dataclass(frozen=True, eq=False)
class StationaryLaw:
    r"""Stationary law ``µ_∞ ∝ exp(−V[µ_∞]/τ)`` of mean-field Langevin dynamics.

    Attributes
    ----------
    problem : Problem
        What was learned.
    predictions : ndarray, shape (n,) or (n, k)
        ``f(x_j) = ∫ a σ(⟨w, x_j⟩ + b) dµ_∞``.
    residual : float
        Largest ``|f(x_j) − ∫ a σ dµ_f|``, with ``µ_f`` the Gibbs law that the predictions ``f``
        produce.
    duality_gap : float
        Free energy of the law less the dual value, ``≥ 0``; ``gap / τ`` bounds the
        Kullback–Leibler divergence from the exact fixed point (up to the quadrature error).
    grid_error : float
        Largest change of the predictions on a grid with every cell halved along every axis.
    start_spread : float
        Largest difference of the predictions reached from the different starting points.
    free_energy : float
        ``J(µ_∞) = R(f) + ∫ (λ/2)|θ|² dµ_∞ + τ ∫ µ_∞ log µ_∞`` in the trained coordinates.
    n_iterations : int
        Newton iterations of the first start.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.3, temperature=0.1)
    >>> law = mf.stationary(problem)
    >>> law.residual < 1e-8, law.density(np.zeros((5, 1))).shape, law.sample(100).w.shape
    (True, (5,), (1, 100, 1))
    """

    problem: Problem
    predictions: Array
    residual: float
    duality_gap: float
    grid_error: float
    start_spread: float
    free_energy: float
    n_iterations: int
    _gibbs: Gibbs = field(repr=False)

    @property
    def loss(self) -> float:
        """Risk ``R(f)`` of the stationary law."""
        return float(self.problem.risk(self.predictions))

    @property
    def n_nodes(self) -> int:
        """Number of quadrature nodes."""
        return self._gibbs.grid.values.size

    @property
    def is_zero(self) -> bool:
        """Whether the predictions are zero up to rounding and what the numbers are known to.

        So they are by symmetry: an odd activation without bias, and labels that are even in x.
        Nothing can then be measured relative to them.
        """
        size = float(self._gibbs.predictions(self.problem.X, absolute=True).max())
        known = self.residual + self.grid_error + self.start_spread
        return bool(np.abs(self.predictions).max() <= _ZERO * np.finfo(float).eps * size + known)

    def __repr__(self) -> str:
        return (
            f"StationaryLaw(loss={self.loss:.4g}, residual={self.residual:.1e}, "
            f"grid_error={self.grid_error:.1e}, n_nodes={self.n_nodes})"
        )

    def log_density(self, theta: ArrayLike) -> Array:
        """Log-density in the trained coordinates, in the order a, w, b.

        Parameters
        ----------
        theta : array_like, shape (..., p)

        Returns
        -------
        ndarray, shape (...)
        """
        theta = checks.finite("theta", theta)
        p = self.problem.n_parameters
        if theta.shape[-1:] != (p,):
            raise ValueError(
                f"theta must have {p} coordinates on its last axis, got {theta.shape}."
            )
        return self._gibbs.log_density(theta.reshape(-1, p)).reshape(theta.shape[:-1])

    def density(self, theta: ArrayLike) -> Array:
        """Density in the trained coordinates, the exponential of the `log_density`.

        Parameters
        ----------
        theta : array_like, shape (..., p)

        Returns
        -------
        ndarray, shape (...)
        """
        return np.exp(self.log_density(theta))

    def predict(self, X: ArrayLike) -> Array:
        """Return ``f(x) = ∫ a σ(⟨w, x⟩ + b) dµ_∞`` at new inputs.

        Parameters
        ----------
        X : array_like, shape (m, d)

        Returns
        -------
        ndarray, shape (m,) or (m, k)
        """
        X = checks.finite("X", X)
        d = self.problem.n_features
        if X.ndim != 2 or X.shape[1] != d or len(X) == 0:
            raise ValueError(f"X must have shape (m, {d}), m at least 1, got {X.shape}.")
        outputs = self._gibbs.predictions(X)
        return outputs if self.problem.vector_output else outputs[:, 0]

    def mean(self) -> Array:
        """Mean of the trained coordinates, shape (p,).

        Returns
        -------
        ndarray
        """
        return self._gibbs.moments()[0]

    def covariance(self) -> Array:
        """Covariance of the trained coordinates, shape (p, p).

        Returns
        -------
        ndarray
        """
        return self._gibbs.moments()[1]

    def sample(self, n_particles: int, n_replicas: int = 1, seed: int = 0) -> Particles:
        """Draw independent particles from the law.

        The input weights are drawn by rejection inside the quadrature cells, the output weights
        from their exact conditional Gaussian.

        Parameters
        ----------
        n_particles, n_replicas, seed : int
            Size of the sample, and its seed.

        Returns
        -------
        Particles
        """
        from meanfield.flow.particles import particles_at

        n, r = checks.count("n_particles", n_particles), checks.listed("n_replicas", n_replicas)
        points = self._gibbs.sample(n * r, generator(checks.seed(seed))).reshape(r, n, -1)
        return particles_at(self.problem, points)


@fixed_blas()
def stationary(
    problem: Problem, *, tolerance: float = 1e-12, n_starts: int = 2, max_iterations: int = 200
) -> StationaryLaw:
    r"""Solve for the stationary law by quadrature, in up to three input parameters.

    .. math::

        µ &∝ e^{−V[µ]/τ}, \\ V[µ](θ) &= \frac1n \sum_j ℓ'(f_µ(x_j), y_j)\, a\, σ(⟨w, x_j⟩ + b)
        + \frac{λ_a}{2} |a|^2 + \frac{λ_w}{2} (|w|^2 + b^2).

    Trained output weights are integrated out exactly (they are Gaussian given ``w, b``), which
    leaves integrals over the input parameters. The unknowns are the predictions ``f(x_j)``:
    Newton's method on ``f = ∫ a σ dµ_f``, each step an ascent step of the concave dual

    .. math:: D(r) = −\frac1n \sum_j ℓ^*(r_j)
        − τ \log ∫ \exp\bigl(−(\tfrac1n \sum_j r_j a σ_j + \tfrac λ2 |θ|^2)/τ\bigr)\, dθ .

    The loss being convex, the law is unique; different starting points confirm it.

    Parameters
    ----------
    problem : Problem
        All of ``w`` and ``b`` trained, ``a`` trained or frozen at 1; ``d`` plus one for the bias
        at most 3; temperature above 0.
    tolerance : float, default: 1e-12
        Residual of the fixed point, relative to the largest prediction (or 1), at which to stop;
        the iteration also stops, without complaint below 1e-9, where rounding ends its progress.
    n_starts, max_iterations : int, default: 2, 200
        Number of starting points, and limit on Newton iterations from each.

    Returns
    -------
    StationaryLaw

    Raises
    ------
    ValueError
        When the problem has too many parameters, a frozen input parameter, or no normalisable
        stationary law: the sentence says why.
    RuntimeError
        When Newton's method does not reach the tolerance.

    References
    ----------
    Mei, Montanari, Nguyen, "A mean field view of the landscape of two-layer neural networks",
    PNAS 2018; Nitanda, Wu, Suzuki, "Particle dual averaging", NeurIPS 2021 (the dual).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> law = mf.stationary(mf.Problem(x, np.sin(2 * x[:, 0]), l2=0.05, temperature=0.01))
    >>> law.residual < 1e-9
    True
    """
    tolerance = checks.positive("tolerance", tolerance)
    n_starts = checks.listed("n_starts", n_starts)
    max_iterations = checks.count("max_iterations", max_iterations)
    check_supported(problem)
    family = GibbsFamily(problem)
    starts = _starts(family, n_starts)
    solutions = [_solve(family, f, tolerance, max_iterations) for f in starts]
    gibbs, n_iterations = solutions[0]
    spread = max(np.abs(other.response - gibbs.response).max() for other, _ in solutions)
    grid_error = float(np.abs(gibbs.refined().response - gibbs.response).max())
    scale = max(1.0, np.abs(gibbs.response).max())
    if grid_error > 1e-6 * scale:
        warnings.warn(
            f"The quadrature of the stationary law is resolved to {grid_error:.1e} only.",
            RuntimeWarning,
            stacklevel=2,
        )
    predictions = gibbs.response if problem.vector_output else gibbs.response[:, 0]
    return StationaryLaw(
        problem=problem,
        predictions=predictions,
        residual=float(np.abs(gibbs.response - gibbs.f).max()),
        duality_gap=gibbs.duality_gap,
        grid_error=grid_error,
        start_spread=float(spread),
        free_energy=gibbs.dual + gibbs.duality_gap,
        n_iterations=n_iterations,
        _gibbs=gibbs,
    )


def check_supported(problem: Problem) -> None:
    """Refuse what has no stationary law or more dimensions than quadrature can do."""
    if problem.frozen_inputs:
        raise ValueError(
            "stationary needs every input parameter trained, but "
            f"{' and '.join(problem.frozen_inputs)} is frozen: the long-time law then depends on "
            f"the initial law; {_PARTICLES}."
        )
    dimension = problem.n_features + problem.bias
    if dimension > _MAX_DIMENSION:
        raise ValueError(
            f"stationary integrates over at most {_MAX_DIMENSION} input parameters (w and b), "
            f"this problem has {dimension}; {_PARTICLES}."
        )
    unknowns = problem.n_data * problem.n_outputs
    if unknowns > _MAX_UNKNOWNS:
        raise ValueError(
            f"stationary solves for n·k ≤ {_MAX_UNKNOWNS} predictions, this problem has "
            f"{unknowns}; {_PARTICLES}."
        )
    if problem.temperature == 0.0:
        raise ValueError(
            "There is no stationary Gibbs law at temperature 0: exp(−V/τ) has no density and the "
            "limit depends on the initial law; set temperature > 0."
        )
    trained_output = "a" in problem.train
    if trained_output and problem.l2_output == 0.0:
        raise ValueError(
            "No normalisable stationary law: with l2_output = 0 the potential is linear in a, "
            "so exp(−V/τ) cannot be integrated over a; set l2 > 0."
        )
    if problem.l2_input == 0.0 and (trained_output or problem.activation.bounds is not None):
        raise ValueError(
            "No normalisable stationary law: with l2_input = 0 exp(−V/τ) does not decay as (w, b) "
            "goes to infinity; set l2 > 0."
        )
    if not problem.loss.convex:
        raise ValueError(
            f"No stationary law is computed here: the {problem.loss.name} loss is not convex, so "
            "that there may be several; use a convex loss."
        )
    degree = problem.activation.degree or 1
    if problem.activation.asymptote is None and problem.activation.degree is None:
        raise ValueError(
            f"No stationary law is computed here: {problem.activation.name} neither stays near "
            "two straight lines nor is a polynomial, so where the law ends is not known; use an "
            "activation that does."
        )
    if degree > 1 and (trained_output or degree % 2):
        raise ValueError(
            f"No normalisable stationary law: {problem.activation.name} makes −V grow like a power "
            "of |(w, b)| that no L2 penalty holds; use an activation of at most linear growth."
        )


def _starts(family: GibbsFamily, n_starts: int) -> list[Array]:
    """Predictions to start from whose Gibbs laws are normalisable."""
    problem = family.problem
    targets, rng = problem.targets, np.random.default_rng(0)
    if problem.loss.name == "squared":
        size = max(1.0, float(np.abs(targets).max()))
        # No force; the untrained network; signals of one sign, which alone may confine.
        candidates = [targets, np.zeros_like(targets), targets + size, targets - size]
    else:
        candidates = [s * targets for s in (0.0, 2.0, 6.0, 18.0)]
    feasible = [f for f in candidates if family.density_bound(f).normalisable]
    for size in 4.0 ** -np.arange(12.0):
        if len(feasible) >= n_starts:
            break
        base = feasible[0] if feasible else targets
        trial = base + size * rng.standard_normal(targets.shape)
        if family.density_bound(trial).normalisable:
            feasible.append(trial)
    if not feasible:
        raise ValueError(
            "No normalisable stationary law was found: exp(−V/τ) does not decay as (w, b) goes to "
            f"infinity for any of the starting predictions; increase l2 (now "
            f"{problem.l2_output:g}, {problem.l2_input:g})."
        )
    return feasible[:n_starts]


class _Escape(Exception):
    """Newton's iterates run to the edge of the normalisable laws."""


def _solve(
    family: GibbsFamily, f: Array, tolerance: float, max_iterations: int
) -> tuple[Gibbs, int]:
    """Solve at falling temperatures, roughly, then at the temperature of the problem."""
    problem, total = family.problem, 0
    ladder = problem.temperature * 4.0 ** np.arange(1.0, 40.0)
    for temperature in ladder[ladder <= _HOT][::-1]:
        hotter = GibbsFamily(problem.replace(temperature=temperature))
        try:
            gibbs, count = _newton(hotter, f, _ROUGH, 0.05, max_iterations)
        except _Escape:
            break
        f, total = gibbs.f, total + count
    try:
        gibbs, rough = _newton(family, f, _ROUGH, 0.01, max_iterations)
        gibbs, fine = _newton(family, gibbs.f, _FINE, tolerance, max_iterations)
    except _Escape as escape:
        raise ValueError(
            "No normalisable stationary law: the free energy keeps falling as a vanishing share of "
            f"the neurons takes unbounded weights; increase l2 (now {problem.l2_output:g}, "
            f"{problem.l2_input:g})."
        ) from escape
    if _residual(gibbs) > max(tolerance, 1e-9):
        reason = (
            f"It used all of max_iterations={max_iterations}; allow more"
            if fine == max_iterations
            else "The temperature is very low or the law close to losing its normalisation; "
            "increase temperature or l2"
        )
        raise RuntimeError(
            f"The stationary law did not converge: residual {_residual(gibbs):.1e}. {reason}."
        )
    return gibbs, total + rough + fine


def _newton(
    family: GibbsFamily, f: Array, tail: float, tolerance: float, max_iterations: int
) -> tuple[Gibbs, int]:
    """Damped Newton iterations on ``f − Φ(f)``, ascending the dual."""
    current = family.at(f, tail)
    for iteration in range(max_iterations):
        residual = _residual(current)
        if residual <= tolerance:
            return current, iteration
        at_edge = -family.density_bound(current.f).leading < _EDGE * family.problem.l2_input
        following = None if at_edge else _line_search(family, current, tail)
        if following is None:
            # Or the full Newton step ends where no law is normalisable.
            ahead = current.f + current.newton_step()[0]
            if residual > 1e-3 and (at_edge or not family.density_bound(ahead).normalisable):
                raise _Escape(f"residual {residual:.1e} at the edge of the normalisable laws")
            return current, iteration
        current = following
    return current, max_iterations


def _residual(gibbs: Gibbs) -> float:
    """Largest ``|Φ(f) − f|``, relative to the largest prediction or 1."""
    scale = max(1.0, np.abs(gibbs.response).max())
    return float(np.abs(gibbs.response - gibbs.f).max() / scale)


def _line_search(family: GibbsFamily, current: Gibbs, tail: float) -> Gibbs | None:
    """First point along the Newton step whose law exists and whose dual value is higher."""
    step, slope = current.newton_step()
    noise = 1e-13 * (1.0 + abs(current.dual))
    # Near the solution a full step either helps or has met the rounding errors.
    halvings = 40.0 if _residual(current) > 1e-8 else 2.0
    for length in 0.5 ** np.arange(halvings):
        f = current.f + length * step
        if not family.density_bound(f).normalisable:
            continue
        trial = family.at(f, tail)
        gained = trial.dual - current.dual
        closer = _residual(trial) < 0.9 * _residual(current)
        if gained > 1e-4 * length * slope or (closer and gained > -noise):
            return trial
    return None
