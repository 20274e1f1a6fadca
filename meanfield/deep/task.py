"""What a deep run is asked to do, checked once: data, loss, schedule of batches and of records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from meanfield.checks import choice, count, counts, nonnegative, positive, seed
from meanfield.deep.optimizers import Optimizer, get_optimizer
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow.schedule import Schedule, per_step
from meanfield.problem.activations import Activation, get_activation
from meanfield.problem.losses import Loss, get_loss
from meanfield.problem.validation import as_inputs, check_magnitude
from meanfield.system import memory
from meanfield.system.generators import generator

# Streams of random numbers: layer l draws from stream l, everything else from one of these.
BATCH_STREAM, REPLICATE_STREAM, BIAS_STREAM = 1 << 32, 2 << 32, 3 << 32


class Signal(NamedTuple):
    """The error signals of a batch: of input i, ``χ_i = sizes_i · directions_i``.

    With several outputs, a network goes backward along the directions, unit vectors: what follows
    costs as much as with one output. One output has no direction, and its sizes are ``χ_i``.
    """

    chi: np.ndarray  # (R, rows[, K])
    sizes: np.ndarray  # (R, rows)
    directions: np.ndarray | None  # (R, rows, K)

    @property
    def outputs(self) -> np.ndarray:
        """The signals with an axis for the outputs, even if there is one."""
        return self.chi[:, :, None] if self.directions is None else self.chi


@dataclass(frozen=True, eq=False)
class Task:
    """Gradient descent on a network, without the network."""

    inputs: np.ndarray  # (m + m_test, d): training inputs, then test inputs
    targets: np.ndarray  # (m,), or (m, K) with several outputs
    activation: Activation
    loss: Loss  # squared, logistic or one's own
    depth: int  # hidden layers, L
    bias: bool
    step_size: float | np.ndarray  # base learning rate η, one or per step
    richness: float  # γ₀: the output is ⟨a, x_L⟩ / γ₀
    optimizer: Optimizer
    batches: np.ndarray | None  # (n_steps, batch): rows of every step; None for the full batch
    n_steps: int
    error_scale: float  # factor of the error signals: 1, or one over the batch size
    predicted: np.ndarray  # (n_steps + 1,): whether predictions of that step are recorded
    saved: np.ndarray  # (n_steps + 1,): and its kernels and features
    joint_steps: int  # steps whose joint independence is followed

    @property
    def n_train(self) -> int:
        """Number of training inputs."""
        return len(self.targets)

    def resolution(self, tol: float) -> float:
        """Return the tolerance for directions: features move by γ₀ times as much where it is small.

        Outputs magnify what is left out by ``1/γ₀``.
        """
        return tol * min(1.0, self.richness)

    def batch(self, step: int) -> np.ndarray | slice:
        """Return the rows of the batch of a step."""
        return slice(0, self.n_train) if self.batches is None else self.batches[step]

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return 1 if self.targets.ndim == 1 else self.targets.shape[1]

    def as_predictions(self, f: np.ndarray) -> np.ndarray:
        """Return outputs (..., K) without the last axis where there is one output only."""
        return f[..., 0] if self.targets.ndim == 1 else f

    def error_signal(self, f: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """Return ``χ``: ``2 (f − y)``, ``−y / (1 + exp(y f))`` or ``∂ℓ/∂f``, times the scale."""
        targets = self.targets[rows].astype(f.dtype)
        if self.loss.name == "squared":
            return f.dtype.type(2 * self.error_scale) * (f - targets)
        if self.loss.name == "logistic":
            return f.dtype.type(self.error_scale) * (-targets * special.expit(-targets * f))
        return f.dtype.type(self.error_scale) * self._of_loss("derivative", f, targets)

    def signal(self, f: np.ndarray, rows: np.ndarray | slice) -> Signal:
        """Return the error signals of a batch, their sizes and directions."""
        chi = self.error_signal(f, rows)
        if self.targets.ndim == 1:
            return Signal(chi, chi, None)
        sizes = np.linalg.norm(chi, axis=-1)
        directions = np.zeros_like(chi)
        np.divide(chi, sizes[..., None], out=directions, where=sizes[..., None] > 0)
        return Signal(chi, sizes, directions)

    def is_still(self, chi: np.ndarray) -> bool:
        """Return whether full-batch descent has error signals no larger than rounding errors."""
        size = self.error_scale * max(1.0, float(np.abs(self.targets).max()))
        bound = 16 * float(np.finfo(chi.dtype).eps) * size
        stays = self.batches is None and self.optimizer.is_plain
        return stays and bool((np.abs(chi) <= bound).all())

    def curvature(self, f: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """Return ``∂χ/∂f``, (..., rows), or (..., rows, K, K) with several outputs."""
        if self.targets.ndim == 1 and self.loss.name == "squared":
            return np.full_like(f, 2 * self.error_scale)
        if self.targets.ndim == 1 and self.loss.name == "logistic":
            return self.error_scale * special.expit(f) * special.expit(-f)
        factor = (2 if self.loss.name == "squared" else 1) * self.error_scale
        targets = self.targets[rows]
        if self.targets.ndim > 1:
            return factor * self.loss.curvature(f, targets)
        return factor * self.loss.curvature(f[..., None], targets[:, None])[..., 0, 0]

    def risk(self, predictions: np.ndarray) -> np.ndarray:
        """Return the loss whose derivative is ``χ``, at predictions of shape (..., m[, K])."""
        factor = (2 if self.loss.name == "squared" else 1) * self.error_scale
        return factor * self._of_loss("value", predictions, self.targets).sum(-1)

    def _of_loss(self, which: str, f: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Evaluate a function of the loss, which has an axis for the outputs."""
        function = getattr(self.loss, which)
        if self.targets.ndim > 1:
            return function(f, targets)
        values = function(f[..., None], targets[:, None])
        return values if which == "value" else values[..., 0]


def make_task(
    X: Any,
    y: Any,
    *,
    X_test: Any = None,
    activation: str | Activation,
    loss: str | Loss,
    depth: int,
    bias: bool,
    step_size: float | Sequence[float] | np.ndarray | Schedule,
    richness: float,
    n_steps: int,
    optimizer: str,
    momentum: float | None,
    weight_decay: float,
    batch_size: int | None,
    batch_seed: int,
    reduction: str,
    predict_every: int,
    save_at: Sequence[int] | None,
    joint_steps: int,
) -> Task:
    """Check everything that finite and infinite width share."""
    X = as_inputs(X)
    check_magnitude(X, "X")
    inputs = X
    if X_test is not None:
        inputs = np.vstack([X, as_inputs(X_test, "X_test", X.shape[1])])
        check_magnitude(inputs, "X_test")
    loss = get_loss(loss)
    _, targets = loss.check_labels(y, n_points=len(X))
    check_magnitude(targets, "y")
    if not isinstance(bias, bool | np.bool_):
        raise ArgumentTypeError("bias", f"must be True or False, got {bias!r}.")
    depth = count("depth", depth)
    n_steps = count("n_steps", n_steps, minimum=0)
    step_size = per_step("step_size", step_size, n_steps, zero=True)
    choice("reduction", reduction, ("sum", "mean"))
    memory.require(2 * n_steps, "lower n_steps")
    batches = schedule(len(X), batch_size, batch_seed, n_steps)
    n_batch = len(X) if batches is None else batches.shape[1]
    predicted = np.zeros(n_steps + 1, dtype=bool)
    predicted[:: count("predict_every", predict_every)] = True
    saved = _saved_steps(save_at, n_steps)
    return Task(
        inputs=inputs,
        targets=targets[:, 0] if targets.shape[1] == 1 else targets,
        activation=get_activation(activation),
        loss=loss,
        depth=depth,
        bias=bool(bias),
        step_size=step_size,
        richness=positive("richness", richness),
        optimizer=get_optimizer(optimizer, momentum, weight_decay),
        batches=batches,
        n_steps=n_steps,
        error_scale=1.0 if reduction == "sum" else 1.0 / n_batch,
        predicted=predicted | saved,
        saved=saved,
        joint_steps=_joint_steps(joint_steps, n_steps),
    )


def _joint_steps(steps: int, n_steps: int) -> int:
    steps = count("joint_steps", steps, minimum=0)
    if steps > n_steps:
        raise ArgumentError("joint_steps", f"must be at most n_steps, {n_steps}, got {steps}.")
    return steps


def as_scales(values: Any, name: str) -> tuple[float, float, float]:
    """Return three constants for the input, hidden and output layers."""
    try:
        scales = tuple(nonnegative(name, value) for value in values)
    except TypeError:
        scales = ()
    if len(scales) != 3:
        raise ArgumentError(name, f"must be three numbers (input, hidden, output), got {values!r}.")
    return scales


def schedule(
    n_points: int, batch_size: int | None, batch_seed: int, n_steps: int
) -> np.ndarray | None:
    """Draw the batches of all steps: every epoch is a fresh permutation, cut into pieces."""
    if batch_size is None:
        return None
    batch_size = count("batch_size", batch_size)
    if batch_size > n_points:
        raise ArgumentError(
            "batch_size",
            message=f"batch_size={batch_size} exceeds the {n_points} training inputs; lower it.",
        )
    if batch_size == n_points:
        return None
    memory.require(16 * batch_size * n_steps, "lower n_steps or batch_size")
    random = generator(seed(batch_seed, "batch_seed"), BATCH_STREAM)
    per_epoch = n_points // batch_size
    n_epochs = -(-n_steps // per_epoch)
    epochs = [random.permutation(n_points)[: per_epoch * batch_size] for _ in range(n_epochs)]
    return np.array(epochs, dtype=np.int64).reshape(-1, batch_size)[:n_steps]


def _saved_steps(save_at: Sequence[int] | None, n_steps: int) -> np.ndarray:
    """Return a mask of the steps to save: by default the first ten, then about thirty, evenly."""
    saved = np.zeros(n_steps + 1, dtype=bool)
    if save_at is None:
        saved[:11] = True
        saved[np.linspace(0, n_steps, 31).round().astype(int)] = True
        return saved
    steps = counts("save_at", save_at, minimum=0)
    if steps and steps[-1] > n_steps:
        raise ArgumentError("save_at", f"goes up to {steps[-1]}, but n_steps is {n_steps}.")
    saved[[0, *steps, n_steps]] = True
    return saved
