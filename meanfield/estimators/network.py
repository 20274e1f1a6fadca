"""What both estimators share: standardization, weights, and the run_steps of the particles."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from meanfield import checks
from meanfield.dictionary import extract_dictionary
from meanfield.errors import ArgumentError
from meanfield.estimators.training_data import texts_refused
from meanfield.flow import defaults
from meanfield.flow.checkpoint import Checkpoint
from meanfield.flow.cost import chosen_batch_size
from meanfield.flow.dynamics import Dynamics
from meanfield.flow.initial import Init
from meanfield.flow.initial_state import initial_state
from meanfield.flow.integrators import Integrator, get_integrator
from meanfield.flow.minibatch import BATCH_SIZE
from meanfield.flow.particles import as_particles
from meanfield.flow.run import network_outputs
from meanfield.flow.schedule import Schedule, per_step
from meanfield.flow.scheme import Scheme
from meanfield.flow.step_loop import run_steps
from meanfield.problem import Problem, get_activation
from meanfield.problem.scaling import weighted_moments
from meanfield.problem.validation import LARGEST, SQUARABLE, check_magnitude, refuse_times

Array = NDArray[np.floating]

_DOCSTRING = """
    Parameters
    ----------
    n_particles : int, default: 100
        Neurons N of each network.
    activation : str or Activation, default: "tanh"
        A name in `meanfield.problem.ACTIVATIONS`, or your own, `mf.Activation.from_function`.
    bias : bool, default: True
        Whether neurons have a bias.
    l2 : float or (float, float), default: {l2}
        Penalty λ on every neuron; a pair is output weights, then input weights and biases.
    temperature, step_size : float, array_like of shape (n_steps,) or Schedule
        Temperature τ of the noise, {temperature} by default, and step size η in units of the
        mean-field time, {step_size} by default: one number, that of every step, or for example
        ``mf.schedule.Geometric(0.1, 0.001)``. `partial_fit` goes along a schedule and stays at its
        last number.
    n_steps : int, default: {n_steps}
        Steps of `fit`.
    integrator : str or Integrator, default: "euler"
        As in `mf.simulate`. `partial_fit`, which makes single steps, refuses ``"kinetic"``.
    batch_size : int, "auto" or None, default: "auto"
        Data in the gradient of each step of `fit`, drawn anew; None takes all. By default all, but
        for {batch} where `fit` would take over a minute of a core with all of 1024 data or more.
        `partial_fit` takes the whole batch that it is given.
    init : str, InitialLaw, Particles, array or callable, default: "gaussian"
        Law of the neurons at the start, or particles that they are picked from.
    n_networks : int, default: 1
        Independent networks whose outputs are averaged.
    standardize : bool, default: True
        Centre every feature and scale it to variance 1/d, which is the scale that mean-field
        networks expect{scaled_y}.
    dictionary : bool, default: False
        Whether `fit` also extracts the few atoms that carry the network, `dictionary_`. Data of
        weight 0 are left out, and the others count alike.
    random_state : int, RandomState or None, default: None
        Seed of the initial law and of the noise, drawn from this state: not the `seed` of
        `mf.simulate`. Steps of `partial_fit` follow those that were made: on the same data they
        give the network of `fit`.

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


def shared_docstring(scaled_y: str = "") -> str:
    """Return what the docstrings of both estimators say, with what is said of labels."""
    return _DOCSTRING.format(
        l2=defaults.L2,
        temperature=defaults.TEMPERATURE,
        batch=BATCH_SIZE,
        step_size=defaults.STEP_SIZE,
        n_steps=defaults.N_STEPS,
        scaled_y=scaled_y,
    )


class MeanFieldNetwork(BaseEstimator):  # type: ignore[misc]
    """A network trained by the run_steps of its particles; labels are what estimators differ in."""

    def __init__(
        self,
        n_particles: int = 100,
        *,
        activation: str = defaults.ACTIVATION,
        bias: bool = defaults.BIAS,
        l2: float | tuple[float, float] = defaults.L2,
        temperature: ArrayLike | Schedule = defaults.TEMPERATURE,
        step_size: ArrayLike | Schedule = defaults.STEP_SIZE,
        n_steps: int = defaults.N_STEPS,
        integrator: str | Integrator = "euler",
        batch_size: int | Literal["auto"] | None = "auto",
        init: Init = "gaussian",
        n_networks: int = 1,
        standardize: bool = True,
        dictionary: bool = False,
        random_state: Any = None,
    ):
        self.n_particles = n_particles
        self.activation = activation
        self.bias = bias
        self.l2 = l2
        self.temperature = temperature
        self.step_size = step_size
        self.n_steps = n_steps
        self.integrator = integrator
        self.batch_size = batch_size
        self.init = init
        self.n_networks = n_networks
        self.standardize = standardize
        self.dictionary = dictionary
        self.random_state = random_state

    def _fit(self, X: Array, y: Array, weights: Array) -> Any:
        """Train afresh on checked data."""
        n_steps = checks.steps(self.n_steps)
        self._begin(X, y, weights)
        self._advance(X, y, weights, n_steps, batch_size=self.batch_size)
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
        try:
            generator = check_random_state(self.random_state)
        except (ValueError, TypeError):
            raise ArgumentError(
                "random_state",
                "must be None, an integer of at least 0 and below 2**32, or a "
                f"numpy.random.RandomState, got {type(self.random_state).__name__}.",
            ) from None
        self._seed = int(generator.randint(np.iinfo(np.int32).max))
        self._centre: Array = np.zeros(X.shape[1])
        self._scale: Array = np.ones(X.shape[1])
        if self.standardize:
            self._centre, deviation = weighted_moments(X, weights)
            self._scale = deviation * np.sqrt(X.shape[1])
        self._begin_output(y, weights)
        self._state: Array | None = None
        self.n_iter_ = 0

    def _begin_output(self, y: Array, weights: Array) -> None:
        """Choose the coordinates of the labels; classes have none."""

    def _advance(
        self,
        X: Array,
        y: Array,
        weights: Array,
        n_steps: int,
        *,
        layout: Array | None = None,
        batch_size: int | Literal["auto"] | None = None,
    ) -> None:
        """Make some steps on checked data; labels in `layout` only say which there can be."""
        if layout is not None:
            X = np.concatenate([X, np.zeros((len(layout), X.shape[1]))])
            y = np.concatenate([y, layout])
            weights = np.concatenate([weights, np.zeros(len(layout))])
        problem = self._problem(X, y)
        n_networks = checks.listed("n_networks", self.n_networks)
        last = self.n_iter_ + n_steps
        n_particles = checks.count("n_particles", self.n_particles)
        if isinstance(batch_size, str):
            if batch_size != "auto":
                raise ArgumentError(
                    "batch_size", f"must be a whole number, 'auto' or None, got {batch_size!r}."
                )
            batch_size = chosen_batch_size(problem, n_steps * n_particles * n_networks)
        dynamics = Dynamics(
            problem, self._scheme(problem, last, batch_size), weights=weights / weights.mean()
        )
        start = self._state
        if start is None:
            start = initial_state(dynamics, n_particles, n_networks)
        (self._state,) = run_steps(
            dynamics,
            start,
            np.array([last]),
            first_step=self.n_iter_,
            checkpoint=Checkpoint(None, ""),
        )
        self.n_iter_ = last
        # That of an earlier network.
        self.__dict__.pop("dictionary_", None)
        self.particles_ = as_particles(problem, self._state)
        outputs = dynamics.predictions(self._state).mean(axis=0)
        self.loss_ = float(
            np.average(problem.loss.value(outputs, problem.targets), weights=weights)
        )

    def _scheme(self, problem: Problem, last: int, batch_size: int | None) -> Scheme:
        """Return the scheme up to a step: a schedule spans `n_steps`, and then stays as it is."""
        scheme = Scheme.of(
            problem,
            step_size=self.step_size,
            n_steps=checks.steps(self.n_steps),
            temperature=self.temperature,
            integrator=self.integrator,
            init=self.init,
            seed=self._seed,
            batch_size=batch_size,
        )
        more = last - scheme.n_steps
        return scheme.extended(more) if more > 0 else scheme.shortened(last)

    def _advance_by_one(
        self, X: Array, y: Array, weights: Array, layout: Array | None = None
    ) -> None:
        """Make one step on a batch, for which velocities would have to be kept."""
        if get_integrator(self.integrator).has_velocity:
            raise ArgumentError(
                "integrator",
                f"{self.integrator!r} has velocities, which single steps of partial_fit would "
                "forget; use fit, or another integrator.",
            )
        self._advance(X, y, weights, 1, layout=layout)

    def _problem(self, X: Array, y: Array) -> Problem:
        """Return the problem in the coordinates of the network."""
        n_steps = checks.steps(self.n_steps)
        temperature = per_step("temperature", self.temperature, n_steps, zero=True)
        return Problem(
            (X - self._centre) / self._scale,
            self._encode(y),
            activation=self.activation,
            loss=self._loss(y),
            bias=self.bias,
            l2=self.l2,
            temperature=float(np.ravel(temperature)[-1]),
        )

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Array, NDArray[Any], Array]:
        """Check training data; weights default to one."""
        for name, values in (("X", X), ("y", y), ("sample_weight", sample_weight)):
            checks.unmasked(name, values)
        given = {"X": X, "y": y} if self._label_checks.get("y_numeric") else {"X": X}
        for name, values in given.items():
            refuse_times(name, values)
        try:
            X, y = validate_data(self, X, y, reset=reset, dtype=np.float64, **self._label_checks)
        except ValueError as error:
            if "could not convert string" in str(error):
                raise texts_refused(given) or error from None
            raise
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        for name in ("bias", "standardize", "dictionary"):
            value = getattr(self, name)
            if not isinstance(value, bool | np.bool_):
                raise TypeError(f"{name} must be True or False, got {value!r}.")
        largest = LARGEST if self.standardize else SQUARABLE
        check_magnitude(X, "X", largest, "standardize=True")
        if y.dtype.kind == "f":
            check_magnitude(y, "y", largest, "standardize=True")
        if not np.isfinite(weights.sum()):
            weights = weights / weights.max()
        return X, y, weights

    def _outputs(self, X: Any) -> Array:
        """Return the mean output of the networks at checked inputs, (m,) or (m, k)."""
        check_is_fitted(self, "particles_")
        checks.unmasked("X", X)
        refuse_times("X", X)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        activation = get_activation(self.activation)
        inputs = (X - self._centre) / self._scale
        outputs = network_outputs(activation, self.particles_, inputs).mean(axis=0)
        return outputs if self.particles_.a.ndim == 3 else outputs[:, 0]
