"""The training loop and what it records, the same for every engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
from scipy.sparse.linalg import eigsh

from meanfield.deep.joint_trace import JointTrace
from meanfield.deep.optimizers import Rates
from meanfield.deep.task import Signal, Task
from meanfield.errors import DivergenceError
from meanfield.flow.step_size_search import ROSE, best_halvings


class NotFiniteError(ArithmeticError):
    """Predictions left the finite numbers at `step`, in member `member` of the batch of nets."""

    def __init__(self, step: int, member: int):
        super().__init__(f"not finite at step {step}")
        self.step, self.member = step, member


_ADVISES: ContextVar[bool] = ContextVar("advises", default=True)


@contextmanager
def without_advice() -> Iterator[None]:
    """Let divergences come without a stable step size, the search for which takes many runs."""
    token = _ADVISES.set(False)
    try:
        yield
    finally:
        _ADVISES.reset(token)


def divergence(
    where: str, task: Task, replica: int, step: int, attempt: Callable[[Task], Record]
) -> DivergenceError:
    """Describe a divergence, with a smaller step size for which `attempt` learns, halved again."""

    def holds(h: int, learns: bool) -> bool:
        try:
            record = attempt(replace(task, step_size=task.step_size * math.ldexp(1.0, -h)))
        except NotFiniteError:
            return False
        with np.errstate(over="ignore"):
            loss = task.risk(record.predictions[:, :, : task.n_train])
        return not (learns and (loss[:, -1] > ROSE * loss[:, 0]).any())

    largest = float(np.max(task.step_size))
    if not _ADVISES.get():
        text = f"{where} diverged at step {step}."
        return DivergenceError(text, step=step, replica=replica, stable_step_size=None)
    h, learns = best_halvings(largest, holds)
    if h is not None and holds(h + 1, learns):
        h += 1  # for other networks of the same study
    stable = None if h is None else math.ldexp(largest, -h)
    remedy = "no smaller one helped: scale the inputs or the labels down"
    came = f"step_size={largest:g}"
    if isinstance(task.step_size, np.ndarray):
        came = f"a step_size of up to {largest:g}"
        if h is not None:
            remedy = f"the same schedule times {math.ldexp(1.0, -h):g} stays finite"
    elif stable is not None:
        remedy = f"step_size={stable:.3g} stays finite"
    return DivergenceError(
        f"{where} diverged at step {step} with {came}; {remedy}.",
        step=step,
        replica=replica,
        stable_step_size=stable,
    )


@dataclass
class Activity:
    """One forward pass of R networks: arrays are (R, rows, units), `f` is (R, rows[, K]).

    `h[l]` and `x[l]` are the features before and after the activation of hidden layer l + 1.
    `memory` is the engine's own, one array per hidden matrix.
    """

    f: np.ndarray
    h: list[np.ndarray]
    x: list[np.ndarray]
    memory: list[np.ndarray]

    def take(self, rows: np.ndarray | slice) -> Activity:
        """Return the pass of some of the rows."""
        h, x, memory = ([u[:, rows] for u in part] for part in (self.h, self.x, self.memory))
        return Activity(self.f[:, rows], h, x, memory)


class Network(Protocol):
    """A network in the units of the infinite-width limit.

    The output is ``f = ⟨a, x_L⟩ / γ₀``, with ``⟨u, v⟩ = u·v / n``, and error vectors are ``n``
    times the gradients of ``⟨a, x_L⟩``: of the one output, or along the `Signal`'s directions.
    """

    def rates(self, step: int) -> Rates:
        """Return the rates of a step in these units."""

    def forward(self, rows: np.ndarray | slice) -> Activity:
        """Evaluate the network on rows of the task's inputs."""

    def backward(self, batch: Activity, directions: np.ndarray | None) -> list[np.ndarray]:
        """Return the error vectors ``dh_1, …, dh_L``."""

    def update(
        self,
        step: int,
        rows: np.ndarray | slice,
        batch: Activity,
        dh: list[np.ndarray],
        signal: Signal,
    ) -> None:
        """Take a step."""

    def move_sizes(
        self,
        step: int,
        rows: np.ndarray | slice,
        batch: Activity,
        dh: list[np.ndarray],
        signal: Signal,
    ) -> np.ndarray:
        """Return the size of the step that `update` would take, by layer, without the decay."""

    def ranks(self) -> np.ndarray:
        """Return the number of stored directions, (2, L − 1): features, error vectors."""

    @property
    def precision(self) -> float:
        """What vectors are known to, relative to their length."""


@dataclass
class Record:
    """What is kept of a run; the leading axis counts networks.

    Shapes: R networks, P predicted steps, S saved steps, L layers, m training inputs, n units.
    """

    predictions: np.ndarray  # (R, P, m + m_test[, K])
    kernel_h: np.ndarray  # (R, S, L, m, m)  ⟨h_i, h_j⟩
    kernel_x: np.ndarray  # (R, S, L, m, m)
    feature_change: np.ndarray  # (R, S, L, m)  |h − h_0| / |h_0|
    feature_size: np.ndarray  # (R, S, L + 1)  mean |h_l|, last mean |f|
    weight_change: np.ndarray  # (R, S, L + 1)  size of the next step, layer by layer
    sharpness: np.ndarray  # (R, S)  η ∂²(loss)/∂θ², Gauss–Newton part
    ranks: np.ndarray  # (R, S, 2, L − 1)
    initial_features: np.ndarray  # (R, L, m, n)  h at step 0
    features: np.ndarray  # (R, L, m, n)  h at the last step
    peak_sharpness: np.ndarray  # (R,)  over the saved steps and those of `_is_watched`
    edge_step: np.ndarray  # (R,)  the first of them at the edge of stability, or −1
    joint_least: np.ndarray  # (R, J, 2, L − 1)  of the families up to each of the first J steps
    joint_rank: np.ndarray  # (R, J, 2, L − 1)


def concatenate(records: list[Record]) -> Record:
    """Join records of different networks."""
    return Record(
        *(np.concatenate([getattr(r, field.name) for r in records]) for field in fields(Record))
    )


def descend(network: Network, task: Task) -> Record:
    """Train a network and record it; NotFiniteError when a prediction is not finite.

    Full-batch descent whose error signals are all within rounding errors stands still: when a saved
    step finds it so, the record repeats itself from there on.
    """
    predictions, saved = [], []
    start: list[np.ndarray] = []
    watched: list[tuple[int, np.ndarray]] = []
    train = slice(0, task.n_train)
    trace = JointTrace(network.precision)
    for step in range(task.n_steps + 1):
        last = step == task.n_steps
        rows = train if last else task.batch(step)
        if task.predicted[step] or trace.is_open(step, task.joint_steps):
            everything = network.forward(slice(0, len(task.inputs)))
            batch = everything.take(rows)
            if task.predicted[step]:
                predictions.append(everything.f.astype(np.float64))
        else:
            batch = network.forward(rows)
        finite = np.isfinite(batch.f).reshape(len(batch.f), -1).all(axis=1)
        if not finite.all():
            raise NotFiniteError(step, int(np.argmin(finite)))
        if trace.is_open(step, task.joint_steps):
            whole = everything.take(train)
            along = task.signal(whole.f, train).directions
            trace.add(whole.x, network.backward(whole, along))
        signal = task.signal(batch.f, rows)
        dh = network.backward(batch, signal.directions)
        if task.saved[step] or _is_watched(step, task.n_steps):
            motion = _motion(network.rates(step), task, rows, batch, dh, signal)
            if task.optimizer.name == "adam":  # whose step is no rate times the gradient
                motion["sharpness"] = np.full(len(batch.f), np.nan)
            if task.saved[step] and task.optimizer.remembers:
                motion["weight_change"] = network.move_sizes(step, rows, batch, dh, signal)
            watched.append((step, motion["sharpness"]))
        if task.saved[step]:
            present = everything.take(train)
            start = start or present.h
            observed = _features(present, start)
            saved.append(observed | motion | {"ranks": network.ranks()})
            if task.is_still(signal.chi):
                predictions += predictions[-1:] * int(task.predicted[step + 1 :].sum())
                saved += saved[-1:] * int(task.saved[step + 1 :].sum())
                break
        if not last:
            network.update(step, rows, batch, dh, signal)
    steps, sharpness = zip(*watched, strict=True)
    unstable = np.stack(sharpness, axis=1) >= task.optimizer.edge
    joint_least, joint_rank = trace.summary(len(batch.f), len(batch.x) - 1)
    return Record(
        joint_least=joint_least,
        joint_rank=joint_rank,
        predictions=np.stack(predictions, axis=1),
        initial_features=np.stack(start, axis=1),
        features=np.stack(present.h, axis=1),
        peak_sharpness=np.max(sharpness, axis=0),
        edge_step=np.where(unstable.any(axis=1), np.array(steps)[unstable.argmax(axis=1)], -1),
        **{name: np.stack([s[name] for s in saved], axis=1) for name in saved[0]},
    )


def _is_watched(step: int, n_steps: int) -> bool:
    """Whether the sharpness is looked at even where nothing is saved: early, then now and then."""
    return step < 10 or step % max(1, n_steps // 100) == 0


def gram(u: np.ndarray) -> np.ndarray:
    """Return ``⟨u_i, u_j⟩`` for rows ``u_i``, in float64."""
    return np.matmul(u, np.swapaxes(u, -1, -2)).astype(np.float64) / u.shape[-1]


def _features(present: Activity, start: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return kernels, feature change and feature size."""

    def rms(u: np.ndarray) -> np.ndarray:
        return np.sqrt(np.einsum("rin,rin->ri", u, u) / u.shape[-1])

    with np.errstate(invalid="ignore", divide="ignore"):  # 0/0 where a feature starts at zero
        change = [rms(h - h0) / rms(h0) for h, h0 in zip(present.h, start, strict=True)]
    sizes = [np.abs(h).mean(axis=(1, 2)) for h in present.h]
    sizes.append(np.abs(present.f).reshape(len(present.f), -1).mean(axis=1))
    return {
        "kernel_h": np.stack([gram(h) for h in present.h], axis=1),
        "kernel_x": np.stack([gram(x) for x in present.x], axis=1),
        "feature_change": np.stack(change, axis=1),
        "feature_size": np.stack(sizes, axis=1),
    }


def _motion(
    rates: Rates,
    task: Task,
    rows: np.ndarray | slice,
    batch: Activity,
    dh: list[np.ndarray],
    signal: Signal,
) -> dict[str, np.ndarray]:
    r"""Return the size of each layer's gradient step, and the sharpness.

    Layer l contributes ``η_l ⟨dh_i, dh_j⟩⟨x_i, x_j⟩ / γ₀`` to the tangent kernel; its update has
    squared size ``η_l² Σ_ij χ_i χ_j ⟨dh_i, dh_j⟩⟨x_i, x_j⟩``.

    With several outputs the kernel is that of the outputs along the directions ``u_i`` of the
    error signals, and the sharpness a lower bound: where ``H_i`` is the curvature of the loss,
    ``H_i ⪰ u_i u_iᵀ / (u_iᵀ H_i⁺ u_i)``. It is close where descent oscillates, for the error
    signals then are.
    """
    inputs, weights = task.inputs[rows], rates.weights
    along = 1.0
    if signal.directions is not None:
        along = np.matmul(signal.directions, np.swapaxes(signal.directions, 1, 2))
    pairs = [(weights.input, gram(dh[0]) * (inputs @ inputs.T))]
    pairs += [(weights.hidden, gram(g) * gram(x)) for g, x in zip(dh[1:], batch.x, strict=False)]
    pairs.append((weights.output, along * gram(batch.x[-1])))
    chi = signal.sizes.astype(np.float64)
    sizes = [
        rate * np.sqrt(np.maximum(np.einsum("ri,rij,rj->r", chi, k, chi), 0)) for rate, k in pairs
    ]
    if task.bias:
        layers = [rates.biases.input, *[rates.biases.hidden] * (len(dh) - 1)]
        pairs += [(rate, gram(g)) for rate, g in zip(layers, dh, strict=True)]
        pairs.append((rates.biases.output, np.broadcast_to(along, pairs[-1][1].shape)))
    curvature = task.curvature(batch.f.astype(np.float64), rows)
    if signal.directions is not None:
        curvature = _along(curvature, signal.directions.astype(np.float64))
    root = np.sqrt(curvature)
    tangent = sum(rate / task.richness * k for rate, k in pairs)
    tangent = root[:, :, None] * tangent * root[:, None, :]
    return {
        "weight_change": np.stack(sizes, axis=1),
        "sharpness": np.array([_largest_eigenvalue(k) for k in tangent]),
    }


def _along(curvature: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the largest ``c`` with ``H ⪰ c u uᵀ``, (R, rows); 0 where there is no direction."""
    if not np.isfinite(curvature).all():
        return np.full(directions.shape[:-1], np.inf)
    inverse = np.linalg.pinv(curvature, rcond=1e-10, hermitian=True)
    size = np.einsum("rio,riop,rip->ri", directions, inverse, directions)
    return np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)


def _largest_eigenvalue(matrix: np.ndarray) -> float:
    if not np.isfinite(matrix).all():
        return np.inf
    if len(matrix) <= 128:
        return float(np.linalg.eigvalsh(matrix)[-1])
    return float(eigsh(matrix, k=1, v0=np.ones(len(matrix)), return_eigenvectors=False)[0])
