"""Noisy gradient descent of N particles."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentTypeError
from meanfield.flow.checkpoint import Checkpoint
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.initial import Init, as_start
from meanfield.flow.initial_state import initial_state
from meanfield.flow.integrators import Integrator
from meanfield.flow.minibatch import same_batches, shared
from meanfield.flow.particles import Particles, as_particles
from meanfield.flow.run import Run
from meanfield.flow.schedule import Schedule
from meanfield.flow.scheme import Scheme
from meanfield.flow.step_loop import run_steps
from meanfield.flow.watch import Observable, make_collectors
from meanfield.system import memory
from meanfield.system.progress import Progress, shown
from meanfield.system.threads import fixed_blas

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.floating]


@runtime_checkable
class Driver(Protocol):
    """A prediction path that knows what it was computed for."""

    @property
    def problem(self) -> Problem: ...

    @property
    def scheme(self) -> Scheme: ...

    @property
    def predictions(self) -> NDArray[np.float64]: ...


@fixed_blas()
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
    init: Init = "gaussian",
    drive: ArrayLike | Driver | None = None,
    dtype: DTypeLike = "float64",
    temperature: ArrayLike | Schedule | None = None,
    batch_size: int | None = None,
    anchor_period: int | None = None,
    substeps: int = 1,
    first_replica: int = 0,
    every_loss: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | bool | None = None,
    observe: Mapping[str, Observable] | None = None,
    observe_at: Sequence[int] | None = None,
) -> Run:
    r"""Simulate networks of N neurons under noisy gradient descent in the mean-field scaling.

    With :math:`f_N(x) = \frac1N \sum_i a_i σ(⟨w_i, x⟩ + b_i)`, each step is

    .. math::

        θ_i &← θ_i − η ∇_θ V[µ^N](θ_i) + \sqrt{2ητ}\, ξ_i, \\
        V[µ](θ) &= \frac1n \sum_j ℓ'(f_µ(x_j), y_j)\, a\, σ(⟨w, x_j⟩ + b) + \frac{λ}{2} |θ|^2 .

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
    init : str, InitialLaw, Particles, array or callable, default: "gaussian"
        Initial law (a name means unit scale), or the particles to start from (one replica, or
        R of them; as an array (N, C) or (R, N, C) with the coordinates a, w and b). A callable
        ``sampler(n, generator)`` is a law, too: it returns n particles, (n, C), drawn with the
        NumPy generator, in blocks of 64. Under a law, a frozen `a` is the constant 1.
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
    every_loss : bool, optional
        Whether the loss at every step is kept, `Run.loss_path`. By default it is where the step
        computes all predictions anyway: without minibatches and without `drive`.
    checkpoint : path-like, optional
        File in which progress is kept. An existing one is continued, to the same bits.
    progress : callable or bool, optional
        Called as ``progress(steps_done, n_steps)``; True shows a bar.
    observe : dict of str to callable, optional
        What to compute on the way, by name: a function of the `Particles` of one replica (arrays
        with a first axis of length 1), which returns real numbers of any shape. It is called for
        every replica and step of `observe_at`; see `Run.observed`. No particles are kept for it.
    observe_at : sequence of int, optional
        The steps; by default 101, evenly spaced, or all where there are fewer.

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
    init = as_start(problem, init)
    start, law = (init, "gaussian") if isinstance(init, Particles) else (None, init)
    if every_loss is None:
        every_loss = drive is None and batch_size is None
    elif not isinstance(every_loss, bool | np.bool_):
        raise ArgumentTypeError("every_loss", f"must be True or False, got {every_loss!r}.")
    scheme = Scheme.of(
        problem,
        step_size=step_size,
        n_steps=n_steps,
        temperature=temperature,
        integrator=integrator,
        init=law,
        seed=seed,
        dtype=dtype,
        batch_size=batch_size,
        anchor_period=anchor_period,
        substeps=substeps,
    )
    if isinstance(drive, Driver) and drive.scheme.minibatch is not None:
        scheme = replace(scheme, minibatch=shared(scheme.minibatch))
    return simulate_scheme(
        problem,
        scheme,
        n_particles,
        n_replicas,
        start=start,
        save_at=save_at,
        drive=drive,
        first_replica=first_replica,
        every_loss=bool(every_loss),
        checkpoint=checkpoint,
        progress=progress,
        observe=observe,
        observe_at=observe_at,
    )


def simulate_scheme(
    problem: Problem,
    scheme: Scheme,
    n_particles: int | None = None,
    n_replicas: int | None = None,
    *,
    start: Particles | None = None,
    first_step: int = 0,
    save_at: Sequence[int] | None = None,
    drive: ArrayLike | Driver | None = None,
    first_replica: int = 0,
    every_loss: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | bool | None = None,
    observe: Mapping[str, Observable] | None = None,
    observe_at: Sequence[int] | None = None,
) -> Run:
    """Simulate networks under a scheme; `simulate` says what the other arguments mean.

    They start from `start`, whose sizes N and R are then the default, or are drawn from the
    scheme's initial law, 1 network of 1024 neurons by default. `first_step` is the step at which
    `start` is: what follows is what an unbroken run would have made of it, for schemes whose
    particles have neither velocities nor anchors.
    """
    given = (1024, 1) if start is None else (start.n_particles, start.n_replicas)
    n_steps = scheme.n_steps
    n_particles = checks.count("n_particles", given[0] if n_particles is None else n_particles)
    n_replicas = checks.listed("n_replicas", given[1] if n_replicas is None else n_replicas)
    steps = scheme.saved_steps([first_step, scheme.n_steps] if save_at is None else save_at)
    dynamics = Dynamics(
        problem=problem,
        scheme=scheme if start is None else replace(scheme, init=None),
        first_replica=checks.count("first_replica", first_replica, minimum=0),
        drive=None if drive is None else _drive(problem, scheme, drive),
    )
    # The state, its start, and the particles of every saved state.
    size = n_replicas * n_particles * np.dtype(scheme.dtype).itemsize
    rows = 2 * dynamics.n_rows + len(steps) * problem.n_coordinates
    needed = rows * size + 8 * n_replicas * (scheme.n_steps + 1) * every_loss
    memory.require(needed, "lower n_particles, n_replicas or the saved steps")
    losses = np.full((n_replicas, scheme.n_steps + 1), np.nan) if every_loss else None
    state = initial_state(dynamics, n_particles, n_replicas, start)
    collectors = make_collectors(observe, observe_at, scheme.n_steps)
    mark = dynamics.fingerprint(state, np.append(steps, first_step))
    mark += "every-loss" if every_loss else ""
    mark += "".join(f"{c.name}{c.steps.tolist()}" for c in collectors)
    with shown(progress, "simulate") as report:
        states = run_steps(
            dynamics,
            state,
            steps,
            first_step=first_step,
            path=None if losses is None else losses[:, : None if steps[-1] < n_steps else n_steps],
            summed_up=(lambda f: _risk(problem, f)) if every_loss else None,
            checkpoint=Checkpoint(checkpoint, mark),
            progress=report,
            collectors=collectors,
        )
    predictions = np.stack([dynamics.predictions(state) for state in states], axis=1)
    if losses is not None and steps[-1] == n_steps:
        losses[:, -1] = _risk(problem, predictions[:, -1])
    return Run(
        problem=problem,
        steps=steps,
        trajectory=tuple(as_particles(problem, state) for state in states),
        predictions=predictions if problem.vector_output else predictions[..., 0],
        scheme=dynamics.scheme,
        first_replica=dynamics.first_replica,
        driven=drive is not None,
        loss_path=losses,
        observed={c.name: np.asarray(c.values) for c in collectors},
        observed_steps=collectors[0].steps if collectors else np.zeros(0, np.int64),
    )


def _risk(problem: Problem, predictions: Array) -> Array:
    """Return the risk of predictions (..., n, k)."""
    return problem.loss.value(predictions, problem.targets).mean(axis=-1)


def _drive(problem: Problem, scheme: Scheme, drive: ArrayLike | Driver) -> NDArray[np.float64]:
    """Return the driving predictions of every step, shape (n_steps, n, k)."""
    if isinstance(drive, Driver):
        if drive.problem != problem or not drive.scheme.same_steps(scheme):
            raise ValueError(
                "drive was computed for another problem or step_size; compute the path with the "
                "settings of this run, or pass its predictions as an array."
            )
        if not same_batches(drive.scheme, scheme):
            raise ValueError(
                "drive was computed for other minibatches; compute the path with the seed, "
                "batch_size and anchor_period of this run, or with none for either."
            )
        if drive.scheme.minibatch is not None:  # where nothing else is asked for, it holds NaN
            path = drive.predictions.reshape(-1, problem.n_data, problem.n_outputs)
            return np.ascontiguousarray(path[: scheme.n_steps])
        drive = drive.predictions
    checks.unmasked("drive", drive)
    try:
        values = np.asarray(drive, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(
            f"drive must be an array of predictions or a MeanFieldPath, got {type(drive).__name__}."
        ) from None
    if values.ndim == 2:
        values = values[..., None]
    wanted = (problem.n_data, problem.n_outputs)
    if values.ndim != 3 or values.shape[1:] != wanted or len(values) < scheme.n_steps:
        raise ValueError(
            f"drive must hold the predictions of at least n_steps={scheme.n_steps} steps, shape "
            f"(steps, n={wanted[0]}, k={wanted[1]}), got {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError("drive holds NaN or infinite predictions.")
    return np.ascontiguousarray(values[: scheme.n_steps])
