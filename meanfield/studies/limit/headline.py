"""The headline numbers of the study `limit`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline, family


@dataclass(frozen=True, kw_only=True)
class LimitHeadline(Headline):
    """What was found of every network, by its case: activation and depth.

    Parameters
    ----------
    error_signal : dict of str to Estimate
        Largest error signal at the end.
    last_move : dict of str to Estimate
        Largest size of the last step over the layers, relative to the first.
    least_eigenvalue : dict of str to Estimate
        Of the features' kernels, over layers and steps.
    bias_exponent, spread_exponent : dict of str to Estimate
        In the width, of finite networks about the limit.
    bias_constant, spread_constant : dict of str to Estimate
        Bias times width and spread times its square root, where they are known.
    """

    error_signal: dict[str, Estimate] = family("{}_error_signal")
    last_move: dict[str, Estimate] = family("{}_last_move")
    least_eigenvalue: dict[str, Estimate] = family("{}_least_eigenvalue")
    bias_exponent: dict[str, Estimate] = family("{}_bias_exponent")
    bias_constant: dict[str, Estimate] = family("{}_bias_constant")
    spread_exponent: dict[str, Estimate] = family("{}_spread_exponent")
    spread_constant: dict[str, Estimate] = family("{}_spread_constant")
