"""The mean-field path: predictions of the infinitely wide network at every step."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.checkpoint import Checkpoint
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.initial import Init
from meanfield.flow.initial_state import initial_state
from meanfield.flow.minibatch import shared
from meanfield.flow.particles import Particles, as_particles
from meanfield.flow.schedule import Schedule
from meanfield.flow.scheme import Scheme
from meanfield.flow.step_loop import run_steps
from meanfield.limit.chain import chain_law
from meanfield.limit.fokker_planck import fokker_planck
from meanfield.limit.gaussian_closure import gaussian_closure
from meanfield.system import memory
from meanfield.system.progress import Progress
from meanfield.system.threads import fixed_blas

if TYPE_CHECKING:
    from meanfield.problem import Problem

#: Noise index of the large reference system: far from the replicas of any study, so that it is
#: independent of them although the seed is the same.
REFERENCE_REPLICA = 2**32 - 1

METHODS = ("particles", "gaussian", "chain", "fokker-planck")


@dataclass(frozen=True, eq=False)
class MeanFieldPath:
    """Predictions of the mean-field law along the flow.

    Attributes
    ----------
    predictions : ndarray, shape (n_steps + 1, n) or (n_steps + 1, n, k)
        ``f̄_t(x_j)`` at every step; pass the path as ``drive=`` to `simulate` for
        McKean–Vlasov copies. In a rate study with minibatches NaN but for what it needs: the data
        of each step's batch, and all data at the measured steps.
    problem, scheme : Problem, Scheme
        What was learned, and how the particles moved; a study of this path must share both.
    method : str
        How it was computed, see `mean_field`.
    n_particles : int or None
        Size M of the system behind the path, whose error is O(1/M); None when it is exact.
    particles : Particles or None
        Its particles at the last step.
    details : object
        Further results of the method: a `GaussianClosure` for ``"gaussian"``, a `GridPath` with
        the law and an error estimate for ``"chain"`` and ``"fokker-planck"``.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.3, temperature=0.1)
    >>> path = mf.mean_field(problem, "chain", step_size=0.2, n_steps=20)
    >>> path.predictions.shape, path.times[-1], path.n_particles
    ((21, 8), np.float64(4.0), None)
    >>> copies = mf.simulate(problem, 64, 0.2, 20, drive=path)  # driven by it: independent
    """

    predictions: NDArray[np.float64]
    problem: Problem
    scheme: Scheme
    method: str
    n_particles: int | None = None
    particles: Particles | None = None
    details: Any = None

    @property
    def step_size(self) -> float | NDArray[np.float64]:
        """The step size, one number where it is constant, else that of every step."""
        return self.scheme.step_size

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return self.scheme.n_steps

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of every step, shape (n_steps + 1,)."""
        return self.scheme.times

    @property
    def loss(self) -> NDArray[np.float64]:
        """Risk at every step, shape (n_steps + 1,)."""
        return self.problem.risk(self.predictions)

    def __repr__(self) -> str:
        size = "" if self.n_particles is None else f", n_particles={self.n_particles}"
        return (
            f"MeanFieldPath(method={self.method!r}{size}, n_steps={self.scheme.n_steps}, "
            f"time={self.times[-1]:g}, loss={float(self.loss[-1]):.4g})"
        )


@fixed_blas()
def mean_field(
    problem: Problem,
    method: str = "particles",
    *,
    step_size: float | ArrayLike | Schedule = 0.1,
    n_steps: int = 1000,
    n_particles: int = 2**17,
    seed: int = 0,
    integrator: str = "euler",
    init: Init = "gaussian",
    dtype: DTypeLike = "float64",
    temperature: ArrayLike | Schedule | None = None,
    batch_size: int | None = None,
    anchor_period: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> MeanFieldPath:
    r"""Compute the mean-field prediction path :math:`\bar f_t(x_j)`.

    See [RFL] §2, and Sznitman, "Topics in propagation of chaos", 1991.

    Parameters
    ----------
    problem : Problem
        Data, network, loss, λ and τ.
    method : {"particles", "gaussian", "chain", "fokker-planck"}, default: "particles"
        ``"particles"``: one large system, with error O(1/n_particles) in mean square. It alone
        uses `n_particles`, `seed`, `dtype`, `checkpoint` and `progress`.
        ``"gaussian"``: the exact closure for the identity activation with `a` frozen at 1 and
        squared loss.
        ``"chain"``: the law of the discrete scheme on a grid, for at most two trained parameters.
        ``"fokker-planck"``: the law in continuous time on a grid, for at most two trained
        parameters, its predictions extrapolated to vanishing cells; it differs from that of the
        scheme by the scheme's own O(step_size).
    step_size : float, array_like of shape (n_steps,) or Schedule, default: 0.1
        Step size η, or that of every step.
    n_steps : int, default: 1000
        Number of steps.
    n_particles : int, default: 131072
        Size M of the large system; keep it at 100 times the largest N it is compared with.
    seed : int, default: 0
        The large system is independent of every replica of the same seed.
    integrator : str, default: "euler"
        As in `simulate`; the path is the limit of *that* discrete scheme (but for
        ``"fokker-planck"``). Only ``"particles"`` knows ``"kinetic"``, and ``"chain"`` takes Euler
        and exponential Euler alone.
    init : str, InitialLaw, Particles, array or callable, default: "gaussian"
        Initial law; under particles the neurons are picked from them at random, with replacement,
        for which only ``"particles"`` knows the limit.
    dtype : {"float64", "float32"}, default: "float64"
        Precision of the large system.
    temperature : float, array_like of shape (n_steps,) or Schedule, optional
        Temperature of every step, as in `simulate`; the problem's by default.
    batch_size, anchor_period : int, optional
        Minibatches and SVRG, as in `simulate`: the path is the limit given the batches, which
        systems of other sizes share. For ``"particles"`` alone.
    checkpoint : path-like, optional
        File in which progress is kept and from which it is continued.
    progress : callable, optional
        Called as ``progress(steps_done, n_steps)``.

    Returns
    -------
    MeanFieldPath
        Predictions at every step.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used, or the method does not apply to the problem.
    DivergenceError
        The path left the finite numbers.
    MemoryError
        The particles or the path cannot fit into this machine.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(2), [1.0, 0.0], activation="identity", bias=False,
    ...                      train=("w",), l2=0.1, temperature=0.1)
    >>> path = mf.mean_field(problem, "gaussian", step_size=0.1, n_steps=50)
    >>> path.predictions.shape
    (51, 2)
    """
    checks.choice("method", method, METHODS)
    scheme = Scheme.of(
        problem,
        step_size=step_size,
        n_steps=n_steps,
        temperature=temperature,
        integrator=integrator,
        init=init,
        seed=seed,
        dtype=dtype,
        batch_size=batch_size,
        anchor_period=anchor_period,
    )
    scheme = replace(scheme, minibatch=shared(scheme.minibatch))
    return mean_field_path(
        problem, scheme, method, n_particles, checkpoint=checkpoint, progress=progress
    )


def mean_field_path(
    problem: Problem,
    scheme: Scheme,
    method: str,
    n_particles: int,
    *,
    full_at: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> MeanFieldPath:
    """Compute the mean-field path of a scheme; `mean_field` says what the other arguments mean.

    With minibatches, predictions are of all data at the steps `full_at` alone, if those are given.
    """
    if scheme.minibatch is not None and method != "particles":
        raise ArgumentError(
            "batch_size",
            message=f"method={method!r} is the limit of full gradients; leave out batch_size, or "
            "use method='particles', which is the limit given the batches.",
        )
    if method == "gaussian":
        closure = gaussian_closure(problem, scheme)
        return MeanFieldPath(closure.predictions, problem, scheme, method, details=closure)
    if method == "fokker-planck" and scheme.integrator.has_velocity:
        raise ArgumentError(
            "integrator",
            message="method='fokker-planck' solves the overdamped equation, not that of "
            f"integrator={scheme.integrator.name!r}; use method='particles'.",
        )
    if method != "particles":
        grid = (chain_law if method == "chain" else fokker_planck)(problem, scheme)
        return MeanFieldPath(grid.extrapolated, problem, scheme, method, details=grid)
    n_particles = checks.count("n_particles", n_particles)
    if full_at is not None:
        # SVRG takes full gradients at its anchors.
        period = None if scheme.minibatch is None else scheme.minibatch.anchor_period
        full_at = [*full_at, *range(0, scheme.n_steps if period else 0, period or 1)]
    dynamics = Dynamics(
        problem,
        scheme,
        first_replica=REFERENCE_REPLICA,
        full_at=None if full_at is None else frozenset(full_at),
    )
    shape = (1, scheme.n_steps + 1, problem.n_data, problem.n_outputs)
    numbers = math.prod(shape) + 3 * dynamics.n_rows * n_particles
    memory.require(8 * numbers, "lower n_particles or n_steps")
    start = initial_state(dynamics, n_particles, 1)
    path, last = np.full(shape, np.nan), np.array([scheme.n_steps])
    store = Checkpoint(checkpoint, dynamics.fingerprint(start, last))
    states = run_steps(dynamics, start, last, path=path, checkpoint=store, progress=progress)
    predictions = path[0] if problem.vector_output else path[0, ..., 0]
    particles = as_particles(problem, states[-1])
    return MeanFieldPath(predictions, problem, scheme, method, n_particles, particles)
