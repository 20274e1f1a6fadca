"""What comes back from training: predictions, kernels and features of several networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from meanfield.checks import count
from meanfield.deep.descent import Record
from meanfield.deep.exchange import to_state_dict
from meanfield.deep.task import Task
from meanfield.deep.weights import DenseWeights, LowRankWeights
from meanfield.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class DeepRun:
    """Trained networks and what was recorded on the way.

    R networks, P predicted steps, S saved steps, L hidden layers, m training inputs, n units per
    layer; :math:`⟨u, v⟩ = u·v / n`.

    Attributes
    ----------
    predictions, predictions_test : ndarray of shape (R, P, m[, K]) and (R, P, m_test[, K])
        Outputs on the training and on the test inputs at `steps`; with an axis of their own where
        they are several.
    steps, saved_steps : ndarray of int, shape (P,) and (S,)
        Steps of the predictions, 0 to `n_steps`, and those of kernels and features.
    loss : ndarray of shape (R, P)
        Training loss, the one whose derivative is the error signal.
    error_signals : ndarray of shape (R, P, m[, K])
        ``χ_i``, divided by the number of inputs of a step with ``reduction="mean"``.
    kernel_h, kernel_x : ndarray of shape (R, S, L, m, m)
        ``⟨h_i, h_j⟩`` and ``⟨x_i, x_j⟩``: features before and after the activation.
    feature_change : ndarray of shape (R, S, L, m)
        ``|h − h_0| / |h_0|``.
    feature_size : ndarray of shape (R, S, L + 1)
        Mean of ``|h_l|`` over units and inputs; last, mean of ``|f|``.
    weight_change : ndarray of shape (R, S, L + 1)
        Size of the step that follows, by layer, in units that have a limit under µP:
        ``|ΔW^1|/√n``, ``|ΔW^l|`` and ``√n |ΔW^{L+1}|``, Frobenius norms; with the momentum, without
        the decay.
    sharpness : ndarray of shape (R, S)
        Largest eigenvalue of the step size times the Gauss–Newton Hessian of the batch, NaN under
        Adam; descent is unstable above 2, with momentum above ``2 (1 + β)``. With several outputs a
        lower bound, of the outputs along their error signals.
    ranks : ndarray of int, shape (R, S, 2, L − 1)
        Directions stored per hidden matrix, of features and of error vectors (low-rank engine);
        the width once all entries are stored instead.
    initial_features, features : ndarray of shape (R, L, m, n)
        ``h`` at the first and at the last step.
    joint_least, joint_rank : ndarray of shape (R, J, 2, L − 1)
        Least eigenvalue and rank of the Gram matrices of increments of features, and of error
        vectors, of all inputs up to each of the first steps; J is ``joint_steps + 1``, or 0.
    input_rank : int
        Dimensions that the training inputs span, with the constant 1 where there are biases.
    engine, seeds : str and tuple of int
        The engine that ran, ``"dense"`` or ``"low-rank"``, and one seed per network.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> run = mf.deep.train(np.eye(3), [1.0, -1.0, 1.0], width=32, depth=2, n_steps=5)
    >>> run.predictions.shape, run.loss.shape, run.feature_change.shape
    ((1, 6, 3), (1, 6), (1, 6, 2, 3))
    """

    predictions: np.ndarray
    predictions_test: np.ndarray
    steps: np.ndarray
    loss: np.ndarray
    error_signals: np.ndarray
    saved_steps: np.ndarray
    kernel_h: np.ndarray
    kernel_x: np.ndarray
    feature_change: np.ndarray
    feature_size: np.ndarray
    weight_change: np.ndarray
    sharpness: np.ndarray
    ranks: np.ndarray
    initial_features: np.ndarray
    features: np.ndarray
    joint_least: np.ndarray
    joint_rank: np.ndarray
    input_rank: int
    engine: str
    seeds: tuple[int, ...]
    _weights: Sequence[DenseWeights | LowRankWeights] = field(repr=False)
    _richness: float = field(repr=False)

    def to_state_dict(
        self, replica: int | None = None, *, names: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the trained weights of one network by the names that PyTorch gives them.

        ``module.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})`` loads them
        into ``Sequential(Linear(d, n), activation, …, Linear(n, K))``, with ``bias=False`` where
        the run has no biases. The richness γ₀ is in the last layer, which is divided by it. As
        `init` of `train` they are where training goes on.

        Parameters
        ----------
        replica : int, optional
            Which network; not needed where there is one.
        names : sequence of str, optional
            Names of the layers; ``"0", "2", …`` by default, as in a Sequential with activations
            between.

        Returns
        -------
        dict of str to ndarray
            Copies.

        Raises
        ------
        ValueError
            There are several networks and none was chosen; or the run kept no weights, as one with
            ``keep_weights=False``, one of too much, and an infinite width do not.
        """
        if not self._weights:
            raise ValueError(
                "This run kept no weights; train with keep_weights=True (a limit has none)."
            )
        if replica is None:
            if len(self._weights) > 1:
                raise ArgumentError(
                    "replica", f"must say which of the {len(self._weights)} networks, such as 0."
                )
            replica = 0
        if count("replica", replica, minimum=0) >= len(self._weights):
            raise ArgumentError(
                "replica", f"must be below {len(self._weights)}, their number, got {replica}."
            )
        weights, biases = self._weights[replica].layers()
        last = weights[-1].dtype.type(self._richness)
        weights = [*weights[:-1], weights[-1] / last]
        return to_state_dict((weights, [*biases[:-1], *(b / last for b in biases[-1:])]), names)

    @cached_property
    def least_eigenvalue_h(self) -> np.ndarray:
        """Least eigenvalue of `kernel_h`, shape (R, S, L)."""
        return np.linalg.eigvalsh(self.kernel_h)[..., 0]

    @cached_property
    def least_eigenvalue_x(self) -> np.ndarray:
        """Least eigenvalue of `kernel_x`, shape (R, S, L)."""
        return np.linalg.eigvalsh(self.kernel_x)[..., 0]


def as_run(
    task: Task,
    record: Record,
    engine: str,
    seeds: Iterable[int],
    weights: Sequence[DenseWeights | LowRankWeights] = (),
) -> DeepRun:
    """Split a record into what the user sees."""
    m = task.n_train
    shown = {field.name for field in fields(DeepRun)} | {"predictions"}
    kept = {f.name: getattr(record, f.name) for f in fields(Record) if f.name in shown}
    everything = kept.pop("predictions")
    predictions = everything[:, :, :m]
    return DeepRun(
        predictions=predictions,
        predictions_test=everything[:, :, m:],
        steps=np.flatnonzero(task.predicted),
        loss=task.risk(predictions),
        error_signals=task.error_signal(predictions, slice(None)),
        saved_steps=np.flatnonzero(task.saved),
        input_rank=_input_rank(task),
        engine=engine,
        seeds=tuple(seeds),
        _weights=weights,
        _richness=task.richness,
        **kept,
    )


def _input_rank(task: Task) -> int:
    inputs = task.inputs[: task.n_train]
    if task.bias:
        inputs = np.hstack([inputs, np.ones((len(inputs), 1))])
    return int(np.linalg.matrix_rank(inputs))
