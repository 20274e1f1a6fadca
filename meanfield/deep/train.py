"""Training of finite-width MLPs of any depth, in any of the four parametrizations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.deep.descent import (
    NotFiniteError,
    Record,
    concatenate,
    descend,
    divergence,
)
from meanfield.deep.exchange import Layers, Shape, from_state_dict
from meanfield.deep.low_rank import LowRankMatrix
from meanfield.deep.networks import DenseNetwork, LowRankNetwork, input_coordinates
from meanfield.deep.optimizers import Pace
from meanfield.deep.parametrizations import Parametrization, get_parametrization
from meanfield.deep.staged_matrix import FullMatrix, StagedMatrix, stage_size
from meanfield.deep.task import Task, as_scales, make_task
from meanfield.deep.trained import DeepRun, as_run
from meanfield.deep.weights import DenseWeights, LowRankWeights, Start
from meanfield.errors import ArgumentError
from meanfield.flow.schedule import Schedule
from meanfield.problem.activations import Activation
from meanfield.problem.losses import Loss
from meanfield.system import memory
from meanfield.system.threads import fixed_blas

ENGINES = ("auto", "dense", "low-rank")

MAX_RANK = 4096
"""Most directions that the low-rank engine keeps per hidden matrix and side."""

_CACHED_WEIGHTS = 2**18
#: Weights of all networks that a run keeps without being asked to.
_KEPT_BYTES = 2**28
# Directions that training meets, per input, at the default tolerance: measured, 12 to 25.
_DIRECTIONS_PER_INPUT = 25


@dataclass(frozen=True)
class _Architecture:
    """The network's side of a run."""

    width: int
    parametrization: Parametrization
    weight_variance: tuple[float, float, float]
    bias_variance: float
    rate_scale: tuple[float, float, float]
    dtype: np.dtype
    engine: str
    tol: float
    given: Layers | None  # weights to start from
    keep_weights: bool | None

    def keeps(self, task: Task, n_networks: int) -> bool:
        """Whether the run keeps the trained weights."""
        if self.keep_weights is not None:
            return self.keep_weights
        return n_networks * self.weight_bytes(task) <= _KEPT_BYTES

    def weight_bytes(self, task: Task) -> int:
        """Return the memory that the weights of one network take."""
        n, d = self.width, task.inputs.shape[1]
        return self.dtype.itemsize * n * (d + task.n_outputs + (task.depth - 1) * n)

    def pace(self, task: Task) -> Pace:
        """Return the rates of every step."""
        return Pace(
            self.parametrization,
            self.width,
            self.rate_scale,
            task.step_size,
            task.richness,
            task.optimizer,
        )

    def start(self, task: Task) -> Start:
        """Return where the networks start."""
        return Start(
            self.width,
            task.depth,
            task.inputs.shape[1],
            task.n_outputs,
            self.parametrization.variances(self.width, self.weight_variance),
            self.bias_variance if task.bias else None,
            self.dtype,
            self.given,
        )


@fixed_blas()
def train(
    X: Any,
    y: Any,
    *,
    width: int = 256,
    depth: int = 3,
    parametrization: str | Parametrization = "mup",
    activation: str | Activation = "silu",
    loss: str | Loss = "squared",
    bias: bool = False,
    step_size: float | Sequence[float] | np.ndarray | Schedule = 0.1,
    richness: float = 1.0,
    n_steps: int = 1000,
    optimizer: str = "sgd",
    momentum: float | None = None,
    weight_decay: float = 0.0,
    seed: int = 0,
    n_replicas: int = 1,
    batch_size: int | None = None,
    batch_seed: int = 0,
    reduction: str = "sum",
    weight_variance: tuple[float, float, float] = (1.0, 1.0, 1.0),
    rate_scale: tuple[float, float, float] = (1.0, 1.0, 1.0),
    bias_variance: float = 1.0,
    init: Mapping[str, Any] | None = None,
    X_test: Any = None,
    engine: str = "auto",
    tol: float = 1e-3,
    dtype: str = "float64",
    predict_every: int = 1,
    save_at: Sequence[int] | None = None,
    joint_steps: int = 0,
    keep_weights: bool | None = None,
) -> DeepRun:
    r"""Train MLPs with `depth` hidden layers by gradient descent ([RFL] §3, Table 2, Appendix A).

    .. math::
       &h^1 = W^1 ξ,\quad x^l = ϕ(h^l),\quad h^{l+1} = W^{l+1} x^l,\quad
       f(ξ) = W^{L+1} x^L / γ_0, \\ &W ← W − γ_0^2 η_l \sum_i χ_i ∂_W f(ξ_i)

    with initial entries and rates ``η_l`` scaled with the width as the parametrization says. The
    error signal is ``χ = 2 (f − y)`` for the squared loss ``(f − y)²``,
    ``χ = −y / (1 + exp(y f))`` for the logistic loss, and the derivative ``∂ℓ/∂f`` of any other: of
    cross-entropy, the probabilities less the class. With several outputs ``χ_i`` is a vector.

    With biases, ``h^l = W^l x^{l−1} + b^l`` and ``f = W^{L+1} x^L + b^{L+1}``. A hidden one has the
    rate of ``W^1``, as weights of one more input that is constant; the output's has rate ``η``
    (under SP, ``η/n``). Momentum and weight decay are

    .. math::
       &V ← β V + \sum_i χ_i ∂_W f(ξ_i), \qquad W ← (1 − η_l λ_l)\, W − η_l V, \\
       &λ_l = λ\, n^{−q_l} \text{ where } η_l ∝ n^{q_l}

    for weights and biases alike: at every width a step keeps the same share of them.

    Parameters
    ----------
    X : array_like of shape (m, d)
        Training inputs ξ.
    y : array_like of shape (m,) or (m, K)
        Targets; ±1 for the logistic loss; classes 0 … K − 1, of shape (m,), for cross-entropy.
    width, depth : int
        Units per hidden layer, ``n``, and hidden layers, ``L``.
    parametrization : str or Parametrization
        ``"sp"``, ``"ntp"``, ``"ip"`` or ``"mup"``.
    activation : str or Activation
        ϕ.
    loss : str or Loss
        ``"squared"``, ``"logistic"``, ``"cross-entropy"`` or another, see `meanfield.Loss`.
    bias : bool
        Whether every layer has biases.
    step_size : float, array_like of shape (n_steps,) or Schedule
        Base learning rate η, one for all steps, one for each, or as `meanfield.schedule` has it.
    richness : float
        γ₀: the output is divided by it and the rates are multiplied by its square, Adam's by γ₀
        itself. Towards 0 features stay where they start and the outputs follow the tangent kernel
        (lazy training), as long as γ₀ is large beside the outputs at the start that it divides, of
        order ``1/√n`` under µP; 1 is the network as it stands.
    n_steps : int
        Gradient steps.
    optimizer, momentum : str and float, optional
        ``"sgd"``; ``"momentum"`` with β, 0.9 by default; or ``"adam"`` with ``β_1 = 0.9``, ``β_2 =
        0.999`` and ``ε = 1e-8`` times the size of gradients, entry by entry, whose rates have the
        powers of n of `Parametrization.entrywise`; it takes the dense engine.
    weight_decay : float
        Decoupled weight decay, λ: a step multiplies weights and biases by ``1 − η s λ``, with ``s``
        their layer's `rate_scale`.
    seed, n_replicas : int
        Seed of the first network, and how many networks; network r has ``seed + r``, of which
        `initial_weights` returns the weights.
    batch_size, batch_seed : int, optional
        Inputs per step; every epoch cuts a fresh permutation into batches, the same for all
        networks, and leaves the remainder out. By default every step sees all inputs.
    reduction : str
        ``"sum"`` adds the error signals of a batch, ``"mean"`` averages them.
    weight_variance, rate_scale : (float, float, float)
        Factors of the initial variances and of the learning rates of ``W^1``, ``W^l``, ``W^{L+1}``;
        the rates of a layer's biases have the same factor.
    bias_variance : float
        Variance of the hidden biases at the start; those of the output start at zero.
    init : mapping of str to array or tensor, optional
        Weights of one network to start from in place of random ones, by name: those of
        `DeepRun.to_state_dict`, or of a PyTorch ``Sequential`` of linear layers and activations,
        whose output is ``f``. Biases, of all layers, need ``bias=True``.
    X_test : array_like of shape (m_test, d), optional
        Inputs that are only predicted.
    engine : str
        ``"dense"`` multiplies the weight matrices; ``"low-rank"`` follows only the directions that
        training meets, which is much faster for wide networks and few inputs. ``"auto"`` takes the
        latter, and with it the tolerance `tol`, from a width of 256 on where inputs are few.
    tol : float
        Low-rank engine: directions shorter than `tol` relative to their vector are left out. The
        errors measured in the predictions are mostly below `tol` times the size of the targets; up
        to 40 `tol` were seen where predictions outgrow them (four layers, logistic loss). At the
        edge of stability they grow like any perturbation. With 0 the engines agree to rounding.
    dtype : str
        ``"float64"`` or ``"float32"``; the initial weights are the same numbers, rounded.
    predict_every : int
        Record predictions at multiples of this number of steps; all inputs are then evaluated, at
        the other steps only the batch.
    save_at : sequence of int, optional
        Steps at which kernels and features are recorded, besides the first and the last. By
        default the first ten and thirty more, evenly spaced.
    joint_steps : int
        Steps from the start over which the increments of features and the error vectors of all
        inputs are kept, for `joint_nondegeneracy`; 0 keeps none.
    keep_weights : bool, optional
        Whether the run keeps the trained weights, for `DeepRun.to_state_dict`; by default where
        they take no more than 256 MB.

    Returns
    -------
    DeepRun
        Predictions, kernels and features of all networks. Once all error signals of full-batch
        training are within rounding errors, nothing moves any more, and the rest is filled in.

    Raises
    ------
    ValueError, TypeError
        If an argument is not usable.
    MemoryError
        If the run does not fit into memory.
    DivergenceError
        If a prediction is not finite.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X, y = np.eye(3), [1.0, -1.0, 1.0]
    >>> run = mf.deep.train(X, y, width=64, depth=2, activation="tanh", n_steps=20)
    >>> bool(run.loss[0, -1] < run.loss[0, 0])
    True
    """
    task = make_task(
        X,
        y,
        X_test=X_test,
        activation=activation,
        loss=loss,
        depth=depth,
        bias=bias,
        step_size=step_size,
        richness=richness,
        n_steps=n_steps,
        optimizer=optimizer,
        momentum=momentum,
        weight_decay=weight_decay,
        batch_size=batch_size,
        batch_seed=batch_seed,
        reduction=reduction,
        predict_every=predict_every,
        save_at=save_at,
        joint_steps=joint_steps,
    )
    architecture = _Architecture(
        width=checks.count("width", width),
        parametrization=get_parametrization(parametrization),
        weight_variance=as_scales(weight_variance, "weight_variance"),
        bias_variance=checks.nonnegative("bias_variance", bias_variance),
        rate_scale=as_scales(rate_scale, "rate_scale"),
        dtype=np.dtype(checks.precision(dtype)),
        engine=checks.choice("engine", engine, ENGINES),
        tol=checks.nonnegative("tol", tol),
        given=None,
        keep_weights=keep_weights,
    )
    if task.optimizer.name == "adam" and architecture.engine == "low-rank":
        raise ArgumentError(
            "engine",
            "must be 'dense' or 'auto' for optimizer='adam', got 'low-rank': Adam moves every "
            "entry of a matrix on its own, which no few directions hold.",
        )
    if architecture.engine == "auto":
        architecture = replace(architecture, engine=_faster_engine(task, architecture.width))
    architecture.pace(task).check()
    first_seed = checks.seed(seed)
    n_replicas = checks.listed("n_replicas", n_replicas)
    if init is not None:
        architecture = replace(architecture, given=_given(init, task, architecture, n_replicas))
    seeds = [checks.seed(first_seed + r) for r in range(n_replicas)]
    memory.require(
        _bytes_needed(task, architecture, len(seeds)),
        "lower width, n_replicas or the number of inputs, or record fewer steps with "
        "predict_every and save_at",
    )
    record, weights = _train_all(task, architecture, seeds)
    return as_run(task, record, architecture.engine, seeds, weights)


def _given(init: Any, task: Task, architecture: _Architecture, n_replicas: int) -> Layers:
    """Return the weights to start from."""
    if n_replicas > 1:
        raise ArgumentError(
            "init", f"is one network, and n_replicas={n_replicas} would be the same; leave one out."
        )
    n_features, n_outputs = task.inputs.shape[1], task.n_outputs
    shape = Shape(architecture.width, task.depth, n_features, n_outputs, task.bias)
    weights, biases = from_state_dict(init, shape)
    weights[-1] = weights[-1] * task.richness
    return weights, [*biases[:-1], *(bias * task.richness for bias in biases[-1:])]


def _faster_engine(task: Task, width: int) -> str:
    n_rows = len(task.inputs)
    rank = min(n_rows * (task.n_steps + 1), stage_size(n_rows))
    few = task.depth > 1 and task.optimizer.name != "adam"
    return "low-rank" if few and width >= max(256, 4 * rank) else "dense"


def _bytes_needed(task: Task, architecture: _Architecture, n_networks: int) -> int:
    """Bound the memory of a run: weights and work space, then the record."""
    n, L, (m, d) = architecture.width, task.depth, task.inputs.shape
    together = _networks_together(task, architecture)
    weights = together * (n * (d + task.n_outputs) + (L - 1) * n**2)
    work = together * 6 * L * m * n
    if architecture.engine == "dense":
        work += together * max(n * d, n**2 if L > 1 else 0)
        # Of what an optimizer remembers, before and after a step.
        work += 2 * task.optimizer.remembers * weights
    else:
        work += 4 * (L - 1) * n * (_capacity(task, n, typical=True) + 2 * stage_size(m))
    kernels = 2 * task.saved.sum() * L * task.n_train**2
    record = n_networks * (kernels + task.predicted.sum() * m * task.n_outputs)
    features = n_networks * 2 * L * task.n_train * n
    kept = architecture.weight_bytes(task) * n_networks * architecture.keeps(task, n_networks)
    numbers = architecture.dtype.itemsize * (weights + work + 2 * features)
    return int(numbers + 8 * 2 * record + kept)


def _networks_together(task: Task, architecture: _Architecture) -> int:
    """Networks that are trained at once: dense ones, while their weights stay within the cache."""
    if architecture.engine != "dense":
        return 1
    n = architecture.width
    weights = n * (task.inputs.shape[1] + (task.depth - 1) * n)
    return max(1, _CACHED_WEIGHTS // weights)


def _capacity(task: Task, width: int, typical: bool = False) -> int:
    """Bound the directions of one hidden matrix; `typical` is what usual tolerances leave."""
    met = len(task.inputs) * (task.n_steps + 1)
    if typical:
        met = min(met, 2 * _DIRECTIONS_PER_INPUT * len(task.inputs))
    return min(width, met, MAX_RANK)


def _train_all(
    task: Task, architecture: _Architecture, seeds: list[int]
) -> tuple[Record, list[DenseWeights | LowRankWeights]]:
    together = _networks_together(task, architecture)
    groups = [seeds[i : i + together] for i in range(0, len(seeds), together)]
    records: list[Record] = []
    weights: list[DenseWeights | LowRankWeights] = []
    keep = architecture.keeps(task, len(seeds))
    for group in groups:
        try:
            record, final = _train_group(task, architecture, group, keep)
            records.append(record)
            weights += final
        except NotFiniteError as error:
            seed = group[error.member]
            replica = seeds.index(seed)
            where = f"Training (replica {replica}, seed {seed})"

            def attempt(smaller: Task, seed: int = seed) -> Record:
                return _train_group(smaller, architecture, [seed], keep=False)[0]

            raise divergence(where, task, replica, error.step, attempt) from None
    return concatenate(records), weights


def _train_group(
    task: Task, architecture: _Architecture, seeds: list[int], keep: bool
) -> tuple[Record, Sequence[DenseWeights | LowRankWeights]]:
    start, pace = architecture.start(task), architecture.pace(task)
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is caught by name
        if architecture.engine == "dense":
            dense = DenseNetwork(task, start, pace, seeds)
            return descend(dense, task), dense.weights() if keep else []
        (seed,) = seeds
        network, basis = _low_rank_network(task, architecture, start, pace, seed)
        return descend(network, task), network.weights(start, seed, basis) if keep else []


def _low_rank_network(
    task: Task, architecture: _Architecture, start: Start, pace: Pace, seed: int
) -> tuple[LowRankNetwork, np.ndarray]:
    """Return a network, and the basis of the inputs that its first layer is held in."""
    n, L, dtype = architecture.width, task.depth, architecture.dtype
    coordinates, basis = input_coordinates(task.inputs)
    first, last = start.matrix(seed, 0), start.matrix(seed, L)
    hidden = [_hidden_matrix(start.matrix(seed, l), task, architecture) for l in range(1, L)]
    biases = [start.bias(seed, l) for l in range(L + 1)] if task.bias else []
    first, last = basis.astype(dtype) @ first.T, last * dtype.type(n)
    return LowRankNetwork(task, coordinates, first, hidden, last, biases, pace), basis


def _hidden_matrix(initial: np.ndarray, task: Task, architecture: _Architecture) -> StagedMatrix:
    full = FullMatrix(initial)
    whole = LowRankMatrix(
        len(initial),
        images=lambda u, shares: full.forward(u)[0],
        transposed_images=lambda e, shares: full.backward(e)[0],
        tol=max(task.resolution(architecture.tol), 16 * float(np.finfo(initial.dtype).eps)),
        capacity=_capacity(task, len(initial)),
        dtype=initial.dtype,
    )
    return StagedMatrix(whole, stage_size(len(task.inputs)), full)
