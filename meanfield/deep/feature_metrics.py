"""How much features moved, how independent they are, and what that says of Theorem 4.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.checks import unmasked
from meanfield.deep.trained import DeepRun
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    from meanfield.deep.infinite import InfiniteWidth


#: What entries are known to, from sums over units, in rounding errors for each input.
_ROUNDING = 8


def feature_change(features: np.ndarray, initial_features: np.ndarray) -> np.ndarray:
    """Return the relative change :math:`‖h − h_0‖_2 / ‖h_0‖_2` of every input's features.

    Parameters
    ----------
    features, initial_features : ndarray of shape (..., m, n)
        Features of m inputs in n units.

    Returns
    -------
    ndarray of shape (..., m)
        NaN where the initial features vanish ([RFL] Appendix A).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.deep.feature_change(np.array([[3.0, 4.0]]), np.array([[3.0, 0.0]])).round(4)
    array([1.3333])
    """
    moved = np.linalg.norm(np.subtract(features, initial_features, dtype=np.float64), axis=-1)
    size = np.linalg.norm(np.asarray(initial_features, dtype=np.float64), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 0, moved / size, np.nan)


def feature_diversity(features: np.ndarray, per_unit: bool = True) -> np.ndarray:
    """Return the least eigenvalue of the Gram matrix :math:`K_{ij} = ⟨h(ξ_i), h(ξ_j)⟩`.

    Computed from singular values, so that it keeps its relative accuracy down to ``10^-25`` of the
    largest eigenvalue in double precision ([RFL] Appendix A). Below the rounding of the features,
    in the precision that they come in, it is zero.

    Parameters
    ----------
    features : ndarray of shape (..., m, n)
        Features of m inputs in n units.
    per_unit : bool
        Divide by ``n``, which has a limit as the width grows; otherwise the plain inner product.

    Returns
    -------
    ndarray of shape (...)
        Zero when there are fewer units than inputs, and where only rounding keeps the features
        of the inputs apart: more inputs than they span dimensions, equal ones, or opposite ones
        of an odd activation.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> float(mf.deep.feature_diversity(np.eye(2), per_unit=False))
    1.0
    """
    unmasked("features", features)
    features = np.asarray(features)
    eps = np.finfo(features.dtype if features.dtype.kind == "f" else np.float64).eps
    *_, m, n = features.shape
    if n < m:
        return np.zeros(features.shape[:-2])
    sizes = np.linalg.svd(features.astype(np.float64), compute_uv=False)
    least = np.where(sizes[..., -1] > _ROUNDING * m * eps * sizes[..., 0], sizes[..., -1], 0.0)
    return np.square(least) / n if per_unit else np.square(least)


def joint_diversity(
    features: np.ndarray, initial_features: np.ndarray, per_unit: bool = True
) -> np.ndarray:
    """Return `feature_diversity` of the initial and the final features stacked.

    Parameters
    ----------
    features, initial_features : ndarray of shape (..., m, n)
        Features of m inputs in n units.
    per_unit : bool
        Divide by ``n``.

    Returns
    -------
    ndarray of shape (...)
        Of the 2m × 2m Gram matrix ([RFL] §5.3, Figure 2); zero when ``n < 2m``.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> first = np.array([[1.0, 0.0]])
    >>> float(mf.deep.joint_diversity(np.array([[0.0, 2.0]]), first, per_unit=False))
    1.0
    """
    return feature_diversity(np.concatenate([initial_features, features], axis=-2), per_unit)


def without_rounding(
    least: np.ndarray, kernel: np.ndarray, dtype: np.dtype | type = np.float64
) -> np.ndarray:
    """Return least eigenvalues, 0 where they are rounding beside the size of their kernel.

    Parameters
    ----------
    least, kernel : ndarray of shape (...) and (..., m, m)
        Least eigenvalues, and their Gram matrices.
    dtype : dtype, default: float64
        Precision of the features that the matrices were computed from.

    Returns
    -------
    ndarray of shape (...)

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> kernel = np.ones((2, 2))  # two equal inputs
    >>> mf.deep.without_rounding(np.array(1e-17), kernel)
    array(0.)
    """
    size = np.trace(kernel, axis1=-2, axis2=-1)
    return np.where(np.abs(least) <= 100 * np.finfo(dtype).eps * size, 0.0, least)


def mean_over_networks(values: np.ndarray, axis: int = 0) -> Estimate:
    """Return the mean of a quantity over the networks that did not diverge.

    Parameters
    ----------
    values : ndarray
        Not negative, one entry per network along `axis`; NaN where the network diverged.
    axis : int, default: 0

    Returns
    -------
    Estimate
        With Student's interval for the logarithm; none where the mean is zero or of a single
        network, and NaN where all diverged.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> float(mf.deep.mean_over_networks(np.array([1.0, 2.0, 3.0])).value)
    2.0
    """
    unmasked("values", values)
    values = np.moveaxis(np.asarray(values, dtype=np.float64), axis, 0)
    columns = values.reshape(len(values), -1).T
    alive = [column[np.isfinite(column)] for column in columns]
    means = [
        Estimate.positive_mean(column) if column.any() else Estimate(0.0 if column.size else np.nan)
        for column in alive
    ]
    found = Estimate.stack(means, resampled="networks")
    return found.map(lambda part: part.reshape(values.shape[1:]))


def least_over_training(values: Estimate) -> tuple[Estimate, int, int]:
    """Return the least of eigenvalues over saved steps and layers, and where it is.

    Parameters
    ----------
    values : Estimate of shape (S, L)
        Eigenvalues at S steps in L layers; at least one is not NaN.

    Returns
    -------
    least : Estimate
        As it was estimated: the interval does not account for the choice. None for an exact 0.
    step, layer : int
        Its position, from 0.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> values = mf.Estimate(np.array([[3.0, 2.0], [1.0, 4.0]]))
    >>> least, step, layer = mf.deep.least_over_training(values)
    >>> float(least.value), step, layer
    (1.0, 1, 0)
    """
    step, layer = np.unravel_index(np.nanargmin(values.value), values.value.shape)
    least = values[step, layer]
    return (least if least.value != 0 else Estimate(0.0)), int(step), int(layer)


def relative_last_step(weight_change: np.ndarray, epoch: int = 1) -> float:
    """Return how large the last step is beside the first, in the layer where it is largest.

    Corollary 4.6 of [RFL] speaks of its limit 0, training that stands still. With minibatches that
    is the stillness of the steps of all batches: of an epoch the largest one counts.

    Parameters
    ----------
    weight_change : ndarray of shape (S, L + 1)
        Size of the step after each saved step, by layer, as in `DeepRun`; NaN layers are left out.
    epoch : int
        Saved steps, at the start and at the end, of which the largest counts.

    Returns
    -------
    float
        NaN where no layer takes a first step.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> mf.deep.relative_last_step(np.array([[1.0, 2.0], [0.1, 0.1]]))
    0.1
    """
    first, last = weight_change[:epoch].max(axis=0), weight_change[-epoch:].max(axis=0)
    moves = first > 0
    return float(np.max(last[moves] / first[moves])) if moves.any() else np.nan


@dataclass(frozen=True)
class LayerReport:
    """How linearly independent one layer's features stay during training."""

    layer: int  # hidden layer, from 1
    feature: str  # "h" before the activation, "x" after it
    first: float  # least eigenvalue of ``⟨·_i, ·_j⟩`` at the start, averaged over networks,
    least: float  # its minimum over saved steps,
    last: float  # and at the end
    relative_error: float  # largest standard error, relative to the value; NaN for one network
    trend: float  # change of its logarithm per 100 steps over the second half of training
    #: Whether sizes alone force it to zero: two inputs are equal, there are fewer units than
    #: inputs, or, as ``h_1 = W_1 ξ``, more inputs than they span dimensions.
    rank_deficient: bool
    summary: str  # one sentence


def nondegeneracy(run: DeepRun | InfiniteWidth) -> tuple[LayerReport, ...]:
    """Follow the least eigenvalues of [RFL] Theorem 4.5 along training.

    The theorem says that they stay positive in the infinite-width limit, for inputs of
    Assumption 4.1 and activations of Assumption 4.3. How small they become it does not say, so the
    report gives numbers and a trend rather than a verdict.

    Parameters
    ----------
    run : DeepRun or InfiniteWidth
        A finite-width or infinite-width run.

    Returns
    -------
    tuple of LayerReport
        For every layer, features before and after the activation.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> run = mf.deep.train(np.eye(3), [1.0, -1.0, 1.0], width=64, depth=2, n_steps=5)
    >>> len(mf.deep.nondegeneracy(run))
    4
    """
    networks = run if isinstance(run, DeepRun) else run.replicas
    *_, n_layers, n_inputs, _ = networks.kernel_h.shape
    common = _why_deficient(networks, finite=networks is run)
    reports = []
    for layer in range(n_layers):
        for feature in ("h", "x"):
            values = getattr(networks, f"least_eigenvalue_{feature}")[:, :, layer]
            kernel = getattr(networks, f"kernel_{feature}")[:, :, layer]
            # What the entries of a kernel are known to, from sums over units in their precision.
            eps = np.finfo(networks.features.dtype).eps
            rounding = _ROUNDING * n_inputs * eps * np.abs(kernel).max()
            why = common
            if not why and feature == "h" and layer == 0 and networks.input_rank < n_inputs:
                why = (
                    "because there are more inputs than they span dimensions and h_1 = W_1 ξ; "
                    "Theorem 4.5(1) cannot hold here"
                )
            reports.append(_report(layer + 1, feature, values, networks.saved_steps, why, rounding))
    return tuple(reports)


def _why_deficient(networks: DeepRun, finite: bool) -> str:
    """Say why the features of every layer must be linearly dependent; nothing if they need not."""
    *_, n_inputs, n_units = networks.features.shape
    first = networks.initial_features[0, 0]
    for i in range(n_inputs):
        for j in range(i):
            if np.array_equal(first[i], first[j]):
                return f"because inputs {j} and {i} are equal"
    if finite and n_units < n_inputs:
        return f"because there are {n_inputs} inputs and only {n_units} units"
    return ""


def _report(
    layer: int, feature: str, values: np.ndarray, steps: np.ndarray, why: str, rounding: float
) -> LayerReport:
    mean = np.maximum(values.mean(axis=0), 0.0)
    positive = mean > rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(mean.shape, np.nan)
        error = np.max(spread / np.sqrt(len(values)) / mean)
    usable = (steps >= steps[-1] / 2) & positive
    trend = np.nan
    if usable.sum() > 1:
        trend = 100 * np.polyfit(steps[usable], np.log(mean[usable]), 1)[0]
    name = f"{feature}_{layer}"
    if why:
        summary = f"{name}: zero at all times, {why}."
    elif not positive.any():
        summary = (
            f"{name}: zero up to rounding at all times ({mean.max():.1g}); features are linearly "
            "dependent, as for an affine activation and more inputs than they span dimensions."
        )
    else:
        summary = (
            f"{name}: least eigenvalue {mean[0]:.3g} at the start, {mean.min():.3g} at its lowest, "
            f"{mean[-1]:.3g} at the end"
        )
        if np.isfinite(trend):
            direction = "falling" if trend < 0 else "rising"
            change = abs(np.expm1(trend))
            summary += f", {direction} by {change:.2g} per 100 steps over the second half"
        summary += "."
    return LayerReport(
        layer, feature, mean[0], mean.min(), mean[-1], float(error), trend, bool(why), summary
    )
