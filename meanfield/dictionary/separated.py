"""Atoms of classes that they separate: the likelihood then says little of how long they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import chdtri

from meanfield.dictionary.fitting import Prior
from meanfield.dictionary.likelihood import Likelihood
from meanfield.dictionary.refit import Array, Fit
from meanfield.statistics.intervals import LEVEL

CALIBRATED = 0.5
"""Square of signals relative to their variance by the fit, below which labels are not drawn."""
STEPS = 25
FACTORS = 10.0 ** np.arange(0.5, 3.1, 0.5)
"""Factors on the prior on places by which it is made stronger and weaker."""


def separated(regression: Likelihood, fit: Fit) -> bool:
    """Whether labels follow a fit more closely than labels drawn from its probabilities would."""
    f = regression.predict(fit)
    variance = np.trace(regression.weights(f), axis1=1, axis2=2).sum()
    return bool((regression.signals(f) ** 2).sum() < CALIBRATED * regression.share * variance)


def of_own_size(prior: Prior, places: Array) -> Prior:
    """Return a prior under which places are as long as those of the network, and not longer.

    Otherwise atoms grow longer and turn apart, as that puts all data farther from the boundary.
    """
    return replace(prior, place_ridge=10 * places.shape[1] * prior.place_ridge)


def displacement(regression: Likelihood, fit: Fit, prior: tuple[float, float]) -> Array:
    """Return how far parameters move as the prior on places changes and labels allow it, (P,).

    As far as deviance and prior on coefficients stay within what holds the truth in 95 of 100
    cases. In places, coefficients and affine part, in coordinates of the outputs.
    """
    ridge, place_ridge = prior

    def parameters(fit: Fit) -> Array:
        columns = np.vstack([fit.coefficients, fit.affine]) @ regression.outputs
        return np.concatenate([fit.places.ravel(), columns.ravel()])

    def cost(fit: Fit) -> float:
        return fit.rss + ridge * float((fit.coefficients**2).sum())

    start = parameters(fit)
    allowed = cost(fit) + chdtri(len(start), 1 - LEVEL)
    farthest = np.zeros(len(start))
    for factors in (FACTORS, 1 / FACTORS) if place_ridge > 0 else ():
        moved = fit
        for factor in factors:
            moved = regression.held(ridge, factor * place_ridge).refit(moved.places, STEPS)
            if cost(moved) > allowed:
                break
            step = parameters(moved) - start
            size = fit.places.size
            if np.linalg.norm(step[:size]) > np.linalg.norm(farthest[:size]):
                farthest = step
    return farthest
