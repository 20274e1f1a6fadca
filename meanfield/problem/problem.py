"""The learning problem: data, network, loss and regularisation, checked once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError, suggest
from meanfield.problem.activations import Activation, get_activation
from meanfield.problem.losses import Loss, get_loss
from meanfield.problem.validation import as_inputs, check_magnitude

if TYPE_CHECKING:
    from meanfield.statistics.estimate import Estimate

PARAMETERS = ("a", "w", "b")
"""Names of the parameters of one particle, in the order of its coordinates."""


class Problem:
    r"""A two-layer network to train by mean-field Langevin dynamics.

    The network is ``f_N(x) = (1/N) Σ_i a_i σ(⟨w_i, x⟩ + b_i)`` and the flow descends

    .. math:: J(µ) = \frac1n \sum_j ℓ(f_µ(x_j), y_j) + \frac12 ∫ (λ_a |a|² + λ_w |(w, b)|²) dµ
              + τ ∫ µ \log µ.

    A problem does not change once made; two are equal when their fingerprints are.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    y : array_like of shape (n,) or (n, k)
        Real values for the squared loss, ±1 for the logistic loss, and class labels ``0..K−1`` of
        shape (n,) for cross-entropy.
    activation, loss : str, Activation or Loss
        Names in `ACTIVATIONS` and `LOSSES`, or what stands there.
    bias : bool
        Whether an atom has a bias ``b``.
    train : sequence of str
        The parameters that move, among ``"a"``, ``"w"``, ``"b"``; the others stay as initialised.
        The default, all three, means ``("a", "w")`` when there is no bias.
    l2 : float or (float, float)
        Strength λ of the L2 penalty; a pair is ``(λ_a, λ_w)``: output, then input and bias. SGD's
        weight decay ω on ``Σ_i A_i σ`` with ``a = N A`` is the pair ``(ω / N, ω N)``.
    temperature : float
        Temperature τ ≥ 0.
    X_test, y_test : array_like of shape (n_test, d) and (n_test,) or (n_test, k), optional
        Held-out data, both or neither.
    name : str, optional
        A label for reports.

    Attributes
    ----------
    X, X_test : ndarray of shape (n, d)
        Inputs, float64, C-contiguous, read-only. `X_test` is None without held-out data.
    y, y_test : ndarray of shape (n,) or (n, k)
        Labels in the shape they were given, read-only.
    targets, targets_test : ndarray of shape (n, k)
        What the loss compares with, float64, read-only; one-hot for cross-entropy.
    activation, loss : Activation, Loss
        The activation σ and the loss ℓ.
    bias, name, temperature : bool, str or None, float
        As given.
    train : tuple of str
        The parameters that move, in the order a, w, b.
    l2_output, l2_input : float
        Penalty on ``a``, and on ``(w, b)``.

    Raises
    ------
    TypeError, ValueError
        If an argument has a wrong type or an impossible value; the message says what to do.

    Notes
    -----
    Without entropy and penalty (``τ = λ = 0``) this is one hidden layer under µP, Table 2 of [RFL].

    Examples
    --------
    >>> import numpy as np
    >>> from meanfield.problem import Problem
    >>> problem = Problem(np.eye(3), [1.0, 0.0, -1.0], activation="relu", bias=False)
    >>> problem.train, problem.n_parameters
    (('a', 'w'), 4)
    """

    X: np.ndarray
    y: np.ndarray
    targets: np.ndarray
    activation: Activation
    loss: Loss
    bias: bool
    train: tuple[str, ...]
    l2_output: float
    l2_input: float
    temperature: float
    X_test: np.ndarray | None
    y_test: np.ndarray | None
    targets_test: np.ndarray | None
    name: str | None

    def __init__(
        self,
        X: Any,
        y: Any,
        activation: str | Activation = "tanh",
        loss: str | Loss = "squared",
        bias: bool = True,
        train: Iterable[str] = PARAMETERS,
        l2: float | tuple[float, float] = 0.01,
        temperature: float = 0.001,
        *,
        X_test: Any = None,
        y_test: Any = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(bias, bool | np.bool_):
            raise ArgumentTypeError("bias", f"must be True or False, got {bias!r}.")
        loss = get_loss(loss)
        X = as_inputs(X)
        y, targets = loss.check_labels(y, n_points=len(X))
        X_test, y_test, targets_test = _held_out(X_test, y_test, loss, X, y, targets)
        for key, array in (("X", X), ("y", y), ("X_test", X_test), ("y_test", y_test)):
            if array is not None:
                check_magnitude(array, key)
        train = _train(train, bool(bias))
        _check_outputs_differ(train, loss, targets)
        l2_output, l2_input = _l2(l2)
        for array in (X, y, targets, X_test, y_test, targets_test):
            if array is not None:
                array.flags.writeable = False
        self.__dict__.update(
            X=X,
            y=y,
            targets=targets,
            activation=get_activation(activation),
            loss=loss,
            bias=bool(bias),
            train=train,
            l2_output=l2_output,
            l2_input=l2_input,
            temperature=_checked_temperature(temperature),
            X_test=X_test,
            y_test=y_test,
            targets_test=targets_test,
            name=None if name is None else str(name),
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"A Problem does not change; use problem.replace({name}=...).")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("A Problem does not change.")

    @property
    def n_data(self) -> int:
        """Number of data points ``n``."""
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        """Input dimension ``d``."""
        return self.X.shape[1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs ``k``."""
        return self.targets.shape[1]

    @property
    def n_coordinates(self) -> int:
        """Coordinates of one particle, ``k + d``, and one more with a bias."""
        return self.n_outputs + self.n_features + self.bias

    @property
    def n_parameters(self) -> int:
        """Coordinates of one particle that move, ``p``."""
        sizes = {"a": self.n_outputs, "w": self.n_features, "b": 1}
        return sum(sizes[name] for name in self.train)

    @property
    def frozen_inputs(self) -> tuple[str, ...]:
        """The parameters that feed the activation, ``w`` and ``b``, but do not move."""
        names = ("w", "b") if self.bias else ("w",)
        return tuple(name for name in names if name not in self.train)

    @property
    def vector_output(self) -> bool:
        """Whether predictions carry an output axis, (n, k) rather than (n,)."""
        return self.y.ndim == 2 or self.loss.labels == "class"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of all that changes the dynamics; not of held-out data and `name`."""
        network = (self.activation.identity, self.loss.identity, self.bias, self.train)
        numbers = (self.l2_output.hex(), self.l2_input.hex(), self.temperature.hex())
        shapes = (self.X.shape, self.targets.shape)
        digest = hashlib.sha256(repr(("problem", network, numbers, shapes)).encode())
        for array in (self.X, self.targets):
            digest.update(array.astype("<f8", copy=False).data)
        return digest.hexdigest()

    def with_bias(self, X: np.ndarray) -> np.ndarray:
        """Return what ``w``, or ``(w, b)``, is multiplied with: inputs, with a last 1 for a bias.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Inputs.

        Returns
        -------
        ndarray of shape (m, d) or (m, d + 1)
        """
        return np.hstack([X, np.ones((len(X), 1))]) if self.bias else X

    def risk(self, predictions: np.ndarray, *, held_out: bool = False) -> np.ndarray:
        """Return the mean loss over the data, ``R(f) = (1/n) Σ_j ℓ(f(x_j), y_j)``.

        Parameters
        ----------
        predictions : array_like of shape (..., n) or (..., n, k)
            Predictions at the data; the output axis may be left out when `vector_output` is False.
        held_out : bool
            Compare with the held-out targets instead of the training targets.

        Returns
        -------
        ndarray of shape (...)

        Raises
        ------
        ValueError
            If the shape does not fit the data, or there are no held-out data.
        """
        predictions, targets = self._compared(predictions, held_out)
        return self.loss.value(predictions, targets).mean(axis=-1)

    def score(self, predictions: Any, *, held_out: bool = False) -> Estimate:
        """Return whether networks have learned: R² of the squared loss, else their accuracy.

        Parameters
        ----------
        predictions : array_like of shape (R, n), (R, n, k) or (n,)
            Outputs of R networks, or of one, at the data.
        held_out : bool
            Compare with the held-out targets instead of the training targets.

        Returns
        -------
        Estimate
            Mean over the networks, with an interval over rows and networks.

        Raises
        ------
        ValueError
            If the shape does not fit the data, or there are no held-out data.
        """
        from meanfield.problem.score import score

        predictions, targets = self._compared(predictions, held_out)
        return score(self.loss, predictions.reshape(-1, *targets.shape), targets)

    def _compared(self, predictions: Any, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions (..., n, k) and the targets (n, k) that they are compared with."""
        targets = self.targets_test if held_out else self.targets
        if targets is None:
            raise ValueError("held_out=True needs held-out data; give X_test and y_test.")
        checks.unmasked("predictions", predictions)
        predictions = np.asarray(predictions)
        n, k = targets.shape
        if not self.vector_output and predictions.shape[-1:] == (n,):
            predictions = predictions[..., None]
        if predictions.shape[-2:] != (n, k):
            wanted = f"(..., {n}, {k})" if self.vector_output else f"(..., {n})"
            raise ValueError(f"predictions must have shape {wanted}, got {predictions.shape}.")
        return predictions, targets

    def replace(self, **changes: Any) -> Problem:
        """Return a problem with some arguments changed.

        Parameters
        ----------
        **changes
            Arguments of `Problem`. With other data or another loss, say everything that depends
            on it; ``l2`` keeps both penalties unless given.

        Returns
        -------
        Problem

        Raises
        ------
        TypeError
            If there is no such argument.
        """
        arguments = self._arguments()
        for name in changes:
            if name not in arguments:
                hint = suggest(name, arguments)
                raise ArgumentTypeError(name, message=f"Problem has no argument {name!r}.{hint}")
        return Problem(**{**arguments, **changes})

    def _arguments(self) -> dict[str, Any]:
        """Arguments that make this problem again."""
        same = ("X", "y", "activation", "loss", "bias", "train", "temperature", "X_test", "y_test")
        arguments = {name: getattr(self, name) for name in (*same, "name")}
        return arguments | {"l2": (self.l2_output, self.l2_input)}

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Problem, **self._arguments()), ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problem):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        same = self.l2_output == self.l2_input
        l2 = f"{self.l2_output:g}" if same else f"({self.l2_output:g}, {self.l2_input:g})"
        parts = [
            f"n={self.n_data}, d={self.n_features}, k={self.n_outputs}",
            f"{self.activation.name} {'with' if self.bias else 'without'} bias",
            f"{self.loss.name} loss",
            f"train=({', '.join(self.train)})",
            f"l2={l2}, temperature={self.temperature:g}",
        ]
        if self.X_test is not None:
            parts.append(f"{len(self.X_test)} held out")
        title = "Problem" if self.name is None else f"Problem {self.name!r}"
        return f"<{title}: {', '.join(parts)}>"


def _held_out(
    X_test: Any, y_test: Any, loss: Loss, X: np.ndarray, y: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Check held-out data against the training data."""
    if X_test is None and y_test is None:
        return None, None, None
    for name, given in (("X_test", X_test), ("y_test", y_test)):
        if given is None:
            raise ArgumentError(name, "is missing; give X_test and y_test together.")
    X_test = as_inputs(X_test, "X_test", X.shape[1])
    y_test, targets_test = loss.check_labels(
        y_test, n_points=len(X_test), name="y_test", n_classes=targets.shape[1]
    )
    if y_test.shape[1:] != y.shape[1:]:
        raise ArgumentError(
            "y_test", f"has shape {y_test.shape} but y has {y.shape}; use one layout."
        )
    return X_test, y_test, targets_test


def _checked_temperature(temperature: object) -> float:
    try:
        return checks.nonnegative("temperature", temperature)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(
            "temperature", message=f"{str(error)[:-1]}; give a schedule to simulate and its like."
        ) from None


def _l2(l2: Any) -> tuple[float, float]:
    """Return the penalties on the output and on the input parameters."""
    if isinstance(l2, tuple | list | np.ndarray) and np.ndim(l2) == 1:
        if len(l2) != 2:
            raise ArgumentError(
                "l2", f"must be one number or (output, input), got {len(l2)} numbers."
            )
        return checks.nonnegative("l2[0]", l2[0]), checks.nonnegative("l2[1]", l2[1])
    return (checks.nonnegative("l2", l2),) * 2


def _train(train: Iterable[str], bias: bool) -> tuple[str, ...]:
    """Return the trained parameters in canonical order."""
    if isinstance(train, str) or not isinstance(train, Iterable):
        raise ArgumentTypeError(
            "train", f"must be a sequence of names such as ('a', 'w'), not {train!r}."
        )
    names = list(train)
    for name in names:
        if name not in PARAMETERS:
            raise ArgumentError(
                "train", f"has unknown parameter {name!r}; choose among 'a', 'w', 'b'."
            )
        if names.count(name) > 1:
            raise ArgumentError("train", f"names {name!r} {names.count(name)} times; name it once.")
    if not names:
        raise ArgumentError("train", "is empty; name at least one of 'a', 'w', 'b'.")
    if not bias and "b" in names:
        if len(names) < len(PARAMETERS):
            raise ArgumentError(
                "train", "names 'b' but bias is False; leave 'b' out or set bias=True."
            )
        names.remove("b")
    return tuple(name for name in PARAMETERS if name in names)


def _check_outputs_differ(train: tuple[str, ...], loss: Loss, targets: np.ndarray) -> None:
    """Refuse frozen output weights, which are 1, where outputs tell classes apart."""
    k = targets.shape[1]
    # Under the squared loss they still learn the mean of their targets.
    if "a" not in train and loss.labels != "real" and (targets != targets[:, :1]).any():
        what = f"the loss stays at ln {k}" if loss.labels == "class" else "none can learn its own"
        raise ArgumentError(
            "train",
            f"leaves out 'a', which then is 1 for all of the {k} outputs: they are the same, and "
            f"{what}; add 'a'.",
        )
