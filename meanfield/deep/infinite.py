"""The infinite-width limit of µP, simulated forward with samples of its random variables."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.deep.axes import EXACT, FIRST_AXES, OutOfAxesError
from meanfield.deep.descent import NotFiniteError, Record, concatenate, descend, divergence
from meanfield.deep.sampling import Sampling
from meanfield.deep.task import Task, as_scales, make_task
from meanfield.deep.trained import DeepRun, as_run
from meanfield.errors import ArgumentError
from meanfield.flow.schedule import Schedule
from meanfield.problem.activations import Activation
from meanfield.problem.losses import Loss
from meanfield.system import memory
from meanfield.system.progress import Progress
from meanfield.system.threads import fixed_blas

#: Directions per hidden matrix and side for few inputs: over 1000 steps, 10 need 100 to 300.
_LEAST_BUDGET = 512


def _mean(quantity: str, meaning: str) -> cached_property[np.ndarray]:
    """A property: the mean of a quantity of the replicas."""

    def mean(limit: InfiniteWidth) -> np.ndarray:
        return getattr(limit.replicas, quantity).mean(axis=0)

    mean.__doc__ = meaning
    return cached_property(mean)


def _error(quantity: str) -> cached_property[np.ndarray]:
    """A property: the standard error of that mean; NaN for a single replica."""

    def error(limit: InfiniteWidth) -> np.ndarray:
        values = getattr(limit.replicas, quantity)
        if len(values) == 1:
            unknown = 0.0 if limit.replicas.engine == EXACT else np.nan
            return np.full(values.shape[1:], unknown)
        return values.std(axis=0, ddof=1) / np.sqrt(len(values))

    error.__doc__ = f"Standard error of `{quantity}`, of its shape."
    return cached_property(error)


@dataclass(frozen=True, eq=False)
class InfiniteWidth:
    r"""The infinite-width limit of a µP network: averages over replicas, with their errors.

    P predicted steps, S saved steps, L hidden layers, m training inputs. Every mean has a companion
    ``…_error``, its standard error over the replicas, which is zero in the exact limit.

    Attributes
    ----------
    replicas : DeepRun
        The independent simulations that are averaged; its units are the samples.
    notes : tuple of str
        What to bear in mind: the edge of stability, truncation, layers that must be degenerate.
    rank_budget : int
        Directions that a hidden matrix could keep per side; those that it did are
        ``replicas.ranks``.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> limit = mf.deep.infinite_width(np.eye(2), [1.0, -1.0], depth=2, n_samples=256, n_replicas=2,
    ...                                n_steps=3)
    >>> limit.predictions.shape, bool((limit.predictions_error >= 0).all())
    ((4, 2), True)
    """

    replicas: DeepRun
    notes: tuple[str, ...]
    rank_budget: int

    @property
    def steps(self) -> np.ndarray:
        """Steps of the predictions, shape (P,)."""
        return self.replicas.steps

    @property
    def saved_steps(self) -> np.ndarray:
        """Steps of kernels and features, shape (S,)."""
        return self.replicas.saved_steps

    predictions = _mean(
        "predictions", "The limit ``f̊_t(ξ_i)`` on the training inputs, (P, m[, K])."
    )
    predictions_error = _error("predictions")
    predictions_test = _mean("predictions_test", "The limit on the test inputs, (P, m_test[, K]).")
    predictions_test_error = _error("predictions_test")
    error_signals = _mean("error_signals", "Error signals ``χ̊_{t,i}``, (P, m[, K]).")
    loss = _mean("loss", "Training loss, (P,).")
    kernel_h = _mean("kernel_h", "``E[h_i h_j]`` of features before the activation, (S, L, m, m).")
    kernel_x = _mean("kernel_x", "``E[x_i x_j]`` of features after the activation, (S, L, m, m).")
    feature_change = _mean("feature_change", "``(E|h − h_0|² / E|h_0|²)^{1/2}``, (S, L, m).")
    feature_change_error = _error("feature_change")
    weight_change = _mean("weight_change", "Size of the step that follows, by layer, (S, L + 1).")
    sharpness = _mean("sharpness", "Step size times curvature, (S,); see `DeepRun.sharpness`.")
    least_eigenvalue_h = _mean("least_eigenvalue_h", "Least eigenvalue of `kernel_h`, (S, L).")
    least_eigenvalue_h_error = _error("least_eigenvalue_h")
    least_eigenvalue_x = _mean("least_eigenvalue_x", "Least eigenvalue of `kernel_x`, (S, L).")
    least_eigenvalue_x_error = _error("least_eigenvalue_x")


@fixed_blas()
def infinite_width(
    X: Any,
    y: Any,
    *,
    depth: int = 3,
    activation: str | Activation = "silu",
    loss: str | Loss = "squared",
    bias: bool = False,
    step_size: float | Sequence[float] | np.ndarray | Schedule = 0.1,
    richness: float = 1.0,
    n_steps: int = 1000,
    optimizer: str = "sgd",
    momentum: float | None = None,
    weight_decay: float = 0.0,
    n_samples: int | None = 4096,
    n_replicas: int = 4,
    seed: int = 0,
    batch_size: int | None = None,
    batch_seed: int = 0,
    reduction: str = "sum",
    weight_variance: tuple[float, float, float] = (1.0, 1.0, 1.0),
    rate_scale: tuple[float, float, float] = (1.0, 1.0, 1.0),
    bias_variance: float = 1.0,
    X_test: Any = None,
    tol: float | None = None,
    max_rank: int | None = None,
    n_quasi: int = 64,
    predict_every: int = 1,
    save_at: Sequence[int] | None = None,
    joint_steps: int = 0,
    progress: Progress | None = None,
) -> InfiniteWidth:
    r"""Compute the infinite-width limit of training under µP ([RFL] §3 and Appendix B).

    The coordinates of the features and error vectors become independent copies of random variables
    :math:`Z^{h^l_t}, Z^{dh^l_t}`, which are causal in (step, layer) and are sampled forward. For a
    hidden matrix, :math:`Z^{W_0 x}` has a Gaussian part with covariance :math:`E[x x']` and a part
    along the error vectors met so far,

    .. math:: \dot Z^{W_0 x} = \sum_k E_k\, E[G_k x],

    by Gaussian integration by parts, with :math:`E_k` an orthonormal basis of the error vectors,
    those of the current step included, and :math:`G_k = W_0^⊤ E_k`; likewise for the transpose.
    Taken to the letter, the sums in (B.8) stop at ``s = t − 1``; the backward pass of step ``t``
    uses features of the same step, so the term ``s = t`` belongs in. The limit starts at ``f = 0``.

    Momentum and weight decay leave this structure as it is: the velocity of a hidden matrix is a
    sum of past gradients, ``E N U^⊤`` on the directions met so far, and decay multiplies ``W_0`` by
    a number. With several outputs, the error vectors of an input are along ``χ_i``.

    Parameters
    ----------
    X : array_like of shape (m, d)
        Training inputs ξ.
    y : array_like of shape (m,) or (m, K)
        Targets; ±1 for the logistic loss; classes 0 … K − 1, of shape (m,), for cross-entropy.
    depth : int
        Hidden layers, ``L``.
    activation : str or Activation
        ϕ.
    loss : str or Loss
        ``"squared"``, with ``χ = 2 (f − y)``, ``"logistic"``, ``"cross-entropy"`` or another.
    bias : bool
        Whether every layer has biases; a hidden one is a random variable of its own.
    step_size : float, array_like of shape (n_steps,) or Schedule
        Base learning rate η.
    richness : float
        γ₀: the output is divided by it and the rates are multiplied by its square. Towards 0
        features stay where they start and the outputs follow the tangent kernel (lazy training);
        1 is the network as it stands.
    n_steps : int
        Gradient steps.
    optimizer, momentum : str and float, optional
        ``"sgd"``, or ``"momentum"`` with β, 0.9 by default. The limit does not hold Adam.
    weight_decay : float
        Decoupled weight decay, λ; see `train`.
    n_samples : int
        Samples of every random variable, ``K``; a power of two unless ``n_quasi=0``. The bias that
        a finite number leaves is that of a network of width ``K``, of order ``1/K``. None takes no
        samples, for the identity activation: all variables are then Gaussian, a vector is its
        coordinates in an orthonormal basis that gains an axis with every fresh image, and the
        limit is exact, in a single replica whose units are these axes.
    n_replicas, seed : int
        Independent simulations, at least two for error bars, and their seed.
    batch_size, batch_seed : int, optional
        Inputs per step, and seed of the batches; the schedule is that of `train`.
    reduction : str
        ``"sum"`` adds the error signals of a batch, ``"mean"`` averages them.
    weight_variance, rate_scale : (float, float, float)
        Variances of the entries of ``W^1``, of ``√n W^l`` and of ``n W^{L+1}``, and factors of
        their learning rates.
    bias_variance : float
        Variance of the hidden biases at the start; those of the output start at zero.
    X_test : array_like of shape (m_test, d), optional
        Inputs that are only predicted.
    tol : float
        Directions shorter than `tol` relative to their vector are left out; the errors in the
        predictions that were measured are below `tol`. By default 1e-3, and 1e-12 without samples.
    max_rank : int, optional
        Most directions kept per hidden matrix and side; by default 512, or twice the number of
        inputs where that is more, for each can have a direction of its own. With `n_samples` it
        fixes the memory.
    n_quasi : int
        Directions per replica whose samples are quasi-random (scrambled Sobol), the first ones.
    predict_every : int
        Record predictions at multiples of this number of steps.
    save_at : sequence of int, optional
        Steps at which kernels and features are recorded, besides the first and the last. By
        default the first ten and thirty more, evenly spaced.
    joint_steps : int
        Steps from the start over which the increments of features and the error vectors of all
        inputs are kept, for `joint_nondegeneracy`; 0 keeps none.
    progress : callable, optional
        Called as ``progress(done, total)`` after every replica.

    Returns
    -------
    InfiniteWidth
        Predictions, kernels, feature change and least eigenvalues, with error bars.

    Raises
    ------
    ValueError, TypeError
        If an argument is not usable.
    MemoryError
        If the simulation would not fit into memory.
    DivergenceError
        If a prediction is not finite.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X, y = np.eye(3), [1.0, -1.0, 1.0]
    >>> limit = mf.deep.infinite_width(X, y, depth=2, activation="tanh", n_steps=5, n_samples=256)
    >>> limit.predictions.shape, float(limit.predictions[0].max())
    ((6, 3), 0.0)
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
    if task.optimizer.name == "adam":
        raise ArgumentError(
            "optimizer",
            "must be 'sgd' or 'momentum', got 'adam': it moves every entry of a matrix on its own, "
            "and the limit holds matrices on few directions; train a wide network instead.",
        )
    exact = n_samples is None
    if exact and task.activation.name != "identity":
        raise ArgumentError(
            "n_samples",
            "must be a number unless activation is 'identity', whose limit alone is exact; "
            f"activation is {task.activation.name!r}.",
        )
    tol = (1e-12 if exact else 1e-3) if tol is None else checks.nonnegative("tol", tol)
    sampling = Sampling(
        n_samples=FIRST_AXES if exact else checks.count("n_samples", n_samples, minimum=2),
        n_quasi=0 if exact else checks.count("n_quasi", n_quasi, minimum=0),
        exact=exact,
        tol=tol,
        max_rank=max(_LEAST_BUDGET, 2 * len(task.inputs))
        if max_rank is None
        else checks.count("max_rank", max_rank),
        seed=checks.seed(seed),
        weight_variance=as_scales(weight_variance, "weight_variance"),
        bias_variance=checks.nonnegative("bias_variance", bias_variance),
        rate_scale=as_scales(rate_scale, "rate_scale"),
    )
    sampling.check()
    sampling.pace(task).check()
    n_replicas = 1 if exact else checks.listed("n_replicas", n_replicas)
    memory.require(
        sampling.bytes_needed(task, n_replicas),
        "lower n_samples, max_rank or n_replicas, or record fewer steps with "
        "predict_every and save_at",
    )
    records, full = [], False
    for replica in range(n_replicas):
        record, lacking = _descend(sampling, task, replica)
        records.append(record)
        full = full or lacking
        if progress is not None:
            progress(replica + 1, n_replicas)
    record = concatenate(records)
    run = as_run(task, record, EXACT if exact else "low-rank", range(n_replicas))
    notes = _notes(task, run, record, sampling.max_rank if full else None)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return InfiniteWidth(run, notes, sampling.capacity(task))


def _descend(sampling: Sampling, task: Task, replica: int) -> tuple[Record, bool]:
    """Train one replica, which is gone afterwards; whether it ran out of directions."""

    def attempt(task: Task, sampling: Sampling = sampling) -> tuple[Record, bool]:
        network = sampling.network(task, replica)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                record = descend(network, task)
        except OutOfAxesError:
            return attempt(task, replace(sampling, n_samples=2 * sampling.n_samples))
        return record, any(matrix.is_full for matrix in network.hidden)

    try:
        return attempt(task)
    except NotFiniteError as error:
        where = f"The limit (replica {replica})"
        raise divergence(
            where, task, replica, error.step, lambda smaller: attempt(smaller)[0]
        ) from None


def _notes(task: Task, run: DeepRun, record: Record, full_at: int | None) -> tuple[str, ...]:
    notes = []
    edge = record.edge_step[record.edge_step >= 0]
    if edge.size:
        notes.append(
            f"The step size reaches the edge of stability: its product with the curvature is "
            f"{record.peak_sharpness.max():.2f} ({task.optimizer.edge:g} is the edge), first at "
            f"step {edge.min()}. "
            "Replicas may separate; lower step_size, or raise n_samples and look at "
            "predictions_error."
        )
    if full_at is not None:
        notes.append(
            f"max_rank={full_at} directions did not suffice for the tolerance; later directions "
            "were left out. Raise max_rank or tol."
        )
    if run.input_rank < task.n_train:
        rank = run.input_rank
        of = f"The {task.n_train} inputs span {rank} dimensions, so h_1 = W_1 ξ has rank {rank}: "
        if task.bias:
            of = (
                f"The {task.n_train} inputs and the constant of the biases span {rank} dimensions, "
                f"so h_1 = W_1 ξ + b_1 has rank {rank}: "
            )
        notes.append(
            f"{of}its least eigenvalue is zero, and Theorem 4.5(1) cannot hold in the first layer."
        )
    return tuple(notes)
