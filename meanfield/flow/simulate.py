"""Noisy gradient descent of N particles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.checkpoint import Checkpoint
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.initial import InitialLaw, as_initial_law
from meanfield.flow.integrators import Integrator, get_integrator
from meanfield.flow.minibatch import as_minibatch
from meanfield.flow.particles import Particles, check_layout
from meanfield.flow.run import Run
from meanfield.flow.schedule import Constant, Schedule, per_step
from meanfield.flow.step_loop import run_steps
from meanfield.system import memory
from meanfield.system.progress import Progress

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.floating]


@runtime_checkable
class Driver(Protocol):
    """A prediction path that knows what it was computed for."""

    problem: Problem
    step_size: float | NDArray[np.float64]
    predictions: NDArray[np.float64]


def simulate(
    problem: Problem,
    n_particles: int | None = None,
    step_size: float | ArrayLike | Schedule = 0.1,
    n_steps: int = 1000,
    *,
    seed: int = 0,
    n_replicas: int | None = None,
    integrator: str | Integrator = "euler",
    save_at: Sequence[int] | None = None,
    init: str | InitialLaw | Particles = "gaussian",
    drive: ArrayLike | Driver | None = None,
    dtype: DTypeLike = "float64",
    temperature: ArrayLike | Schedule | None = None,
    batch_size: int | None = None,
    anchor_period: int | None = None,
    substeps: int = 1,
    first_replica: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Run:
    r"""Simulate networks of N neurons under noisy gradient descent in the mean-field scaling.

    With :math:`f_N(x) = \frac1N \sum_i a_i σ(⟨w_i, x⟩ + b_i)`, each step is

    .. math::

        θ_i ← θ_i − η ∇_θ V[µ^N](θ_i) + \sqrt{2ητ}\, ξ_i, \qquad
        V[µ](θ) = \frac1n \sum_j ℓ'(f_µ(x_j), y_j)\, a\, σ(⟨w, x_j⟩ + b) + \frac{λ}{2} |θ|^2 .

    At λ = τ = 0 this is gradient descent of a plain two-layer network under µP.

    Parameters
    ----------
    problem : Problem
        Data, activation, loss, trained parameters, λ and τ.
    n_particles : int, optional
        Neurons per network N; 1024 by default, or as many as `init` has.
    step_size : float, array_like of shape (n_steps,) or Schedule, default: 0.1
        Step size η in units of the mean-field time, or that of every step, for example
        ``mf.schedule.Geometric(0.5, 0.05)``.
    n_steps : int, default: 1000
        Number of steps.
    seed : int, default: 0
        Seed of the noise and of the initial law. The noise of a particle depends only on seed,
        replica, step, particle and coordinate: not on N, threads, chunks or restarts.
    n_replicas : int, optional
        Independent networks R, run together; 1 by default, or as many as `init` has.
    integrator : str or Integrator, default: "euler"
        ``"euler"``; ``"exponential-euler"`` (exact in the λ part); ``"leimkuhler-matthews"``
        (noise ½(ξ_t + ξ_{t+1}), stationary law of second order); ``"kinetic"`` (underdamped
        Langevin dynamics by OBABO splitting, of second order too; ``"kinetic(0.5)"`` gives its
        friction, else 1). Velocities start from their Gibbs law and are not shown.
    save_at : sequence of int, optional
        Steps whose particles are kept; the first and the last by default.
    init : str, InitialLaw or Particles, default: "gaussian"
        Initial law (a name means unit scale), or the particles to start from (one replica, or
        R of them). Under a law, a frozen `a` is the constant 1.
    drive : array_like, shape (n_steps[+ 1], n[, k]), or MeanFieldPath, optional
        Predictions that replace the network's own in the gradient: the particles are then
        independent McKean–Vlasov copies.
    dtype : {"float64", "float32"}, default: "float64"
        Precision of the particles and of the arithmetic.
    temperature : float, array_like of shape (n_steps,) or Schedule, optional
        Temperature τ_t of every step, for example ``mf.schedule.Geometric(0.1, 0.001)``; the
        problem's by default.
    batch_size : int, optional
        Number of data in each step's gradient, drawn without replacement; all by default. The
        batch depends only on seed, replica and step.
    anchor_period : int, optional
        Reduce the variance of the batches by the full gradient at an anchor, renewed after this
        many steps (SVRG).
    substeps : int, default: 1
        Each step takes the normalised sum of this many increments of the Brownian path: a run
        with ``(step_size=m*h, substeps=m)`` sees the same path as one with ``step_size=h``.
    first_replica : int, default: 0
        Noise index of the first replica. Mean-field paths and the clouds of rate studies use
        indices from 2^31 on.
    checkpoint : path-like, optional
        File in which progress is kept. An existing one is continued, to the same bits.
    progress : callable, optional
        Called as ``progress(steps_done, n_steps)``.

    Returns
    -------
    Run
        Particles, predictions and loss at the saved steps.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used; the sentence names it.
    DivergenceError
        The run left the finite numbers; carries step, replica and a step size that held.
    CheckpointError
        The checkpoint is damaged or belongs to another run.
    MemoryError
        The particles to be kept cannot fit into this machine.

    References
    ----------
    [RFL] Table 2 (µP for one hidden layer); Mei, Montanari, Nguyen, "A mean field view of the
    landscape of two-layer neural networks", PNAS 2018.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(64, 2))
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]))
    >>> run = mf.simulate(problem, n_particles=256, step_size=0.2, n_steps=100, n_replicas=4)
    >>> run.predictions.shape
    (4, 2, 64)
    """
    n_steps = checks.steps(n_steps, minimum=0)
    given = (init.n_particles, init.n_replicas) if isinstance(init, Particles) else (1024, 1)
    n_particles = checks.count("n_particles", given[0] if n_particles is None else n_particles)
    n_replicas = checks.count("n_replicas", given[1] if n_replicas is None else n_replicas)
    steps = saved_steps(save_at, n_steps)
    step_size, _ = step_sizes(step_size, n_steps)
    dynamics = Dynamics(
        problem=problem,
        integrator=get_integrator(integrator),
        step_size=step_size,
        temperatures=temperatures(problem, temperature, n_steps),
        seed=checks.seed(seed),
        first_replica=checks.count("first_replica", first_replica, minimum=0),
        substeps=checks.count("substeps", substeps),
        drive=None if drive is None else _drive(problem, drive, step_size, n_steps),
        minibatch=as_minibatch(batch_size, anchor_period, problem.n_data),
        dtype=checks.precision(dtype),
    )
    # The state, its start, and the particles of every saved state.
    size = n_replicas * n_particles * np.dtype(dynamics.dtype).itemsize
    rows = 2 * dynamics.n_rows + len(steps) * problem.n_coordinates
    memory.require(rows * size, "lower n_particles, n_replicas or the saved steps")
    start = initial_state(dynamics, init, n_particles, n_replicas)
    states = run_steps(
        dynamics,
        start,
        steps,
        checkpoint=Checkpoint(checkpoint, dynamics.fingerprint(start, steps)),
        progress=progress,
    )
    predictions = np.stack([dynamics.predictions(state) for state in states], axis=1)
    minibatch = {} if dynamics.minibatch is None else asdict(dynamics.minibatch)
    return Run(
        problem=problem,
        steps=steps,
        trajectory=tuple(as_particles(problem, state) for state in states),
        predictions=predictions if problem.vector_output else predictions[..., 0],
        step_size=step_size,
        seed=dynamics.seed,
        info={
            "integrator": dynamics.integrator.name,
            "dtype": dynamics.dtype,
            "first_replica": dynamics.first_replica,
            "substeps": dynamics.substeps,
            "driven": drive is not None,
            **{f"minibatch_{key}": value for key, value in minibatch.items()},
            "init": "particles" if isinstance(init, Particles) else as_initial_law(init).info,
        },
    )


def saved_steps(save_at: Sequence[int] | None, n_steps: int) -> NDArray[np.int64]:
    """Return the saved steps, ascending and without repetition."""
    if save_at is None:
        return np.unique([0, n_steps])
    steps = np.array(checks.counts("save_at", save_at, minimum=0))
    if len(steps) == 0 or steps[-1] > n_steps:
        raise ArgumentError(
            "save_at", f"must hold steps between 0 and n_steps={n_steps}, got {list(save_at)}."
        )
    return steps


def step_sizes(
    step_size: ArrayLike | Schedule, n_steps: int
) -> tuple[float | NDArray[np.float64], NDArray[np.float64]]:
    """Return the step size as a run shows it, one number where it is constant, and of every step.

    Parameters
    ----------
    step_size : float, array_like of shape (n_steps,) or Schedule
        What the user gave.
    n_steps : int
        Length of the run.

    Returns
    -------
    shown : float or ndarray, shape (n_steps,)
        A number if one was given.
    sizes : ndarray, shape (n_steps,)
        The step size of every step.
    """
    if isinstance(step_size, Constant):
        step_size = step_size.value
    if isinstance(step_size, Schedule) or np.ndim(step_size) > 0:
        sizes = per_step("step_size", step_size, n_steps, zero=False)
        return sizes, sizes
    number = checks.positive("step_size", step_size)
    return number, np.broadcast_to(number, n_steps)


def temperatures(
    problem: Problem, temperature: ArrayLike | Schedule | None, n_steps: int
) -> NDArray[np.float64]:
    """Return the temperature of every step, shape (n_steps,)."""
    value = problem.temperature if temperature is None else temperature
    return per_step("temperature", value, n_steps, zero=True)


def initial_state(
    dynamics: Dynamics, init: str | InitialLaw | Particles, n_particles: int, n_replicas: int
) -> Array:
    """Return the state at step 0, shape (R, C, N), in the dtype of the run."""
    _check_counters(dynamics, n_particles, n_replicas)
    problem = dynamics.problem
    if not isinstance(init, Particles):
        law = as_initial_law(init, "a law's name, an InitialLaw or Particles")
        replicas = range(dynamics.first_replica, dynamics.first_replica + n_replicas)
        state = np.empty((n_replicas, problem.n_coordinates, n_particles), dynamics.dtype)
        for r, replica in enumerate(replicas):
            with np.errstate(over="ignore"):  # of single precision
                state[r] = law.sample(problem, n_particles, seed=dynamics.seed, replica=replica)
        if not np.isfinite(state).all():
            raise ArgumentError(
                "init",
                f"draws particles beyond the range of {dynamics.dtype}: {law}; use a lighter "
                "tail (a larger nu or rho) or a smaller scale.",
            )
        return state
    check_layout(problem, init, "init")
    points = init.coordinates
    shape = (n_replicas, n_particles, problem.n_coordinates)
    if points.shape not in (shape, (1, *shape[1:])):
        raise ArgumentError(
            "init",
            f"holds {init.n_replicas} replicas of {init.n_particles} particles, but this run "
            f"has n_replicas={n_replicas} and n_particles={n_particles}; leave those two out.",
        )
    if not np.isfinite(points).all():
        raise ArgumentError("init", "holds NaN or infinite particles; start from finite ones.")
    points = np.broadcast_to(points, shape).swapaxes(1, 2)
    return np.array(points, dtype=dynamics.dtype, order="C")


def as_particles(problem: Problem, state: Array) -> Particles:
    """Return a state (R, C, N) as particles."""
    return Particles.from_coordinates(
        state.swapaxes(1, 2), problem.n_outputs, problem.bias, problem.vector_output
    )


def _check_counters(dynamics: Dynamics, n_particles: int, n_replicas: int) -> None:
    """Refuse runs whose noise would need counters beyond 32 bits and so repeat itself."""
    # Leimkuhler and Matthews' last step looks one increment ahead.
    increments = dynamics.integrator.stride * (dynamics.n_steps + 1) * dynamics.substeps
    if n_particles > 2**32 or increments > 2**32:
        raise ArgumentError(
            "n_particles",
            "and the increments of the Brownian path, "
            f"{dynamics.integrator.stride} * (n_steps + 1) * substeps, must not exceed 2**32.",
        )
    if dynamics.first_replica + n_replicas > 2**32:
        raise ArgumentError(
            "n_replicas", message="first_replica + n_replicas must not exceed 2**32."
        )


def _drive(
    problem: Problem,
    drive: ArrayLike | Driver,
    step_size: float | NDArray[np.float64],
    n_steps: int,
) -> NDArray[np.float64]:
    """Return the driving predictions of every step, shape (n_steps, n, k)."""
    if isinstance(drive, Driver):
        sizes = np.asarray(drive.step_size)
        sizes = sizes[:n_steps] if sizes.ndim else sizes
        other = drive.problem.fingerprint != problem.fingerprint
        if other or not np.array_equal(sizes, step_size):
            raise ValueError(
                "drive was computed for another problem or step_size; compute the path with the "
                "settings of this run, or pass its predictions as an array."
            )
        drive = drive.predictions
    try:
        values = np.asarray(drive, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(
            f"drive must be an array of predictions or a MeanFieldPath, got {type(drive).__name__}."
        ) from None
    if values.ndim == 2:
        values = values[..., None]
    wanted = (problem.n_data, problem.n_outputs)
    if values.ndim != 3 or values.shape[1:] != wanted or len(values) < n_steps:
        raise ValueError(
            f"drive must hold the predictions of at least n_steps={n_steps} steps, shape "
            f"(steps, n={wanted[0]}, k={wanted[1]}), got {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError("drive holds NaN or infinite predictions.")
    return np.ascontiguousarray(values[:n_steps])
