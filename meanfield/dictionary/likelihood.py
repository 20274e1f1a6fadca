"""Joint refit of atoms and coefficients by the likelihood of class labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError

from meanfield.dictionary.refit import Array, Fit, Regression, damped_step, full_jacobian
from meanfield.problem import Loss, Problem
from meanfield.problem.distinct import first_rows

LOGITS = 100.0
"""Size that the prior expects of an atom's part in a logit, at most."""
LOOSE = 1e-5
"""Prior on the affine part, which only keeps it finite where classes are apart."""
NEWTON_STEPS, HALVINGS = 50, 30


@dataclass(frozen=True, eq=False)
class Likelihood(Regression):
    r"""Maximum likelihood of class labels ``Y`` (n, k) by atoms, as `Regression` is of numbers.

    Minimises ``D + ridge |c|² + place_ridge |(w, b)|²`` with the deviance
    ``D = 2 Σ_j ℓ(f(x_j), y_j)``, the logistic loss or cross-entropy, in places, coefficients and
    affine part at once, by damped Gauss–Newton steps (Fisher scoring). A fit's `rss` is the
    deviance. The outputs of cross-entropy have coordinates in which they add up to zero, k − 1 of
    them, as only their differences matter. Rows that are repeated count once: the deviance is
    multiplied by the share of distinct ones.
    """

    loss: Any = None

    @classmethod
    def of(cls, problem: Problem, regression: Regression) -> Likelihood:
        """Take data and loss of a problem, and what costs no atom from a regression on them."""
        parts = regression.activation, regression.X, problem.targets, regression.affine
        return cls(*parts, loss=problem.loss)

    @cached_property
    def _outputs(self) -> Array:
        k = self.Y.shape[1]
        if self.loss.name != "cross-entropy":
            return np.eye(k)
        return np.linalg.svd(np.ones((1, k)))[2][1:].T

    @property
    def outputs(self) -> Array:
        """Orthonormal coordinates of the outputs that matter, (k, k′)."""
        return self._outputs

    @cached_property
    def n_numbers(self) -> int:
        """Number of distinct rows, labels included, times labels that each has."""
        return len(first_rows(self.X, self.Y)) * self.labels_each

    @property
    def labels_each(self) -> int:
        """Labels that each row has."""
        return 1 if self.loss.name == "cross-entropy" else int(self.Y.shape[1])

    @cached_property
    def share(self) -> float:
        """Part of the rows that are distinct."""
        return len(first_rows(self.X, self.Y)) / len(self.Y)

    @cached_property
    def total(self) -> float:
        """Deviance without atoms."""
        return self.linear(np.zeros((0, self.X.shape[1]))).rss

    @property
    def copies(self) -> float:
        """Rows for each that counts."""
        return 1.0

    @property
    def scale(self) -> float:
        """Mean square that the prior expects of an atom's part."""
        return LOGITS**2

    @property
    def is_zero(self) -> bool:
        """Whether there is nothing to explain."""
        return self.total <= 0

    def deviance(self, f: Array) -> float:
        """Return ``2 Σ_j ℓ(f_j, y_j)`` of distinct rows."""
        return 2 * self.share * float(self.loss.value(f, self.Y).sum())

    def signals(self, f: Array) -> Array:
        """Return what labels exceed their expectations by, in coordinates, (n, k′)."""
        return -self.share * self.loss.derivative(f, self.Y) @ self.outputs

    def weights(self, f: Array) -> Array:
        """Return the Fisher information of each row's predictions, in coordinates, (n, k′, k′)."""
        return self.share * self.outputs.T @ self.loss.curvature(f, self.Y) @ self.outputs

    def drawn(self, f: Array, rng: np.random.Generator) -> Array:
        """Draw labels from their probabilities, (n, k)."""
        if self.loss.name == "logistic":
            ones = np.ones_like(f)
            return np.where(rng.random(f.shape) < 1 + self.loss.derivative(f, ones), ones, -ones)
        probability = self.loss.derivative(f, self.Y) + self.Y
        chosen = (rng.random((len(f), 1)) > np.cumsum(probability, axis=1)[:, :-1]).sum(axis=1)
        return np.eye(f.shape[1])[chosen]

    def linear(self, places: Array) -> Fit:
        """Fit coefficients and affine part for fixed atoms."""
        k = self.outputs.shape[1]
        return self._linear(places, np.zeros((len(places) + self.affine.shape[1], k)))

    def _linear(self, places: Array, start: Array) -> Fit:
        """Descend by Newton steps from coefficients and affine part (S + q, k′)."""
        columns = np.hstack([self.features(places), self.affine])
        n, k = len(columns), self.outputs.shape[1]
        # The affine part is held far more loosely, lest it grows without bound.
        ridge = np.full(columns.shape[1], self.ridge)
        ridge[len(places) :] = LOOSE

        def cost(c: Array) -> float:
            return self.deviance(columns @ c @ self.outputs.T) + float(ridge @ (c**2).sum(axis=1))

        c, value = start, cost(start)
        for _ in range(NEWTON_STEPS):
            f = columns @ c @ self.outputs.T
            pull = columns.T @ self.signals(f) - ridge[:, None] * c
            weights = self.weights(f)
            hessian = np.zeros((*pull.shape, *pull.shape))
            for o in range(k):
                for p in range(o + 1):
                    block = (columns * weights[:, o, p, None]).T @ columns
                    hessian[:, o, :, p] = block
                    hessian[:, p, :, o] = block
            flat = hessian.reshape(pull.size, pull.size) + np.diag(np.repeat(ridge, k))
            step = np.linalg.lstsq(flat, pull.ravel(), rcond=1e-12)[0].reshape(c.shape)
            length = 1.0
            for _ in range(HALVINGS):
                new = cost(c + length * step)
                if new <= value:
                    break
                length /= 2
            else:
                break
            c, gained, value = c + length * step, value - new, new
            if gained <= 1e-10 * n:
                break
        return self._fit(places, c)

    def _fit(self, places: Array, c: Array) -> Fit:
        """Return a fit with outputs of its own, from coefficients and affine part (S + q, k′)."""
        coefficients, affine = np.split(c @ self.outputs.T, [len(places)])
        fit = Fit(places, coefficients, affine, 0.0, 0.0)
        deviance = self.deviance(self.predict(fit))
        prior = self.ridge * float((coefficients**2).sum()) + LOOSE * float((affine**2).sum())
        return replace(
            fit, rss=deviance, cost=deviance + prior + self.place_ridge * float((places**2).sum())
        )

    def cost(self, places: Array) -> float:
        """Deviance and prior for fixed atoms."""
        return self.linear(places).cost

    def gains(self, places: Array, directions: Array) -> Array:
        """Return about how much the deviance falls with each unit feature added to some atoms."""
        fit = self.linear(places)
        f = self.predict(fit)
        weight = np.diagonal(self.weights(f), axis1=1, axis2=2).mean(axis=1)
        known = np.hstack([self.features(places), self.affine])
        basis = np.linalg.qr(known * np.sqrt(weight)[:, None])[0]
        rest = directions * np.sqrt(weight)[:, None]
        rest = rest - basis @ (basis.T @ rest)
        length = (rest**2).sum(axis=0)
        score = ((directions.T @ self.signals(f)) ** 2).sum(axis=1)
        usable = length > 1e-6 * weight.mean()
        return np.where(usable, score / np.where(usable, length, 1), 0.0)

    def removal_costs(self, fit: Fit) -> Array:
        """Return how much the deviance grows without each atom, the others staying in place."""
        c = np.vstack([fit.coefficients, fit.affine]) @ self.outputs
        without = [
            self._linear(np.delete(fit.places, i, axis=0), np.delete(c, i, axis=0)).rss
            for i in range(len(fit.places))
        ]
        return np.array(without) - self._linear(fit.places, c).rss

    def information(self, fit: Fit) -> tuple[Array, Array]:
        """Return Fisher information and score in places, coefficients and affine part.

        Both without the prior; coefficients and affine part in coordinates of the outputs.
        """
        size = fit.places.size + (len(fit.places) + len(fit.affine)) * self.outputs.shape[1]
        information, score = np.zeros((size, size)), np.zeros(size)
        if not size:
            return information, score
        for _, jacobian, root, signals in self.blocks(fit):
            rows = np.einsum("noq,nop->nqp", root, jacobian).reshape(-1, size)
            information += rows.T @ rows
            score += jacobian.reshape(-1, size).T @ signals.ravel()
        return information, score

    def blocks(self, fit: Fit) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Yield some rows, their Jacobians, roots of their weights and their signals."""
        columns, k = fit.coefficients @ self.outputs, self.outputs.shape[1]
        f = self.predict(fit)
        signals, weights, step = self.signals(f), self.weights(f), self._rows_at_a_time(fit)
        least = 1e-12 * max(float(weights.max()), 1e-300) * np.eye(k)
        for i in range(0, len(f), step):
            rows = slice(i, i + step)
            root = np.linalg.cholesky(weights[rows] + least)
            jacobian = full_jacobian(self._some(rows), fit.places, columns)
            yield rows, jacobian, root, signals[rows]

    def variance(self, fit: Fit) -> float:
        """Return 1: the variance of labels follows from their probabilities."""
        return 1.0

    # Where classes are apart, exponentials overflow on the way.
    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def refit(self, places: Array, max_steps: int = 60, tolerance: float = 1e-9) -> Fit:
        """Move atoms, coefficients and affine part to a local minimum of the deviance."""
        fit = self.linear(self.normalised(places))
        size, k = fit.places.size, self.outputs.shape[1]
        if not size or self.n_numbers <= size:
            return fit
        damping, idle = 1e-3, 0
        system = self._system(fit)
        for _ in range(max_steps):
            if fit.rss <= 1e-9 * self.total:
                break
            try:
                step = damped_step(*system, damping)
            except LinAlgError:
                damping = max(10 * damping, 1e-12)
                continue
            places = self.normalised(fit.places + step[:size].reshape(fit.places.shape))
            c = np.vstack([fit.coefficients, fit.affine]) @ self.outputs
            new = self._fit(places, c + step[size:].reshape(-1, k))
            if not new.cost < fit.cost:
                damping *= 4
                if damping > 1e12:
                    break
                continue
            idle = idle + 1 if new.cost > (1 - tolerance) * fit.cost else 0
            fit, damping = new, max(damping / 5, 1e-12)
            if idle >= 3:
                break
            system = self._system(fit)
        return self._linear(fit.places, np.vstack([fit.coefficients, fit.affine]) @ self.outputs)

    def _system(self, fit: Fit) -> tuple[Array, Array]:
        """Return information and score, the prior included."""
        hessian, pull = self.information(fit)
        k = self.outputs.shape[1]
        prior = np.full(len(pull), LOOSE)
        prior[: fit.places.size] = self.place_ridge
        prior[fit.places.size :][: len(fit.places) * k] = self.ridge
        c = np.vstack([fit.coefficients, fit.affine]) @ self.outputs
        pull -= prior * np.concatenate([fit.places.ravel(), c.ravel()])
        return hessian + np.diag(prior), pull


def has_likelihood(loss: Loss) -> bool:
    """Whether labels can be fitted by a likelihood that is the loss: normal, or of classes."""
    return loss.name == "squared" or is_classification(loss)


def is_classification(loss: Loss) -> bool:
    """Whether labels are classes whose likelihood is the loss."""
    return loss.name in ("logistic", "cross-entropy")
