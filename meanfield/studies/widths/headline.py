"""The headline numbers of the study `widths`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline, family


@dataclass(frozen=True, kw_only=True)
class WidthsHeadline(Headline):
    """Exponents in the width, the least over the layers, by `network_name`.

    Parameters
    ----------
    feature_change : dict of str to Estimate
        Of the relative change of the features during training.
    feature_diversity : dict of str to Estimate
        Of the least eigenvalue of the Gram matrix of the trained features, per unit.
    joint_diversity : dict of str to Estimate
        Of that of the initial and the trained features together.
    """

    feature_change: dict[str, Estimate] = family("{}_feature_change")
    feature_diversity: dict[str, Estimate] = family("{}_feature_diversity")
    joint_diversity: dict[str, Estimate] = family("{}_joint_diversity")


def network_name(activation: str, scheme: str) -> str:
    """Return the name under which the headline holds a kind of network."""
    return f"{activation}_{scheme}"
