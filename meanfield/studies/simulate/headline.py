"""The headline numbers of the study `simulate`."""

from __future__ import annotations

from dataclasses import dataclass

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.study import Headline


@dataclass(frozen=True, kw_only=True)
class SimulateHeadline(Headline):
    """What the training came to, over the replicas.

    Parameters
    ----------
    loss : Estimate
        Training loss at the end.
    test_loss : Estimate or None
        Held-out loss at the end, where data are held out.
    test_accuracy : Estimate or None
        Share of held-out labels that are right, where there are labels.
    """

    loss: Estimate
    test_loss: Estimate | None = None
    test_accuracy: Estimate | None = None
