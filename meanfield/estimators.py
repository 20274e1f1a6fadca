"""Estimators in the conventions of scikit-learn: networks of N neurons trained by the flow.

Needs scikit-learn, the extra ``sklearn``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError:
    raise ImportError(
        "The estimators need scikit-learn; install it with: pip install 'meanfield[sklearn]'."
    ) from None

from meanfield import checks
from meanfield.dictionary import extract_dictionary
from meanfield.flow.checkpoint import Checkpoint
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.initial import InitialLaw, as_initial_law
from meanfield.flow.integrators import get_integrator
from meanfield.flow.march import march
from meanfield.flow.run import predict
from meanfield.flow.simulate import as_particles, initial_state, temperatures
from meanfield.problem import Problem

Array = NDArray[np.floating]

_PARAMETERS = """
    Parameters
    ----------
    n_particles : int, default: 100
        Neurons N of each network.
    activation : str, default: "tanh"
        A name in `meanfield.problem.ACTIVATIONS`.
    l2 : float or (float, float), default: {l2}
        Penalty λ on every neuron; a pair is output weights, then input weights and biases.
    temperature : float, default: 0.0
        Temperature τ of the noise.
    step_size : float, default: {step_size}
        Step size η in units of the mean-field time.
    n_steps : int, default: {n_steps}
        Steps of `fit`, each over all data.
    init : str or InitialLaw, default: "gaussian"
        Law of the neurons at the start.
    n_networks : int, default: 1
        Independent networks whose outputs are averaged.
    standardize : bool, default: True
        Centre every feature and scale it to variance 1/d, which is the scale that mean-field
        networks expect{scaled_y}.
    dictionary : bool, default: False
        Whether `fit` also extracts the few atoms that carry the network, `dictionary_`. Data of
        weight 0 are left out, and the others count alike.
    random_state : int, RandomState or None, default: None
        Seed of the initial law and of the noise.

    Attributes
    ----------
    particles_ : Particles
        The neurons, in the coordinates of the standardized data.
    loss_ : float
        Weighted mean of the loss over the last data, without the penalty.
    n_iter_ : int
        Steps made.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Names of the features, when they came with names.
    dictionary_ : Dictionary
        Atoms, coefficients and certificate of the network; only with ``dictionary=True``.
"""


class _MeanFieldNetwork(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: standardization, weights, and the march of the particles."""

    def _fit(self, X: Array, y: Array, weights: Array) -> Any:
        """Train afresh on checked data."""
        n_steps = checks.steps(self.n_steps)
        self._begin(X, y, weights)
        self._advance(X, y, weights, n_steps)
        if self.dictionary:
            counted = self._counted(y, weights)
            problem = self._problem(X[counted], y[counted])
            self.dictionary_ = extract_dictionary(self.particles_, problem, seed=self._seed)
        return self

    def _counted(self, y: Array, weights: Array) -> NDArray[np.bool_]:
        """Tell which data the dictionary is extracted from."""
        return weights > 0

    def _begin(self, X: Array, y: Array, weights: Array) -> None:
        """Forget what was learned; choose the seed and the coordinates."""
        for name in ("particles_", "loss_", "dictionary_"):
            self.__dict__.pop(name, None)
        for name in ("standardize", "dictionary"):
            value = getattr(self, name)
            if not isinstance(value, bool | np.bool_):
                raise TypeError(f"{name} must be True or False, got {value!r}.")
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self._centre: Array = np.zeros(X.shape[1])
        self._scale: Array = np.ones(X.shape[1])
        if self.standardize:
            self._centre, deviation = _moments(X, weights)
            self._scale = deviation * np.sqrt(X.shape[1])
        self._begin_output(y, weights)
        self._state: Array | None = None
        self._calls = 0
        self.n_iter_ = 0

    def _begin_output(self, y: Array, weights: Array) -> None:
        """Choose the coordinates of the labels; classes have none."""

    def _advance(
        self, X: Array, y: Array, weights: Array, n_steps: int, layout: Array | None = None
    ) -> None:
        """Make some steps on checked data; labels in `layout` only say which there can be."""
        if layout is not None:
            X = np.concatenate([X, np.zeros((len(layout), X.shape[1]))])
            y = np.concatenate([y, layout])
            weights = np.concatenate([weights, np.zeros(len(layout))])
        problem = self._problem(X, y)
        n_networks = checks.count("n_networks", self.n_networks)
        dynamics = Dynamics(
            problem=problem,
            integrator=get_integrator("euler"),
            step_size=checks.positive("step_size", self.step_size),
            temperatures=temperatures(problem, None, n_steps),
            seed=self._seed,
            # Calls of partial_fit must not see the same noise again.
            first_replica=self._calls * n_networks,
            weights=weights / weights.mean(),
        )
        start = self._state
        if start is None:
            n_particles = checks.count("n_particles", self.n_particles)
            start = initial_state(dynamics, as_initial_law(self.init), n_particles, n_networks)
        (self._state,) = march(
            dynamics, start, np.array([n_steps]), checkpoint=Checkpoint(None, "")
        )
        self._calls += 1
        self.n_iter_ += n_steps
        # That of an earlier network.
        self.__dict__.pop("dictionary_", None)
        self.particles_ = as_particles(problem, self._state)
        outputs = dynamics.predictions(self._state).mean(axis=0)
        self.loss_ = float(
            np.average(problem.loss.value(outputs, problem.targets), weights=weights)
        )

    def _problem(self, X: Array, y: Array) -> Problem:
        """Return the problem in the coordinates of the network."""
        return Problem(
            (X - self._centre) / self._scale,
            self._encode(y),
            activation=self.activation,
            loss=self._loss(y),
            l2=self.l2,
            temperature=self.temperature,
        )

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Array, NDArray[Any], Array]:
        """Check training data; weights default to one."""
        X, y = validate_data(
            self, X, y, reset=reset, dtype=np.float64, **self._label_checks
        )  # fmt: skip
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        return X, y, weights

    def _outputs(self, X: Any) -> Array:
        """Return the mean output of the networks at checked inputs, (m,) or (m, k)."""
        check_is_fitted(self, "particles_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        vector = self.particles_.a.ndim == 3
        k = self.particles_.a.shape[2] if vector else 1
        labels = np.zeros((1, k)) if vector else np.zeros(1)
        network = Problem(np.zeros((1, X.shape[1])), labels, activation=self.activation)
        return predict(network, self.particles_, (X - self._centre) / self._scale).mean(axis=0)


class MeanFieldRegressor(RegressorMixin, _MeanFieldNetwork):  # type: ignore[misc]
    def __init__(
        self,
        n_particles: int = 100,
        *,
        activation: str = "tanh",
        l2: float | tuple[float, float] = 1e-3,
        temperature: float = 0.0,
        step_size: float = 1.0,
        n_steps: int = 200,
        init: str | InitialLaw = "gaussian",
        n_networks: int = 1,
        standardize: bool = True,
        dictionary: bool = False,
        random_state: Any = None,
    ):
        self.n_particles = n_particles
        self.activation = activation
        self.l2 = l2
        self.temperature = temperature
        self.step_size = step_size
        self.n_steps = n_steps
        self.init = init
        self.n_networks = n_networks
        self.standardize = standardize
        self.dictionary = dictionary
        self.random_state = random_state

    __doc__ = (
        """A two-layer network of N neurons for regression, trained by the mean-field flow.

    ``f(x) = (1/N) Σ_i a_i σ(⟨w_i, x⟩ + b_i)``, least squares, weighted by `sample_weight`.
    Multi-output, and every datum of weight m counts as m data.
"""
        + _PARAMETERS.format(
            l2="0.001", step_size="1.0", n_steps="200",
            scaled_y=";\n        labels are scaled to variance 1",
        )
        + """
    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from meanfield import MeanFieldRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MeanFieldRegressor(random_state=0).fit(X, y)
    >>> model.predict(X[:3]).shape
    (3,)
    """
    )  # fmt: skip

    _label_checks: ClassVar[dict[str, bool]] = {"multi_output": True, "y_numeric": True}

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """Train networks from their initial law.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs; a data frame gives its names of columns too.
        y : array_like of shape (n,) or (n, k)
            Real labels.
        sample_weight : array_like of shape (n,), optional
            Weights of the data in the loss, not negative; all alike by default.

        Returns
        -------
        MeanFieldRegressor
            This estimator.
        """
        return self._fit(*self._checked(X, y, sample_weight, reset=True))

    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """Make one step on a batch; the first batch fixes the standardization.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs.
        y : array_like of shape (n,) or (n, k)
            Real labels.
        sample_weight : array_like of shape (n,), optional
            Weights of the data in the loss.

        Returns
        -------
        MeanFieldRegressor
            This estimator.
        """
        first = not hasattr(self, "particles_")
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        if first:
            self._begin(X, y, weights)
        elif np.shape(y)[1:] != np.shape(self._y_centre):
            raise ValueError(
                f"y has shape {np.shape(y)}, but earlier batches had {np.size(self._y_centre)} "
                "outputs; use one layout."
            )
        self._advance(X, y, weights, 1)
        return self

    def predict(self, X: Any) -> Array:
        """Predict labels.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m,) or (m, k)
            Labels, in their own units.
        """
        return self._outputs(X) * self._y_scale + self._y_centre

    def _loss(self, y: Array) -> str:
        return "squared"

    def _begin_output(self, y: Array, weights: Array) -> None:
        columns = y.reshape(len(y), -1)
        still = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        centre, scale = _moments(columns, weights) if self.standardize else still
        self._y_centre, self._y_scale = centre.reshape(y.shape[1:]), scale.reshape(y.shape[1:])

    def _encode(self, y: Array) -> Array:
        return (y - self._y_centre) / self._y_scale

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        tags.target_tags.multi_output = True
        return tags


class MeanFieldClassifier(ClassifierMixin, _MeanFieldNetwork):  # type: ignore[misc]
    def __init__(
        self,
        n_particles: int = 100,
        *,
        activation: str = "tanh",
        l2: float | tuple[float, float] = 1e-4,
        temperature: float = 0.0,
        step_size: float = 4.0,
        n_steps: int = 500,
        init: str | InitialLaw = "gaussian",
        n_networks: int = 1,
        standardize: bool = True,
        dictionary: bool = False,
        random_state: Any = None,
    ):
        self.n_particles = n_particles
        self.activation = activation
        self.l2 = l2
        self.temperature = temperature
        self.step_size = step_size
        self.n_steps = n_steps
        self.init = init
        self.n_networks = n_networks
        self.standardize = standardize
        self.dictionary = dictionary
        self.random_state = random_state

    __doc__ = (
        """A two-layer network of N neurons for classification, trained by the mean-field flow.

    ``f(x) = (1/N) Σ_i a_i σ(⟨w_i, x⟩ + b_i)``: logistic loss for two classes, cross-entropy for
    more, weighted by `sample_weight`. Every datum of weight m counts as m data.
"""
        + _PARAMETERS.format(l2="0.0001", step_size="4.0", n_steps="500", scaled_y="")
        + """    classes_ : ndarray
        The classes, sorted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from meanfield import MeanFieldClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MeanFieldClassifier(random_state=0).fit(X, y)
    >>> model.predict_proba(X[:3]).shape
    (3, 3)
    """
    )

    _label_checks: ClassVar[dict[str, bool]] = {}

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """Train networks from their initial law.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs; a data frame gives its names of columns too.
        y : array_like of shape (n,)
            Classes: numbers or strings, at least two of them.
        sample_weight : array_like of shape (n,), optional
            Weights of the data in the loss, not negative; all alike by default.

        Returns
        -------
        MeanFieldClassifier
            This estimator.
        """
        X, y, weights = self._checked(X, y, sample_weight, reset=True)
        check_classification_targets(y)
        self.classes_ = _at_least_two(np.unique(y))
        return self._fit(X, y, weights)

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Any:
        """Make one step on a batch; the first batch fixes the standardization.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Inputs.
        y : array_like of shape (n,)
            Classes.
        classes : array_like, optional
            All classes that will ever come; needed at the first call.
        sample_weight : array_like of shape (n,), optional
            Weights of the data in the loss.

        Returns
        -------
        MeanFieldClassifier
            This estimator.
        """
        first = not hasattr(self, "particles_")
        if first and classes is None:
            raise ValueError("classes must be given at the first call of partial_fit.")
        if classes is not None:
            classes = _at_least_two(np.unique(classes))
            if not first and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes are {classes.tolist()}, but at the first call they were "
                    f"{self.classes_.tolist()}."
                )
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        check_classification_targets(y)
        if first:
            self.classes_ = classes
            self._begin(X, y, weights)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds {unknown.tolist()[0]!r}, which is not among the classes.")
        # One datum of no weight per class: a batch need not hold them all.
        self._advance(X, y, weights, 1, self.classes_)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the outputs of the network.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m,) or (m, K)
            For two classes the log-odds of the second one; else one output per class.
        """
        return self._outputs(X)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of every class.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m, K)
            Rows sum to 1; columns in the order of `classes_`.
        """
        outputs = self._outputs(X)
        if outputs.ndim == 1:
            return np.stack([special.expit(-outputs), special.expit(outputs)], axis=1)
        return special.softmax(outputs, axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class.

        Parameters
        ----------
        X : array_like of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m,)
            Entries of `classes_`.
        """
        outputs = self._outputs(X)
        best = (outputs > 0).astype(int) if outputs.ndim == 1 else outputs.argmax(axis=1)
        return self.classes_[best]

    def _loss(self, y: NDArray[Any]) -> str:
        return "logistic" if len(self.classes_) == 2 else "cross-entropy"

    def _counted(self, y: NDArray[Any], weights: Array) -> NDArray[np.bool_]:
        # Every output needs its class, with or without weight.
        return (weights > 0) | ~np.isin(y, y[weights > 0])

    def _encode(self, y: NDArray[Any]) -> NDArray[Any]:
        places = np.searchsorted(self.classes_, y)
        return 2.0 * places - 1 if len(self.classes_) == 2 else places


def _moments(columns: Array, weights: Array) -> tuple[Array, Array]:
    """Return weighted mean and deviation of every column; a constant one has deviation 1."""
    mean = np.average(columns, axis=0, weights=weights)
    deviation = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weights))
    constant = deviation <= 10 * np.finfo(float).eps * np.abs(mean)
    return mean, np.where(constant, 1.0, deviation)


def _at_least_two(classes: NDArray[Any]) -> NDArray[Any]:
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only, {classes.tolist()[0]!r}; a classifier needs two."
        )
    return classes
