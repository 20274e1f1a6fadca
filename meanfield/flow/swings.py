"""Networks that swing from step to step: the step size is at the edge of what is stable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Squared size of a move, in parts of the variance of the outputs, and how opposed the next is.
_SIZE, _OPPOSED = 2e-3, -0.8


def swings(predictions: NDArray[np.floating]) -> bool:
    r"""Return whether outputs move forth and back in the last three steps.

    Gradient descent at a curvature above ``1 / step_size`` overshoots at every step, and near
    ``2 / step_size`` it comes to rest in a cycle of two steps. It does not diverge, and the loss
    is the same in both; but networks are in either, by chance, whatever their number of neurons:
    they are no nearer to their limit the more they have.

    Parameters
    ----------
    predictions : ndarray, shape (3, ...)
        Outputs at three successive steps.

    Returns
    -------
    bool
        Whether the mean squared move exceeds 0.002 of the variance of the outputs, and the cosine
        between the two moves is below −0.8; False where outputs are not known.
    """
    first, last = np.diff(predictions, axis=0)
    square = float((last**2).mean())
    size = float(np.sqrt((first**2).sum() * (last**2).sum()))
    if not square > _SIZE * predictions.var():
        return False
    return bool((first * last).sum() < _OPPOSED * size)
