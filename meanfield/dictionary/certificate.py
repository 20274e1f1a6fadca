"""The dual certificate: whether the potential has a minimum where the dictionary has no atom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from meanfield import checks
from meanfield.dictionary.fitting import (
    FLOOR,
    NETWORK_FLOOR,
    Prior,
    as_places,
    label_regression,
    make_regression,
)
from meanfield.dictionary.likelihood import is_classification
from meanfield.dictionary.potential import PenalisedPotential
from meanfield.dictionary.refit import Array, Fit, Regression
from meanfield.dictionary.score_process import score_test
from meanfield.dictionary.settle import settle
from meanfield.dictionary.starts import moment_starts, random_starts
from meanfield.identify import Atoms
from meanfield.identify.atoms import as_atoms
from meanfield.problem import Problem
from meanfield.statistics.intervals import LEVEL
from meanfield.system.generators import generator
from meanfield.system.threads import fixed_blas

N_ASCENTS = 12
DEEPER = 0.05
"""A potential below that of the atoms by this part of their penalty may be a missing atom."""
FOUND = 3.0
"""An atom that gains so many times the threshold is found."""
FEW = 5
"""Numbers for each parameter below which noise is drawn to compare with."""
FAR = 10.0
"""A potential so many times the penalty lower is far from rest, whatever a descent finds."""
FIRST_MASS = 0.05
"""Mass with which an atom that may be missing starts."""


@dataclass(frozen=True, eq=False)
class Certificate:
    r"""The potential of a dictionary, at its atoms and elsewhere.

    Of a dictionary that was refit to labels: ``V(θ) = −|(1/n) Σ_j r_j σ_θ(x_j)| / ‖σ_θ‖_n`` with
    ``r_j = ∂ℓ/∂f (f_S(x_j), y_j)``, the potential of an atom of unit size and the better sign,
    without the penalty (the refit has none). ``‖·‖_n`` is the norm over the inputs. Features and
    residuals are taken less what costs no atom: the constant of a network with biases, and the
    affine part where the realisation symmetry leaves one free.

    Of a network with its penalty: ``V(w, b) = min_a (1/n) Σ_j ⟨r_j, a⟩ σ(⟨w, x_j⟩ + b) +
    (λ_a/2)|a|² + (λ_w/2)|(w, b)|²``, the potential that particles descend, with the best output
    weight. Its least values are where a stationary network at low temperature has its particles. On
    few data, or short of rest, it is a little lower in many places: an atom is missing only where
    it would change the predictions by more than two percent once all have come to rest.

    Attributes
    ----------
    potential : ndarray of shape (S,)
        ``V`` at each atom; without penalty 0 when coefficients and what costs no atom are optimal.
    gradient : ndarray of shape (S,)
        Length of the gradient of ``(1/n) Σ_j r_j c σ(⟨w, x_j⟩ + b)`` in ``(w, b)`` at each atom,
        relative to ``(1/n) Σ_j |r_j| |c σ′| |x_j|``; with the penalty that of ``V``, relative to
        the gradients of its two terms. 0 when places are optimal.
    minimum, minimiser : float, ndarray of shape (d,) or (d + 1,)
        The least ``V`` found by descents from many places, and ``(w, b)`` there; there may be a
        lower one elsewhere.
    gain : float
        Twice the gain in log likelihood. Of class labels, how much the deviance falls with an atom
        at the minimiser, all coefficients refit; else ``m log(RSS / (RSS − g))``, ``g`` what an
        atom at the minimiser explains of the residual and ``m`` the number of residuals, repeated
        rows counted once. With the penalty: how far the minimum lies below the potential of the
        atoms, relative to their mean penalty.
    threshold : float
        ``p log m``, the price of an atom of ``p`` parameters: a gain above it is no noise. With
        the penalty 0.05.
    missing : bool
        Whether an atom is missing: the gain is above the threshold, and, with the penalty,
        `change` above two percent or the gain above 10.
    penalised : bool
        Whether this is the potential of the network with its penalty.
    constant : bool
        Whether all labels are the same: then no atom is missing, whatever rounding says.
    change : float
        With the penalty: how much an atom at the minimiser would change the predictions once all
        have come to rest again, relative to them; 0 where the gain is below the threshold.
    by_chance : bool
        Whether data are few, and the gain, though above the threshold, is no larger than that of
        noise (`meanfield.dictionary.extract_dictionary` tests sizes likewise): no atom is missing.
    detectable : float
        The power of the search of a squared loss: an atom of so much of the labels, in standard
        deviations, gains three times the threshold. Of 120 such atoms, left out at random in 2 to
        60 dimensions, every one was found: at least 97 of 100 are. NaN for classes, with the
        penalty, and where the labels are constant.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = np.tanh(2 * X[:, 0]) + np.tanh(2 * X[:, 1])
    >>> problem = mf.Problem(X, y, activation="tanh", bias=False)
    >>> half = mf.dictionary.dual_certificate((np.ones(1), np.array([[2.0, 0.0]])), problem)
    >>> half.missing, half.gain > half.threshold, half.minimiser.shape
    (True, True, (2,))
    """

    potential: Array
    gradient: Array
    minimum: float
    minimiser: Array
    gain: float
    threshold: float
    missing: bool
    penalised: bool = False
    constant: bool = False
    change: float = 0.0
    by_chance: bool = False
    detectable: float = float("nan")

    def __str__(self) -> str:
        """Say what was found in one sentence, by the network's objective or by the labels."""
        if self.constant:
            return "No atom is missing: the labels are constant."
        near = f"near (w, b) = {_short(self.minimiser)}"
        if not self.penalised:
            gain, noise = f"gain {self.gain:.3g}", f"{self.threshold:.3g}"
            if self.missing:
                return (
                    f"The labels call for another atom {near}: it would {gain}, more than the "
                    f"{noise} that noise explains."
                )
            beside = f"where noise explains up to {noise}."
            if self.by_chance:
                beside = "as one does where so few labels are noise."
            power = ""
            if np.isfinite(self.detectable) and not self.by_chance:
                power = f" One of {self.detectable:.1%} of the labels is found in 97 of 100 cases."
            return f"The labels call for no other atom: the best would {gain} {beside}{power}"
        minimum, lowest = _shown(self.minimum), _shown(self.potential.min(initial=0.0))
        if self.missing:
            return (
                f"By its own objective the network lacks an atom {near}: its potential is "
                f"{minimum} there and at best {lowest} at its atoms."
            )
        found = (
            f"its potential is nowhere lower than at its atoms by more than {self.threshold:.0%} "
            f"of their penalty ({minimum} found, {lowest} there)."
        )
        if self.gain > self.threshold:
            found = (
                f"its potential is lower elsewhere ({minimum}, and {lowest} at its atoms), but an "
                f"atom there would change the predictions by {self.change:.2%} only."
            )
        return f"By its own objective the network lacks no atom: {found}"


def _shown(value: float) -> str:
    """Write a number with a real minus sign."""
    return f"{value:.3g}".replace("-", "−")


def _short(place: Array) -> str:
    """Write a place, in many dimensions its length and its largest entries only."""
    if len(place) <= 6:
        return np.array2string(place, precision=3).replace("-", "−")
    largest = np.argsort(-np.abs(place))[:3]
    entries = ", ".join(f"{_shown(place[i])} in coordinate {i + 1}" for i in largest)
    return f"a vector of length {np.linalg.norm(place):.3g} ({entries}, …)"


@fixed_blas()
def dual_certificate(
    atoms: Any,
    problem: Problem,
    *,
    penalised: bool = False,
    starts: Array | None = None,
    n_starts: int = 400,
    seed: int = 0,
) -> Certificate:
    r"""Search the potential of a dictionary for atoms that it lacks.

    Many starts (places that are given, random directions, and the directions that low moments of
    the residual point to), then quasi-Newton descent from the best.

    Parameters
    ----------
    atoms : Atoms, Dictionary, Particles or tuple
        The dictionary, or any network.
    problem : Problem
        Data, activation and loss.
    penalised : bool
        Whether to search the potential of the network with its penalty, for atoms that are the
        network's own, instead of that of a dictionary refit to labels.
    starts : ndarray of shape (m, d) or (m, d + 1), optional
        More places ``(w, b)`` to start from, such as particles.
    n_starts, seed : int
        Random starts, and their seed.

    Returns
    -------
    Certificate
        Potential and gradient at the atoms, the minimum elsewhere, and whether it is below noise.

    Raises
    ------
    TypeError, ValueError
        If `atoms` cannot be read, shapes disagree, an entry is not finite, or a penalty is asked
        for and there is none.

    Notes
    -----
    Operational definition, after the abstract of [ISD] (active support of the long-time limit: the
    minimisers of the potential).

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = np.tanh(2 * X[:, 0]) + np.tanh(2 * X[:, 1])
    >>> problem = mf.Problem(X, y, activation="tanh", bias=False)
    >>> half = (np.array([1.0]), np.array([[2.0, 0.0]]))  # the second neuron is missing
    >>> found = mf.dictionary.dual_certificate(half, problem)
    >>> bool(abs(found.minimiser[1]) > 3 * abs(found.minimiser[0]))
    True
    """
    network = as_atoms(atoms, problem.activation, name="atoms")
    predictions = network.predict(problem.X).reshape(problem.targets.shape)
    residual = problem.loss.derivative(predictions, problem.targets)
    regression = make_regression(problem, residual)
    places = as_places(network, problem.bias)
    rng = generator(checks.seed(seed))
    pool = np.vstack([moment_starts(regression), random_starts(regression, n_starts, rng)])
    if starts is not None:
        pool = np.vstack([starts, pool])
    constant = bool((problem.targets == problem.targets[0]).all())
    if penalised:
        return _of_network(problem, places, network.columns, predictions, pool, constant)
    minimiser, explained = steepest(regression, pool)

    if is_classification(problem.loss):
        return _of_classes(problem, regression, places, network.columns, minimiser, constant)
    m = regression.n_numbers
    rss = regression.total
    spread = float((problem.targets - problem.targets.mean(axis=0)).var())
    floor = FLOOR**2 * spread * residual.size
    gain = m * np.log(rss / max(rss - explained, 1e-3 * rss)) if rss > floor else 0.0
    per_atom = places.shape[1] + residual.shape[1] - problem.activation.homogeneous
    threshold = float(per_atom * np.log(m))
    potential = -np.sqrt(np.maximum(explained_by(regression, places), 0) / problem.n_data)
    with np.errstate(over="ignore"):
        odds = np.expm1(FOUND * threshold / m)
    missing = bool(gain > threshold) and not constant
    few = missing and m < FEW * (per_atom * (len(places) + 1) + regression.affine.shape[1])
    if few:
        # Any new atom explains much of few numbers: as much as it does of noise.
        missing = _beyond_noise(make_regression(problem, predictions + residual), network, seed)
    return Certificate(
        potential,
        _relative_gradient(regression, places, network.columns),
        -float(np.sqrt(explained / problem.n_data)),
        minimiser,
        float(gain),
        threshold,
        missing,
        constant=constant,
        by_chance=few and not missing,
        detectable=float(np.sqrt(rss / residual.size * odds / spread)) if spread > 0 else np.nan,
    )


def _beyond_noise(regression: Regression, network: Atoms, seed: int) -> bool:
    """Whether one atom more explains more than it does of noise, the atoms there refit."""
    places = as_places(network, regression.X.shape[1] > network.w.shape[1])
    rest = regression.Y - regression.features(places) @ network.columns
    affine = np.linalg.lstsq(regression.affine, rest, rcond=None)[0]
    p_value = score_test(regression, Fit(places, network.columns, affine, 0.0, 0.0), seed=seed)
    return bool(p_value <= 1 - LEVEL)


def _of_classes(
    problem: Problem,
    regression: Regression,
    places: Array,
    columns: Array,
    minimiser: Array,
    constant: bool,
) -> Certificate:
    """Compare deviances with an atom at the minimiser and without, coefficients refit."""
    labels = label_regression(problem)
    more = np.vstack([places, minimiser])
    labels = Prior.of(labels, more).at(labels, 1.0)
    gain = labels.linear(places).rss - labels.linear(more).rss
    per_atom = places.shape[1] + labels.outputs.shape[1] - problem.activation.homogeneous
    threshold = float(per_atom * np.log(labels.n_numbers))
    explained = explained_by(regression, np.vstack([places, minimiser]))
    potential = -np.sqrt(np.maximum(explained, 0) / problem.n_data)
    return Certificate(
        potential[:-1],
        _relative_gradient(regression, places, columns),
        float(potential[-1]),
        minimiser,
        float(gain),
        threshold,
        bool(gain > threshold) and not constant,
        constant=constant,
    )


def _of_network(
    problem: Problem, places: Array, columns: Array, predictions: Array, pool: Array, constant: bool
) -> Certificate:
    """Compare the least potential anywhere with that of the atoms."""
    residual = problem.loss.derivative(predictions, problem.targets)
    potential = PenalisedPotential.of(problem, residual)
    minimiser, minimum = potential.lowest(np.vstack([pool, places]), N_ASCENTS)
    value, gradient, penalty = potential.at_atoms(places)
    scale = float(penalty.mean()) if len(places) else max(-minimum, 1e-300)
    gain = (value.min(initial=0.0) - minimum) / max(scale, 1e-300)
    change = 0.0
    if gain > DEEPER and not constant:
        start = FIRST_MASS * potential.outputs(minimiser[None])[0]
        change = _change(problem, places, columns, predictions, minimiser, start)
    missing = change > NETWORK_FLOOR or (gain > FAR and not constant)
    return Certificate(
        value, gradient, minimum, minimiser, gain, DEEPER, missing, True, constant, change
    )


def _change(
    problem: Problem,
    places: Array,
    columns: Array,
    predictions: Array,
    place: Array,
    column: Array,
) -> float:
    """Return how much one atom more changes predictions, all atoms at rest with it and without."""
    X = problem.with_bias(problem.X)

    def without_rest(places: Array, columns: Array) -> Array:
        return problem.activation.value(X @ places.T) @ columns

    rest = predictions - without_rest(places, columns)
    few = without_rest(*settle(problem, places, columns, rest)[:2])
    more = np.vstack([places, place]), np.vstack([columns, column])
    change = np.linalg.norm(without_rest(*settle(problem, *more, rest)[:2]) - few)
    size = np.linalg.norm(predictions - predictions.mean(axis=0))
    return float(change) / max(float(size), 1e-300)


def explained_by(regression: Regression, places: Array) -> Array:
    """Return what one atom at each place alone explains of the target's square, (S,)."""
    features = regression.without_affine(regression.features(places))
    length = (features**2).sum(axis=0)
    inner = ((regression.target.T @ features) ** 2).sum(axis=0)
    usable = length > 1e-16 * len(features)
    return np.where(usable, inner / np.where(usable, length, 1), 0.0)


def steepest(regression: Regression, pool: Array) -> tuple[Array, float]:
    """Ascend from the best of the pool to the place that explains most, (D,) and how much."""
    scale = max(regression.total, 1e-300)

    def objective(place: Array) -> tuple[float, Array]:
        z = regression.X @ place
        feature = regression.without_affine(regression.activation.value(z)[:, None])[:, 0]
        length = float(feature @ feature)
        if length < 1e-16 * len(z):
            return 0.0, np.zeros_like(place)
        inner = regression.target.T @ feature
        square = float(inner @ inner)
        by_feature = 2 * (regression.target @ inner) / length - 2 * square / length**2 * feature
        by_feature = regression.without_affine(by_feature[:, None])[:, 0]
        slope = regression.X.T @ (by_feature * regression.activation.derivative(z))
        return -square / length / scale, -slope / scale

    parts = np.array_split(pool, max(1, len(pool) // 256))
    values = np.concatenate([explained_by(regression, part) for part in parts])
    order = np.argsort(-values)
    best, most = pool[order[0]], float(values[order[0]])
    chosen = [*order[: N_ASCENTS // 2], *order[N_ASCENTS // 2 :: 2 * len(order) // N_ASCENTS + 1]]
    for i in chosen:
        found = minimize(objective, pool[i], jac=True, method="L-BFGS-B", options={"maxiter": 60})
        if -found.fun * scale > most:
            best, most = found.x, -float(found.fun) * scale
    return best, most


def _relative_gradient(regression: Regression, places: Array, coefficients: Array) -> Array:
    """Return the gradient of each atom's potential relative to its size without cancellation."""
    slope = regression.activation.derivative(regression.X @ places.T)
    weight = (regression.Y @ coefficients.T) * slope
    gross = np.abs(weight).T @ np.linalg.norm(regression.X, axis=1)
    gradient = np.linalg.norm(weight.T @ regression.X, axis=1)
    return np.divide(gradient, gross, out=np.zeros(len(places)), where=gross > 0)
