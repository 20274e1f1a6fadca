"""Predict how far N neurons are from their limit, without a run of N neurons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.chaos.chaos_plan import default_times
from meanfield.chaos.response.copies import simulate_copies
from meanfield.chaos.response.elsewhere import Elsewhere
from meanfield.chaos.response.prediction import METRICS, ChaosPrediction
from meanfield.chaos.response.respond import Response, respond
from meanfield.chaos.response.sources import Sources, choose_sources, source_weights
from meanfield.errors import ArgumentError, ArgumentTypeError, DivergenceError
from meanfield.flow.initial import Init
from meanfield.flow.schedule import Schedule
from meanfield.flow.scheme import Scheme
from meanfield.limit.mean_field import MeanFieldPath
from meanfield.problem.validation import as_inputs
from meanfield.system import memory
from meanfield.system.compiling import thread_count
from meanfield.system.descriptions import described
from meanfield.system.generators import generator
from meanfield.system.progress import Progress
from meanfield.system.threads import fixed_blas

if TYPE_CHECKING:
    import xarray as xr

    from meanfield.problem import Problem

Array = NDArray[np.floating]

_PILOT, _MOST = 8, 18
#: Number of the system that directions and scores are chosen from.
_CHOOSING = 2**20
_BATCHES = (
    "must be left out of a prediction: minibatches add a noise of their own, of which the linear "
    "response knows nothing; predict for full gradients."
)
#: Operations that all systems may take, about a minute on two cores.
_OPERATIONS = 4.4e12
#: Trained parameters of a particle from which on its response is dear: then fewer directions and
#: sources are followed, for more particles, whose number decides about the error.
_WIDE = 17
#: Width of a smoothed kink, relative to the spread of the activation's arguments.
_KINK = 0.1


@dataclass(frozen=True)
class _Plan:
    """One prediction: sizes, and what every system shares."""

    problem: Problem
    scheme: Scheme
    times: list[int]
    drive: Array | None
    elsewhere: Elsewhere | None = None

    @property
    def wide(self) -> bool:
        """Whether a particle has many parameters."""
        return self.problem.n_parameters >= _WIDE

    @property
    def kept(self) -> int:
        """Particles of a system whose response is followed."""
        return 256 if self.wide else 1024

    @property
    def size(self) -> int:
        """Particles of a system."""
        return 2048 if self.wide else 4096

    @property
    def leading(self) -> int:
        """Sources that a large sample gives the size of."""
        return 64

    def simulate(self, index: int, sources: Sources | None = None) -> Any:
        """Simulate a system; that which directions are chosen from keeps more of its particles."""
        kept = self.kept if sources else 2 * self.kept
        return simulate_copies(
            self.problem,
            self.scheme,
            index,
            size=self.size,
            kept=kept,
            times=self.times,
            sources=sources,
            drive=self.drive,
            elsewhere=self.elsewhere if sources else None,
        )

    def choose(self) -> Sources:
        """Choose the directions of the data and the scores."""
        with np.errstate(over="ignore", invalid="ignore"):
            positions = self.simulate(_CHOOSING).positions
        width = 1.0
        if not self.problem.activation.smooth:
            inner = positions[:: max(1, len(positions) // 8), self.problem.n_outputs :]
            arguments = self.problem.with_bias(self.problem.X).astype(np.float32) @ inner
            width = _KINK * float(arguments.std()) or 1.0
        tail = 2e-2 if self.wide else 5e-3
        return choose_sources(self.problem, positions, self.times, self.leading, tail, width)

    def random(self, directions: int) -> int:
        """Return the number of sources beside the leading ones."""
        return int(np.clip(2 * directions, 32, 48 if self.wide else 96))

    def respond(self, index: int, sources: Sources) -> Response:
        """Follow the response of one system."""
        rng = generator(self.scheme.seed, index)
        with np.errstate(over="ignore", invalid="ignore"):
            copies = self.simulate(index, sources)
            weights = source_weights(
                copies.scores, self.kept, self.random(sources.basis.shape[1]), rng
            )
            found = respond(
                self.problem, self.scheme, copies, sources, weights, self.times, self.elsewhere
            )
        lost = ~np.isfinite(found.coupling)
        if lost.any():
            raise DivergenceError(
                "The response of the particles to fluctuations grows beyond the finite numbers "
                f"before step {self.times[int(lost.argmax())]}: N times the distance to the limit "
                "has no limit there; predict earlier times, or lower step_size.",
                step=self.times[int(lost.argmax())],
                replica=index,
                stable_step_size=None,
            )
        return found

    def operations(self, directions: int) -> float:
        """Return the operations that one system takes."""
        n, p, r = (
            self.problem.n_data * self.problem.n_outputs,
            self.problem.n_parameters,
            directions,
        )
        sources = self.leading + self.random(r)
        particle = n * p * (r + p) + sources * (p * p + 2 * p * r)
        return 2.0 * self.scheme.n_steps * self.kept * particle

    def check_memory(self) -> None:
        """Refuse what cannot fit."""
        nk, C = self.problem.n_data * self.problem.n_outputs, self.problem.n_coordinates
        T, p = self.scheme.n_steps + 1, self.problem.n_parameters
        path = 8 * T * nk + 8 * T * C * self.kept
        work = 4 * self.kept * p * (3 * p + 2 * min(nk, 256) + 4 * 160) + 32 * self.size * C
        pairs = 8 * (2 * len(self.times) + 3) * nk**2
        memory.require(pairs + thread_count() * (path + work), "give fewer times, n_steps or data")


@fixed_blas()
def predict_chaos(
    problem: Problem,
    *,
    step_size: float | ArrayLike | Schedule = 0.1,
    n_steps: int = 1000,
    times: Sequence[int] | None = None,
    seed: int = 0,
    reference: MeanFieldPath | None = None,
    integrator: str = "euler",
    init: Init = "gaussian",
    dtype: str = "float64",
    temperature: ArrayLike | Schedule | None = None,
    batch_size: None = None,
    inputs: ArrayLike | None = None,
    precision: float = 0.01,
    n_systems: int | None = None,
    progress: Progress | None = None,
) -> ChaosPrediction:
    r"""Predict the constants of propagation of chaos by linear response.

    Nothing is fitted, and no system of N particles is run. About the mean-field path
    :math:`\bar f_t`, with :math:`ψ_j(θ) = a\, σ(⟨w, x_j⟩ + b)`, the displacements
    :math:`e_i = \lim \sqrt N (θ_i − \barθ_i)` of particles from their McKean–Vlasov copies and the
    fluctuations :math:`g_j = \lim \sqrt N (f_N − \bar f)(x_j)` obey, for Euler steps,

    .. math::

        e_i^{t+1} &= \Big(1 − ηλ − \frac ηn \sum_j ℓ'_j ∇^2ψ_j(\barθ_i^t)\Big) e_i^t
            − \frac ηn \sum_j ℓ''_j g_j^t ∇ψ_j(\barθ_i^t), \\
        g_j^t &= G_j^t + E[∇ψ_j(\barθ^t) · e^t],

    :math:`G` Gaussian with the covariance of :math:`ψ(\barθ)` over data and steps; other
    integrators put their own factors. Then :math:`N E D_N → E|e|^2` (``coupling``) and
    :math:`N E \frac1n \sum_j |f_N − \bar f|^2 → \frac1n \operatorname{tr} \operatorname{Cov}(g)`
    (``function``), and of two neurons :math:`N \operatorname{Cov}(ψ_j(θ_1), ψ_k(θ_2)) →
    \operatorname{Cov}(g)_{jk} − \operatorname{Cov}(G)_{jk}` (``pair_covariance``).

    The expectations are taken over the particles of independent large systems, which also give the
    error. See the page on predicted constants in the documentation.

    Parameters
    ----------
    problem : Problem
        Data, network, loss, λ and τ.
    step_size, n_steps : as in `simulate`
        Steps of the run.
    times : sequence of int, optional
        Steps at which to predict, from 0 on; by default those of `chaos_rates`.
    seed : int, default: 0
        Seed; the numbers are the same for any number of threads.
    reference : MeanFieldPath, optional
        The path :math:`\bar f_t` of the same settings; by default each system drives itself.
    integrator, init, dtype, temperature : as in `simulate`
        Integrator, initial law, precision and temperatures of the particles.
    batch_size : None
        Minibatches are refused: their noise is not that of the theory.
    inputs : array_like, shape (m, d), optional
        Inputs, such as held-out ones, at which :math:`N E |f_N − \bar f|^2` is predicted too.
    precision : float, default: 0.01
        Relative error of both constants that is aimed at: after a pilot of 8 systems, more are
        added until it is reached, up to 18 systems or about a minute of work.
    n_systems : int, optional
        Number of systems, at least 4, in place of that rule.
    progress : callable, optional
        Called as ``progress(systems_done, n_systems)``.

    Returns
    -------
    ChaosPrediction
        The constants with their errors.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used.
    DivergenceError
        A system, or its response, left the finite numbers.
    MemoryError
        The paths of the particles cannot fit into this machine.

    References
    ----------
    Sirignano, Spiliopoulos, "Mean field analysis of neural networks: a central limit theorem",
    2020; Chen, Rotskoff, Bruna, Vanden-Eijnden, "A dynamical central limit theorem for shallow
    neural networks", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(16, 2))
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]), l2=0.1, temperature=0.05)
    >>> prediction = mf.predict_chaos(problem, step_size=0.2, n_steps=20, n_systems=4)
    >>> bool(prediction.dataset["coupling"][-1] > 0)
    True
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
    )
    if batch_size is not None:
        raise ArgumentError("batch_size", _BATCHES)
    steps = checks.counts("times", default_times(n_steps) if times is None else times, minimum=0)
    if not steps or steps[-1] > scheme.n_steps:
        raise ArgumentError(
            "times", f"must be steps between 0 and n_steps={scheme.n_steps}, got {steps}."
        )
    return predict(
        problem,
        scheme.shortened(steps[-1]),
        steps,
        reference,
        inputs=inputs,
        precision=precision,
        n_systems=n_systems,
        progress=progress,
    )


def predict(
    problem: Problem,
    scheme: Scheme,
    times: list[int],
    reference: MeanFieldPath | None = None,
    *,
    inputs: ArrayLike | None = None,
    precision: float = 0.01,
    n_systems: int | None = None,
    progress: Progress | None = None,
) -> ChaosPrediction:
    """Predict for a scheme up to the last of the times; see `predict_chaos`."""
    precision = checks.positive("precision", precision)
    if n_systems is not None:
        n_systems = checks.count("n_systems", n_systems, minimum=4, maximum=10**5)
    check_predictable(problem, scheme, times)
    elsewhere = None
    if inputs is not None:
        elsewhere = Elsewhere(problem, as_inputs(inputs, "inputs", problem.n_features))
    plan = _Plan(problem, scheme, times, _drive(problem, scheme, reference), elsewhere)
    sources = plan.choose()
    metrics = METRICS[1:] if _has_kink(problem) else METRICS
    found: list[Response] = []
    most = n_systems or _most(plan, sources)
    with ThreadPoolExecutor(min(thread_count(), most)) as pool:

        def follow(last: int, total: int) -> None:
            systems = range(len(found), last)
            for response in pool.map(lambda index: plan.respond(index, sources), systems):
                found.append(response)
                if progress is not None:
                    progress(len(found), total)

        follow(n_systems or _PILOT, most)
        if n_systems is None:
            while len(found) < most and (worst := _worst(found, metrics)) > precision:
                # A few systems say little about their own error: at most twice as many.
                wanted = math.ceil(len(found) * min(2.0, (worst / precision) ** 2))
                follow(min(most, wanted), min(most, wanted))
    return ChaosPrediction(_dataset(plan, sources, found, metrics))


def check_predictable(problem: Problem, scheme: Scheme, times: list[int]) -> None:
    """Refuse what cannot be predicted, before anything is run."""
    if scheme.minibatch is not None:
        raise ArgumentError("batch_size", _BATCHES)
    _Plan(problem, scheme, times, None).check_memory()


def prediction_seconds(problem: Problem, scheme: Scheme) -> float:
    """Return about how long the pilot of a prediction takes on one core."""
    directions = min(64, problem.targets.size)
    return 1 + _PILOT * _Plan(problem, scheme, [], None).operations(directions) / 3e10


def _drive(problem: Problem, scheme: Scheme, reference: MeanFieldPath | None) -> Array | None:
    """Return the predictions of a reference that fits, (T + 1, n, k)."""
    if reference is None:
        return None
    if not isinstance(reference, MeanFieldPath):
        raise ArgumentTypeError(
            "reference", f"must be a MeanFieldPath or None, got {type(reference).__name__}."
        )
    other = reference.problem != problem
    mismatch = "another problem" if other else reference.scheme.mismatch(scheme)
    if mismatch:
        raise ArgumentError(
            "reference",
            f"was computed for {mismatch}; compute it with the settings of this prediction.",
        )
    T = scheme.n_steps + 1
    return reference.predictions[:T].reshape(T, problem.n_data, problem.n_outputs)


def _most(plan: _Plan, sources: Sources) -> int:
    affordable = _OPERATIONS / max(1.0, plan.operations(sources.basis.shape[1]))
    return int(np.clip(affordable, _PILOT, _MOST))


def _worst(found: list[Response], metrics: Sequence[str]) -> float:
    """Return the largest relative error of the constants."""
    worst = 0.0
    for metric in metrics:
        values = np.array([getattr(response, metric) for response in found])
        mean, error = values.mean(axis=0), _error(values)
        worst = max(worst, float(np.max(error[mean > 0] / mean[mean > 0], initial=0.0)))
    return worst


def _error(values: Array) -> Array:
    return np.asarray(values.std(axis=0, ddof=1) / math.sqrt(len(values)))


def _dataset(
    plan: _Plan, sources: Sources, found: list[Response], metrics: Sequence[str]
) -> xr.Dataset:
    import xarray as xr

    problem, scheme = plan.problem, plan.scheme
    variables: dict[str, Any] = {}
    for metric in METRICS:
        values = np.array([getattr(response, metric) for response in found])
        mean, error = values.mean(axis=0), _error(values)
        if metric not in metrics:
            mean, error = np.full((2, len(mean)), np.nan)
        variables |= {metric: ("step", mean), f"{metric}_error": ("step", error)}
    if plan.elsewhere is not None:
        values = np.array([response.elsewhere for response in found])
        variables["function_at_inputs"] = ("step", values.mean(axis=0))
        variables["function_at_inputs_error"] = ("step", _error(values))
    pairs = np.mean([response.pairs for response in found], axis=0)
    basis, n, k = sources.basis, problem.n_data, problem.n_outputs
    full = np.stack([basis @ pair @ basis.T for pair in pairs])
    dims: tuple[str, ...] = ("step", "datum", "other_datum")
    if problem.vector_output:
        full = full.reshape(len(full), n, k, n, k)
        dims = ("step", "datum", "output", "other_datum", "other_output")
    variables["pair_covariance"] = (dims, full)
    attrs = {
        "systems": len(found),
        "particles_followed": plan.kept,
        "particles_per_system": plan.size,
        "directions": basis.shape[1],
        "seed": str(scheme.seed),
        "integrator": scheme.integrator.name,
        "step_size": scheme.step_size_label,
    }
    coords = {"step": plan.times, "time": ("step", scheme.elapsed(plan.times))}
    return described(xr.Dataset(variables, coords, attrs))


def _has_kink(problem: Problem) -> bool:
    """Whether particles can straddle a kink: it has one, and what feeds it moves."""
    moving = {"w", "b"} & set(problem.train)
    return bool(moving) and not problem.activation.smooth
