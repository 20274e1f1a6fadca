"""Where particles crowd, and whether a dictionary is their own.

Features that carry the network, seeds for its atoms, and what of an atom the network itself has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.dictionary.fitting import NETWORK_FLOOR, as_places
from meanfield.dictionary.refit import Array, Fit, Regression
from meanfield.identify import Atoms
from meanfield.system.generators import generator

CROWD = 0.98
"""Cosine between features above which particles count towards one another's crowd."""
APART = 0.95
"""Cosine above which a seed stands for a particle, which is then no seed itself."""
CARRIED = 0.9
"""Part of a network that crowds must have before the others are not counted."""
STRAY = 0.02
"""Part of a network from which a crowd that belongs to no atom is told."""
EXCLUDED = 0.5
"""Part of such a crowd that labels must exclude for it to be no atom."""
SEEDING_LIMIT = 1500
"""Only this many particles, those that contribute most, are compared pair by pair."""
MEMBER = 0.8
"""Cosine between features above which a particle belongs to an atom."""
PARTICLE_LIMIT = 20_000
NULL_PARTICLES, NULL_TURNS = 400, 5
BY_WEIGHT, BY_COUNT = 0.5, 0.75
"""Largest spread relative to that without structure, averaged by contribution and by count."""
FEW_DIMENSIONS = 3
"""Input dimensions in which random features fitted to a target come that near by contribution: in
four none of 72 networks did, the nearest at 0.57 of the spread without structure."""
TIGHT = 0.2
"""Spread by contribution, relative to that without structure, which needs no count; the only one
that counts for places on a line, where features differ little."""
BLUR = 0.7
"""Standard deviation of the logarithm of the factors that blur sizes in one dimension."""
ALIKE = 1e-9
"""Spread without structure below which there is only one feature."""


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


def collect(regression: Regression, network: Atoms, bias: bool) -> Crowd:
    """Keep the particles that carry all but a hundredth of the network.

    Of very many particles some are chosen evenly; those of a homogeneous activation get length one.
    """
    step = -(-len(network.w) // PARTICLE_LIMIT)
    places, coefficients = as_places(network, bias)[::step], step * network.columns[::step]
    if regression.activation.homogeneous:
        coefficients = coefficients * np.linalg.norm(places, axis=1, keepdims=True)
        places = regression.normalised(places)
    unit, length = regression.unit_features(places)
    amounts = coefficients * length[:, None]
    contributions = np.linalg.norm(amounts, axis=1)
    order = np.argsort(-contributions, kind="stable")
    total = contributions.sum()
    if total > 0:
        carried = np.cumsum(contributions[order]) / total
        order = order[: int(np.searchsorted(carried, 0.99)) + 1]
    keep = order[contributions[order] > 0]
    return Crowd(places[keep], unit[:, keep], amounts[keep], len(places))


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


def crowds(crowd: Crowd) -> list[Array]:
    """Return the particles of each crowd, those of the largest part of the network first.

    Of many particles those that contribute most are compared, and the rest are one crowd each.
    """
    weight = crowd.contributions
    directions = crowd.directions[:, :SEEDING_LIMIT]
    near = np.abs(directions.T @ directions) > APART
    left = weight[:SEEDING_LIMIT].copy()
    found = [np.array([i]) for i in range(SEEDING_LIMIT, len(weight))]
    while left.any():
        members = near[int((near @ left * (left > 0)).argmax())] & (left > 0)
        found.append(np.flatnonzero(members))
        left[members] = 0.0
    return sorted(found, key=lambda members: -weight[members].sum())


def crowd_count(crowd: Crowd) -> int:
    """Count the crowds that together have nine tenths of what the network is made of."""
    carried = np.cumsum([crowd.contributions[members].sum() for members in crowds(crowd)])
    return int(np.searchsorted(carried, CARRIED * carried[-1])) + 1 if len(carried) else 0


def stray_crowds(regression: Regression, fit: Fit, crowd: Crowd, *, own: bool) -> Array:
    r"""Return the parts of the network of crowds that may be atoms more than a fit has.

    Crowds of `STRAY` of the network at least, by contribution, whose particles belong to no atom.
    What one adds, signs cancelled, is a function g. Refit to the network's `own` predictions, it
    is an atom where more of g than counts as nothing is left beside the tangent space of the fit.
    Refit to labels, it may be one unless they exclude half of it: ``⟨r, ĝ⟩/|ĝ|² + 2 s/|ĝ| < ½``,
    ``ĝ`` what is left of g and r the residual, of variance s²; for class labels by their Fisher
    information. A penalty keeps neurons at places where labels need no atom.
    """
    if not len(fit.places) or not len(crowd.places):
        return np.zeros(0)
    cosine = crowd.nearest(regression.unit_features(fit.places)[0])[1]
    apart = np.abs(cosine) < MEMBER
    some = Crowd(crowd.places[apart], crowd.directions[:, apart], crowd.amounts[apart], 0)
    total = crowd.contributions.sum()
    found = [(some.contributions[m].sum() / total, m) for m in crowds(some)]
    found = [(part, members) for part, members in found if part >= STRAY]
    if not found:
        return np.zeros(0)
    functions = np.stack(
        [some.directions[:, m] @ some.amounts[m] @ regression.outputs for _, m in found], axis=2
    )
    information, score = regression.beside_tangent(fit, functions)
    if own:
        kept = information > NETWORK_FLOOR**2 * regression.total
    else:
        error = 2 * np.sqrt(regression.variance(fit) * information)
        kept = ~(score + error < EXCLUDED * information)
    return np.array([part for part, _ in found])[kept]


def shares(regression: Regression, fit: Fit) -> tuple[Array, Array]:
    """Compare the coefficients of a fit with those that its atoms have in the network.

    `regression` has the network's predictions as its target. Returns the part of each coefficient
    that the network has, (S,), and whether the network could have told: whether the atom, less
    what the others can stand in for, is larger than what the dictionary leaves of the network.
    """
    unit, length = regression.unit_features(fit.places)
    inverse = np.linalg.inv(unit.T @ unit + 1e-10 * np.eye(len(length)))
    wanted = fit.coefficients * length[:, None]
    inner = unit.T @ regression.target
    present = inverse @ inner
    square = (wanted**2).sum(axis=1)
    share = (present * wanted).sum(axis=1) / np.where(square > 0, square, 1)
    left = np.linalg.norm(regression.target - unit @ present)
    return share, np.sqrt(square / np.diag(inverse)) > 2 * left


def masses(regression: Regression, places: Array, crowd: Crowd) -> Array:
    """Return the fraction of all particles that belong to each atom, (S,)."""
    mass = np.zeros(len(places))
    if len(places) and len(crowd.places):
        nearest, cosine = crowd.nearest(regression.unit_features(places)[0])
        np.add.at(mass, nearest[np.abs(cosine) >= MEMBER], 1 / crowd.n_particles)
    return mass


def structure(
    regression: Regression, places: Array, crowd: Crowd, d: int, seed: int
) -> tuple[float, float, bool]:
    """Compare how near particles are to atoms with particles that have no structure.

    Returns the spread, the same without structure, and whether they differ. Spread is ``sin²`` of
    the angle between features of a particle and of its nearest atom. Output weights fitted to
    random features are largest near the atoms too, so that in few dimensions a small mean by
    contribution is not enough: by count the particles must be nearer as well, the nearest to each
    atom aside, where the atom may have come from.
    """
    if not len(places) or not len(crowd.places):
        return 0.0, float("nan"), True
    unit = regression.unit_features(places)[0]
    nearest, cosine = crowd.nearest(unit)
    sine = 1 - cosine**2
    weight = crowd.contributions / crowd.contributions.sum()
    spread = float(weight @ sine)
    rng = generator(seed, 2)
    few, weight = crowd.places[:NULL_PARTICLES], crowd.contributions[:NULL_PARTICLES]
    size = weight / regression.unit_features(few)[1]
    turns, parts = [], []
    for _ in range(NULL_TURNS):
        turned, length = regression.unit_features(_without_structure(few, d, rng))
        turns.append(1 - np.abs(turned.T @ unit).max(axis=1) ** 2)
        # A neuron that turns away from all data carries nothing of a network.
        parts.append(size * length)
    terms, part = np.array(turns), np.array(parts)
    active = part >= weight.min()
    part = part / max(float(part.sum()), 1e-300)
    null = float((part * terms).sum())
    # Without any spread every particle has the same feature, as for relu in one dimension.
    tight = null < ALIKE or spread < TIGHT * null
    if tight or few.shape[1] == 1:
        return spread, null, tight
    by_count = _spread_by_count(sine, nearest)
    crowded = d > FEW_DIMENSIONS or by_count < BY_COUNT * float(terms[active].mean())
    error = float(np.sqrt(part.sum(axis=0) ** 2 @ terms.var(axis=0)))
    beyond_chance = null - spread > 3 * error
    return spread, null, bool(spread < BY_WEIGHT * null and crowded and beyond_chance)


def _spread_by_count(sine: Array, nearest: Array) -> float:
    """Mean and two standard errors, the nearest particle of each atom aside."""
    others = np.ones(len(sine), dtype=bool)
    for atom in np.unique(nearest):
        members = np.flatnonzero(nearest == atom)
        others[members[sine[members].argmin()]] = False
    values = sine[others]
    if len(values) < 2:
        return float("inf")
    return float(values.mean() + 2 * values.std(ddof=1) / np.sqrt(len(values)))


def _without_structure(places: Array, d: int, rng: np.random.Generator) -> Array:
    """Turn the input weights of every particle at random.

    In one dimension the bias turns with them; without one, sizes are multiplied by random factors,
    which blurs crowds and leaves the range.
    """
    if places.shape[1] == 1:
        return places * np.exp(BLUR * rng.standard_normal(places.shape))
    out = places.copy()
    turning = places[:, : max(d, 2)]
    w = rng.standard_normal(turning.shape)
    size = np.linalg.norm(turning, axis=1) / np.linalg.norm(w, axis=1)
    out[:, : max(d, 2)] = w * size[:, None]
    return out
