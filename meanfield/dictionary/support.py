"""Whether a dictionary is the particles' own: what they make up, and how they crowd."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meanfield.dictionary.fitting import as_places, unit_features
from meanfield.dictionary.groups import Crowd, active_crowd
from meanfield.dictionary.refit import Array, Fit, Regression
from meanfield.identify import Atoms

MEMBER = 0.8
"""Cosine between features above which a particle belongs to an atom."""
PARTICLE_LIMIT = 20_000
NULL_PARTICLES, NULL_TURNS = 400, 5


def collect(regression: Regression, network: Atoms, bias: bool) -> Crowd:
    """Collect active particles, homogeneous ones at unit length, evenly chosen if very many."""
    step = -(-len(network.w) // PARTICLE_LIMIT)
    places, coefficients = as_places(network, bias)[::step], step * network.columns[::step]
    if regression.activation.homogeneous:
        size = np.linalg.norm(places, axis=1, keepdims=True)
        coefficients = coefficients * size
        places = places / np.where(size > 0, size, 1)
    return active_crowd(regression, places, coefficients)


def shares(regression: Regression, fit: Fit) -> tuple[Array, Array]:
    """Compare the coefficients of a fit with those that its atoms have in the network.

    `regression` has the network's predictions as its target. Returns the part of each coefficient
    that the network has, (S,), and whether the network could have told: whether the atom, less
    what the others can stand in for, is larger than what the dictionary leaves of the network.
    """
    unit, length = unit_features(regression, fit.places)
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
        nearest, cosine = crowd.nearest(unit_features(regression, places)[0])
        np.add.at(mass, nearest[np.abs(cosine) >= MEMBER], 1 / crowd.n_particles)
    return mass


@dataclass(frozen=True)
class Structure:
    """Spread of particles about atoms, the same without structure, and whether they differ."""

    spread: float
    null_spread: float
    certain: bool


def structure(regression: Regression, places: Array, crowd: Crowd, d: int, seed: int) -> Structure:
    """Compare how near particles are to atoms with particles of uniformly random directions.

    In one dimension there are no directions to turn, and the null spread is NaN.
    """
    if not len(places) or not len(crowd.places):
        return Structure(0.0, float("nan"), True)
    unit = unit_features(regression, places)[0]
    weight = crowd.contributions / crowd.contributions.sum()
    spread = float(weight @ (1 - crowd.nearest(unit)[1] ** 2))
    if d == 1:
        return Structure(spread, float("nan"), spread < 0.05)
    rng = np.random.Generator(np.random.Philox(key=[seed, 2]))
    few, weight = crowd.places[:NULL_PARTICLES], weight[:NULL_PARTICLES]
    weight = weight / weight.sum()
    terms = []
    for _ in range(NULL_TURNS):
        turned = few.copy()
        w = rng.standard_normal((len(few), d))
        size = np.linalg.norm(few[:, :d], axis=1) / np.linalg.norm(w, axis=1)
        turned[:, :d] = w * size[:, None]
        cosine = unit_features(regression, turned)[0].T @ unit
        terms.append(1 - np.abs(cosine).max(axis=1) ** 2)
    terms = np.array(terms)
    null = float(terms.mean(axis=0) @ weight)
    error = float(np.sqrt(weight**2 @ terms.var(axis=0)))
    beyond_chance = null - spread > 3 * error or spread < 1e-3 * null
    return Structure(spread, null, bool(spread < 0.5 * null and beyond_chance))
