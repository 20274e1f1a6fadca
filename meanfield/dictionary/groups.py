"""Where particles crowd: features that carry the network, and seeds for its atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.dictionary.refit import Array, Regression

CROWD = 0.98
"""Cosine between features above which particles count towards one another's crowd."""
APART = 0.95
"""Cosine above which a seed stands for a particle, which is then no seed itself."""
SEEDING_LIMIT = 1500
"""Only this many particles, those that contribute most, are compared pair by pair."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """The particles that carry a network in L²(ρ), those that contribute most first.

    `places` (m, D) are ``(w, b)``; `directions` (n, m) the features, less their affine part and of
    length one; `amounts` (m, k) the coefficient times that length; `n_particles` counts the
    inactive ones as well.
    """

    places: Array
    directions: Array
    amounts: Array
    n_particles: int

    @property
    def contributions(self) -> Array:
        """Length of each particle's share of the network, (m,)."""
        return np.linalg.norm(self.amounts, axis=1)

    def nearest(self, directions: Array) -> tuple[Array, Array]:
        """Return for each particle the nearest of some unit features and the cosine with it."""
        cosine = self.directions.T @ directions
        nearest = np.abs(cosine).argmax(axis=1)
        return nearest, np.take_along_axis(cosine, nearest[:, None], axis=1)[:, 0]


def active_crowd(regression: Regression, places: Array, coefficients: Array) -> Crowd:
    """Keep the particles that carry all but a hundredth of the network."""
    features = regression.without_affine(regression.features(places))
    length = np.linalg.norm(features, axis=0)
    amounts = coefficients * length[:, None]
    contributions = np.linalg.norm(amounts, axis=1)
    order = np.argsort(-contributions, kind="stable")
    total = contributions.sum()
    if total > 0:
        carried = np.cumsum(contributions[order]) / total
        order = order[: int(np.searchsorted(carried, 0.99)) + 1]
    keep = order[contributions[order] > 0]
    return Crowd(places[keep], features[:, keep] / length[keep], amounts[keep], len(places))


def seeds(crowd: Crowd, limit: int) -> Array:
    """Choose places where signed contributions add up most, each far from those before, (s, D)."""
    directions, amounts = crowd.directions[:, :SEEDING_LIMIT], crowd.amounts[:SEEDING_LIMIT]
    cosine = directions.T @ directions
    near = np.where(np.abs(cosine) > CROWD, cosine, 0.0)
    left = np.ones(len(amounts), dtype=bool)
    chosen: list[int] = []
    while left.any() and len(chosen) < limit:
        density = np.linalg.norm(near @ (amounts * left[:, None]), axis=1) * left
        best = int(density.argmax())
        if density[best] <= 0:
            break
        chosen.append(best)
        left &= np.abs(cosine[best]) <= APART
    return crowd.places[chosen]
