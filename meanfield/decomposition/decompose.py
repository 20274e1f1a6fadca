"""The decomposition of the error, whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from meanfield.decomposition import intermediates
from meanfield.decomposition.assemble import assemble_budget
from meanfield.decomposition.error_budget import ErrorBudget
from meanfield.decomposition.error_plan import Array, ErrorPlan, ErrorSettings, plan_errors
from meanfield.decomposition.truncated_target import truncate_target
from meanfield.flow.initial import Init
from meanfield.flow.schedule import Schedule
from meanfield.flow.scheme import Scheme
from meanfield.problem import Problem
from meanfield.problem.draws import InputLaw
from meanfield.system.progress import Progress, SharedProgress, shown
from meanfield.system.side_by_side import side_by_side
from meanfield.system.threads import fixed_blas


@fixed_blas()
def decompose_error(
    problem: Problem,
    target: Any = None,
    *,
    n_data: int | None = None,
    n_particles: int = 256,
    n_steps: int = 200,
    n_atoms: int | None = 8,
    step_size: float | ArrayLike | Schedule = 0.2,
    n_replicas: int = 12,
    data_counts: Sequence[int] | None = None,
    particle_counts: Sequence[int] | None = None,
    atom_counts: Sequence[int] | None = None,
    n_population: int = 4096,
    long_particles: int | None = None,
    path_particles: int | None = None,
    settle_steps: int | None = None,
    tolerance: float = 0.02,
    threshold: float = 0.05,
    degree: int | None = None,
    inputs: InputLaw = "gaussian",
    n_test: int = 1000,
    predict: bool = False,
    seed: int = 0,
    integrator: str = "euler",
    init: Init = "gaussian",
    dtype: str = "float32",
    temperature: ArrayLike | Schedule | None = None,
    batch_size: int | None = None,
    anchor_period: int | None = None,
    progress: Progress | bool | None = None,
) -> ErrorBudget:
    r"""Split the error of a trained network into its causes.

    From the target to the network that is kept there is one intermediate per cause, so that the
    signed differences add up exactly:

    .. math::

        f^* \to f^*_ε \to f_∞ \to f_{n,∞} \to f_{n,t} \to f_{n,t,N} \to f_S

    - ``tail``: the thresholded Hermite part :math:`f^*_ε`, terms with :math:`|c_α| > ε|σ_{|α|}|`;
    - ``regularisation``: the stationary mean-field network of the population;
    - ``statistical``: the same on n training data; squared norm of order 1/n;
    - ``optimisation``: the same at time t; exponential;
    - ``chaos``: N particles; squared norm of order 1/N;
    - ``sparse``: S atoms, refit to the network's own outputs.

    A replica has its own training set, drawn anew from the input law, and its own noise. Networks
    are compared under synchronous coupling (same start, same noise). *Stationary* is the time
    average of a long run; the run is long enough when the average over a round differs from that
    over the round before, half as long, by less than `tolerance`. At time t the long-time law is
    that of the same moment; its deviation from the average goes into ``regularisation``. The budget
    reports what the intermediates' own errors give each component, measured with half the inputs
    and few of the particles.

    Without a target the problem's data are a pool: training sets are subsamples, the network on
    all rows stands for the population, a ridge regression for the kept part of the target, and
    held-out labels for its values; the notes say so.

    Parameters
    ----------
    problem : Problem
        Network, λ and τ, with the squared loss. For a known target its data tell n and the noise
        of the labels; for data they are the pool, with held-out data.
    target : Target or callable, optional
        ``f*``, from (n, d) to (n,) or (n, k).
    n_data : int, optional
        Training data n; by default as many as the problem has, or a quarter of the pool.
    n_particles, n_steps, n_atoms : int
        The budget: particles N, steps to time t, atoms S; ``n_atoms=None`` keeps all particles.
    step_size : float, array_like of shape (n_steps,) or Schedule
        Step size η, or that of every step. From time t on, and in the long-time networks, it stays
        as it is at the end.
    n_replicas : int
        Training sets R, at least 4.
    data_counts, particle_counts, atom_counts : sequence of int, optional
        Sizes at which the laws are fitted; by default a factor 32 around the budget's, in which
        its own and its double are included.
    n_population : int
        Inputs that stand for the population of a known target (rounded up to a power of two).
    long_particles, path_particles : int, optional
        Particles of the population's long-time network, whose predictions are time averages, by
        default twice the largest N and at least 1024; and of the mean-field network at finite time,
        by default 16 times the largest N. Training sets of other sizes than the budget's have an
        eighth of the former (at least 128, or half where that is less), and the same noise as those
        of the population's, from which they are told; beyond four times the budget's time half of
        the latter go on.
    settle_steps : int, optional
        First round of the stopping rule; by default two relaxation times ``1/λ``.
    tolerance, threshold : float
        Of the stopping rule, and ε.
    degree : int, optional
        Largest degree of the Hermite expansion.
    inputs : {"gaussian", "uniform-cube", "sphere", "rademacher"}
        Law of the inputs of a known target.
    n_test : int
        Held-out inputs, where the problem brings none.
    predict : bool
        Predict the ``chaos`` component too, by `predict_chaos` with nothing fitted, on at most four
        of the training sets.
    seed : int
        Seed of data and noise.
    integrator, init, dtype
        As in `simulate`; single precision by default.
    temperature : float, array_like of shape (n_steps,) or Schedule, optional
        Temperature of every step likewise, above 0 at the end; the problem's by default.
    batch_size, anchor_period : int, optional
        Minibatches and SVRG, as in `simulate`; training sets that are no larger are taken whole.
    progress : callable or bool, optional
        Called as ``progress(done, total)``; True shows a bar, in a terminal or a notebook. Minutes
        are usual.

    Returns
    -------
    ErrorBudget
        Components with intervals, what each contributes to the total, closure, laws, advice and
        dataset.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used; the sentence names it.
    DivergenceError
        A run left the finite numbers.

    Notes
    -----
    Operational definition, after the abstract of [ISD] ("Hermite/Barron tail, statistical,
    optimisation, propagation-of-chaos and sparse-residual errors").

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> from meanfield.problem import Teacher
    >>> target = Teacher.random(2, 2, seed=1)
    >>> X = np.random.default_rng(0).normal(size=(64, 2))
    >>> problem = mf.Problem(X, target(X), l2=0.05, temperature=0.01)
    >>> budget = mf.decompose_error(problem, target, n_particles=64, n_replicas=4)  # doctest: +SKIP
    >>> budget.components["chaos"].value, budget.closure                          # doctest: +SKIP
    """
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
    settings = ErrorSettings(
        n_data=n_data,
        n_particles=n_particles,
        n_atoms=n_atoms,
        n_replicas=n_replicas,
        data_counts=data_counts,
        particle_counts=particle_counts,
        atom_counts=atom_counts,
        n_population=n_population,
        long_particles=long_particles,
        path_particles=path_particles,
        settle_steps=settle_steps,
        tolerance=tolerance,
        threshold=threshold,
        degree=degree,
        n_test=n_test,
        predict=bool(predict),
    )
    plan = plan_errors(problem, scheme, target, settings, inputs=inputs)
    with shown(progress, "error budget") as report:
        return decompose(plan, report)


def decompose(plan: ErrorPlan, progress: Progress | None = None) -> ErrorBudget:
    """Carry out a plan, stage by stage; see `decompose_error`."""
    costs, replicas = plan.costs, range(plan.n_replicas)
    once = costs.pop("population")
    total = once + len(replicas) * sum(costs.values())
    shared = SharedProgress(progress, total)
    truncated = truncate_target(plan)
    population = intermediates.population(plan, shared.part(once))

    def one(r: int, report: Progress) -> tuple[dict[str, Array], ...]:
        bar = SharedProgress(report, sum(costs.values()))
        sets = intermediates.training_sets(plan, r, population, bar.part(costs["sets"]))
        dynamics = intermediates.dynamics(plan, r, sets, bar.part(costs["dynamics"]))
        atoms = intermediates.few_atoms(plan, r, dynamics, bar.part(costs["atoms"]))
        return sets, dynamics, atoms

    rest = shared.part(total - once)
    sets, dynamics, atoms = map(list, zip(*side_by_side(one, replicas, rest), strict=True))
    predictions = [intermediates.predicted_chaos(plan, r) for r in plan.predicted]
    if progress is not None:  # a stage may end before its estimate
        progress(total, total)
    return assemble_budget(plan, truncated, population, sets, dynamics, atoms, predictions)
