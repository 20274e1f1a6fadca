"""Joint independence over inputs and steps, forward and backward, as Theorem 4.5 is proved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meanfield.deep.trained import DeepRun
from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    from meanfield.deep.infinite import InfiniteWidth


@dataclass(frozen=True, eq=False)
class JointReport:
    """How independent one family of a hidden matrix stays, over all inputs and steps so far.

    Attributes
    ----------
    layer : int
        The matrix ``W^l``, ``l`` from 2 to L.
    direction : str
        ``"forward"`` for ``δx^{l−1}_s(ξ_i)``, ``"backward"`` for ``dh^l_s(ξ_i)``.
    least : Estimate of shape (T + 1,)
        Least eigenvalue of the Gram matrix of the family up to each step, averaged over networks;
        0 where rounding, or the tolerance of the engine, hides it in one of them.
    rank, size : ndarray of int, shape (T + 1,)
        Vectors that are independent beyond that, the fewest over networks, and all of them.
    summary : str
        One sentence.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> run = mf.deep.train(np.eye(2), [1.0, -1.0], width=64, depth=2, n_steps=3, joint_steps=2)
    >>> report = mf.deep.joint_nondegeneracy(run)[0]
    >>> report.layer, report.direction, bool((report.rank <= report.size).all())
    (2, 'forward', True)
    """

    layer: int
    direction: str
    least: Estimate
    rank: np.ndarray
    size: np.ndarray
    summary: str


def joint_nondegeneracy(run: DeepRun | InfiniteWidth) -> tuple[JointReport, ...]:
    r"""Follow the joint independence on which the proof of [RFL] Theorem 4.5 rests.

    The proof shows, by induction over steps, that the Gaussian processes :math:`\hat Z^{W^l_0
    δx^{l-1}_s(ξ_i)}` and :math:`\hat Z^{W^{l⊤}_0 dh^l_s(ξ_i)}` are non-degenerate over all inputs
    i and steps s ≤ t together ([RFL] (5.3), (5.4), and Steps 1 to 4 of Appendix C), as long as
    error signals do not vanish. Their covariances are the Gram matrices of
    :math:`\{δx^{l-1}_s(ξ_i)\}` and :math:`\{dh^l_s(ξ_i)\}`, whose least eigenvalues this reports.

    They fall fast with the number of steps, for an increment that is nearly in the span of earlier
    ones is a positive eigenvalue of the size of what is new in it. Where that is below rounding, or
    below the tolerance `tol` of the low-rank engine, the report gives a rank instead, and no
    verdict.

    Parameters
    ----------
    run : DeepRun or InfiniteWidth
        A run with ``joint_steps`` of one or more; a small `tol` shows more steps.

    Returns
    -------
    tuple of JointReport
        Two for every hidden matrix, forward and backward.

    Raises
    ------
    ValueError
        The run did not record any joint steps.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> run = mf.deep.train(np.eye(2), [1.0, -1.0], width=64, depth=2, n_steps=3, joint_steps=2)
    >>> len(mf.deep.joint_nondegeneracy(run)) > 0
    True
    """
    networks = run if isinstance(run, DeepRun) else run.replicas
    least, ranks = networks.joint_least, networks.joint_rank
    if least.shape[1] == 0:
        raise ArgumentError("run", "must have recorded joint steps; give joint_steps to it.")
    _, n_steps, _, n_matrices = least.shape
    size = networks.kernel_h.shape[-1] * np.arange(1, n_steps + 1)
    reports = []
    for matrix in range(n_matrices):
        for side, direction in enumerate(("forward", "backward")):
            values, rank = least[:, :, side, matrix], ranks[:, :, side, matrix].min(axis=0)
            seen = rank == size
            mean = Estimate.positive_mean(np.where(seen, values, 0.0), resampled="networks")
            family = f"δx^{matrix + 1}" if side == 0 else f"dh^{matrix + 2}"
            summary = _summary(family, mean.value, rank, size)
            reports.append(JointReport(matrix + 2, direction, mean, rank, size, summary))
    return tuple(reports)


def _summary(family: str, least: np.ndarray, rank: np.ndarray, size: np.ndarray) -> str:
    seen = rank == size
    last = len(seen) - 1 if seen.all() else int(np.argmin(seen)) - 1
    text = f"{family}: "
    if last >= 0:
        text += (
            f"least eigenvalue {least[0]:.3g} at step 0, {least[last]:.3g} over the "
            f"{size[last]} vectors up to step {last}"
        )
    if last < len(seen) - 1:
        text += "; " if last >= 0 else ""
        text += (
            f"from step {last + 1} on rounding or the tolerance hides it, with rank {rank[-1]} of "
            f"{size[-1]} at step {len(seen) - 1}"
        )
    return text + "."
