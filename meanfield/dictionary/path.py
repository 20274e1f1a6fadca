"""The best dictionary of every size: seeds pruned from above, particles added from below."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meanfield.dictionary.fitting import Prior
from meanfield.dictionary.refit import WIDE, Array, Fit, Regression
from meanfield.dictionary.support import Crowd, seeds

PATIENCE = 2
"""Sizes that may fail to improve the criterion before the search from below stops."""
COARSE_STEPS = 25
LOOSE = 1e-3
"""Where places are wide, a coarse refit ends when steps gain less than this part."""
TRIALS = 3
MARGIN = 4
PRIOR_ROUNDS = 8


class SizePath:
    """Fits of each size, the best found so far, and the criterion that compares them.

    The criterion is ``BIC(S) = score(fit) + p(S) log m`` with ``m`` numbers in the target, repeated
    rows counted once, and ``p(S)`` parameters; `score` is −2 log likelihood. `noise` is the
    variance that fits start from, `least` that below which it is not taken; residuals below `floor`
    count as none.
    """

    def __init__(
        self,
        regression: Regression,
        crowd: Crowd,
        score: Callable[[Fit], float],
        *,
        noise: float,
        floor: float,
        least: float = 0.0,
    ):
        self.regression, self.crowd, self.score = regression, crowd, score
        self.noise, self.floor, self.least = noise, floor, least
        self.prior = Prior.of(regression, crowd.places)
        self.fits: dict[int, Fit] = {}
        self._scores: dict[int, float] = {}
        self.record(regression.linear(np.zeros((0, regression.X.shape[1]))))

    def record(self, fit: Fit) -> None:
        """Keep a fit if it is the best of its size."""
        size = len(fit.places)
        if size not in self.fits or fit.rss < self.fits[size].rss:
            self.fits[size] = fit
            self._scores[size] = self.score(fit)

    def refit(self, places: Array, max_steps: int = COARSE_STEPS) -> Fit:
        """Refit under a prior for the noise that the fit itself leaves, and record."""
        noise = max(self.noise, self.least)
        for _ in range(PRIOR_ROUNDS):
            coarse = max_steps == COARSE_STEPS and places.size >= WIDE
            held = self.prior.at(self.regression, noise)
            fit = held.refit(places, max_steps, *([LOOSE] if coarse else []))
            places, left = fit.places, fit.rss / self.regression.Y.size
            if left > 0.8 * noise or fit.rss < 1e-3 * self.floor or noise <= self.least:
                break
            noise = max(left, self.least)
        self.record(fit)
        return fit

    def criterion(self, size: int) -> float:
        """BIC of the best fit of this size; atoms, coefficients and affine part are free."""
        return self._scores[size] + self.regression.n_parameters(size) * np.log(
            self.regression.n_numbers
        )

    def best(self) -> int:
        """Size with the least criterion."""
        return min(self.fits, key=self.criterion)

    def best_at(self, floor: float) -> int:
        """Size that would have the least criterion, by residuals, were so much no residual."""
        numbers = self.regression.n_numbers

        def criterion(size: int) -> float:
            rss = max(self.fits[size].rss, floor, 1e-300)
            return numbers * np.log(rss) + self.regression.n_parameters(size) * np.log(numbers)

        return min(self.fits, key=criterion)

    def weight(self, size: int) -> float:
        """Weight of a size among all that were tried, ``exp(−BIC/2)`` normalised."""
        criteria = np.array([self.criterion(other) for other in self.fits])
        return float(1 / np.exp(0.5 * (self.criterion(size) - criteria)).sum())

    def residual(self, size: int) -> float:
        """Relative residual of the best fit of this size."""
        # Of a target that is zero nothing is left.
        if self.regression.is_zero:
            return 0.0
        return float(np.sqrt(self.fits[size].rss / self.regression.total))

    def prune(self, places: Array, until: int = 0) -> None:
        """Refit, drop the atom that is missed least, and so on down."""
        while len(places) > until:
            fit = self.refit(places)
            places = np.delete(fit.places, self.regression.removal_costs(fit).argmin(), axis=0)

    def grow(self, limit: int) -> None:
        """Add the particle that explains most of what is left, refit, and so on up."""
        fit, idle = self.fits[0], 0
        while len(fit.places) < limit and idle <= PATIENCE and fit.rss > self.floor:
            before = self.criterion(self.best())
            # Of many atoms in wide inputs, several at a time.
            more = 1 + (fit.places.size // WIDE if fit.places.size >= WIDE else 0)
            places = fit.places
            for _ in range(min(more, limit - len(places))):
                places = self.with_best_particle(places)
            self.refit(places)
            fit = self.fits[len(places)]
            idle = 0 if self.criterion(len(fit.places)) < before else idle + 1

    def with_best_particle(self, places: Array) -> Array:
        """Add the particle that explains most of what these places leave."""
        gains = self.regression.gains(places, self.crowd.directions)
        return np.vstack([places, self.crowd.places[gains.argmax()]])

    def without_worst(self, size: int) -> list[Array]:
        """Leave out each of the atoms that are missed least."""
        fit = self.fits[size]
        worst = np.argsort(self.regression.removal_costs(fit))[:TRIALS]
        return [np.delete(fit.places, i, axis=0) for i in worst]

    def polish(self) -> None:
        """Improve the sizes that matter, the best and the one below, until the best stays."""
        seen: set[int] = set()
        while self.best() not in seen and self.best() > 0:
            size = self.best()
            seen.add(size)
            for above in (size + 1, size):
                if above in self.fits:
                    for places in self.without_worst(above):
                        self.refit(places)
            for near in (size, size - 1):
                if near > 0 and self.fits[near].rss > self.floor:
                    # Traded for the particle that then explains most.
                    for places in self.without_worst(near):
                        self.refit(self.with_best_particle(places))
            self.refit(self.fits[size].places, 100)


def explore(path: SizePath, limit: int) -> None:
    """Find good dictionaries of every size up to `limit`."""
    if not len(path.crowd.places):
        return
    path.grow(limit)
    size = path.best()
    path.prune(seeds(path.crowd, min(limit, size + MARGIN)), until=max(0, size - MARGIN))
    # A search that was cut off is not to be relied on, however well it ends.
    if path.best() < limit or path.fits[limit].rss <= path.floor:
        path.polish()
