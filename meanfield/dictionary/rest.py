"""Whether the neurons of a network have come to rest, and in how many wells of their potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.dictionary.potential import PenalisedPotential
from meanfield.dictionary.refit import Regression
from meanfield.dictionary.support import CROWD, Crowd

FOLLOWED = 100
"""So many neurons are followed, evenly chosen by contribution."""
PART = 0.02
"""Wells with less than this part of what the network is made of are not counted."""
TURNED = 0.95
"""Cosine between a neuron's features before and after its descent below which it was on its way."""


@dataclass(frozen=True)
class Rest:
    """Where neurons end that descend the frozen potential of their network.

    `wells` counts their ends by features, `moving` is the part of the network, by contribution,
    whose neurons turn on the way.
    """

    wells: int
    moving: float

    @property
    def settled(self) -> bool:
        """Whether next to nothing of the network is still on its way."""
        return self.moving <= PART

    def advice(self, n_atoms: int) -> str:
        """Say which key of a configuration to change; nothing where the wells are the atoms."""
        texts = []
        if not self.settled:
            texts.append(
                f"Neurons that carry {self.moving:.0%} of the network have not settled: more steps "
                "(run.n_steps), or slower cooling (atoms.cool_steps), lets them."
            )
        if self.wells > n_atoms:
            texts.append(
                f"At rest they would fill {self.wells} wells of the potential: a larger penalty "
                "(problem.l2) merges wells."
            )
        return " ".join(texts)


def come_to_rest(potential: PenalisedPotential, regression: Regression, crowd: Crowd) -> Rest:
    """Let neurons descend the potential in place, the error signals frozen, until they settle."""
    chosen = np.unique(np.linspace(0, len(crowd.places) - 1, FOLLOWED).round().astype(int))
    weight = crowd.contributions[chosen]
    ends, _ = potential.descend_all(crowd.places[chosen])
    unit = regression.unit_features(ends)[0]
    turned = np.abs((unit * crowd.directions[:, chosen]).sum(axis=0)) < TURNED
    cosine = np.abs(unit.T @ unit)
    left, parts = np.ones(len(chosen), dtype=bool), []
    for i in np.argsort(potential(ends), kind="stable"):
        if left[i]:
            members = left & (cosine[i] > CROWD)
            members[i] = True
            parts.append(weight[members].sum())
            left &= ~members
    total = weight.sum()
    return Rest(int((np.array(parts) >= PART * total).sum()), float(weight[turned].sum() / total))
