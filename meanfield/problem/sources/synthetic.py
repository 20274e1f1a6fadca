"""Synthetic data: inputs from a named law, labels from a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypedDict, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.problem.data import Data
from meanfield.problem.draws import InputLaw, draw_inputs, generator
from meanfield.problem.function_target import as_target
from meanfield.problem.problem import Problem
from meanfield.problem.sources.options import takes
from meanfield.problem.targets import HermiteTarget, IndexTarget, Parity, Target, Teacher
from meanfield.system import memory

_COPIES = 3  # rows, and what is made from them

TargetLabels = Literal["real", "sign", "class"]
"""Names of the ways to make labels from the values of a target."""


class Sample(TypedDict, total=False):
    """What is drawn for a target, see `from_target`."""

    n_train: int
    n_test: int
    inputs: InputLaw
    noise: float
    labels: TargetLabels
    seed: int


def from_target(
    target: Target | Callable[[np.ndarray], ArrayLike],
    *,
    n_features: int | None = None,
    n_train: int = 200,
    n_test: int = 1000,
    inputs: InputLaw = "gaussian",
    noise: float = 0.0,
    labels: TargetLabels = "real",
    seed: int = 0,
    source: str = "target",
) -> Data:
    """Draw data for a target; the held-out part is drawn independently.

    Training inputs, held-out inputs and the noise on each are separate streams of `seed`: the
    held-out part does not depend on `n_train`, and smaller training sets are the first rows of
    larger ones.

    Parameters
    ----------
    target : Target or callable
        The function ``f*``; one of the user's takes inputs (n, d) and returns (n,) or (n, k).
    n_features : int, optional
        Input dimension d of a function that does not record it.
    n_train, n_test : int
        Numbers of rows; no held-out part when `n_test` is 0.
    inputs : {"gaussian", "uniform-cube", "sphere", "rademacher"}
        The input law, see `draw_inputs`.
    noise : float
        Standard deviation of the Gaussian noise added to ``f*(x)``, held-out part included.
    labels : {"real", "sign", "class"}
        The noisy values themselves (squared loss); their signs ±1 (logistic loss); or the number
        of the largest output, for one output 0 or 1 by sign (cross-entropy).
    seed : int
        Seed of inputs and noise.
    source : str
        Name of the source in the record.

    Returns
    -------
    Data
        With ``target`` set and its parameters in ``info["target"]``.

    Raises
    ------
    ValueError
        If an option is out of range, or the target returns no finite number for every row.

    Examples
    --------
    >>> import meanfield as mf
    >>> target = mf.problem.Parity(3, [0, 1])
    >>> data = mf.problem.from_target(target, n_train=8, n_test=0, inputs="rademacher")
    >>> bool((data.y == data.X[:, 0] * data.X[:, 1]).all())
    True
    """
    target = as_target(target, n_features)
    checks.choice("labels", labels, get_args(TargetLabels))
    n_train, n_test = checks.count("n_train", n_train), checks.count("n_test", n_test, minimum=0)
    noise = checks.nonnegative("noise", noise)
    _check_sizes(target.n_features, n_train, n_test)

    def draw(n_points: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
        X = draw_inputs(inputs, n_points, target.n_features, generator(seed, stream))
        values = target(X)
        values = values + noise * generator(seed, stream + 1).standard_normal(values.shape)
        return X, _labels(values, labels)

    X, y = draw(n_train, 1)
    X_test, y_test = draw(n_test, 3) if n_test else (None, None)
    info = {"source": source, "target": target.info, "inputs": inputs, "noise": noise}
    info |= {"labels": labels, "seed": seed, "n_train": n_train, "n_test": n_test}
    return Data(X, y, X_test, y_test, info, target)


def from_function(
    target: Callable[[np.ndarray], ArrayLike],
    d: int,
    *,
    n_train: int = 200,
    n_test: int = 1000,
    inputs: InputLaw = "gaussian",
    noise: float = 0.0,
    labels: TargetLabels = "real",
    seed: int = 0,
    **options: Any,
) -> Problem:
    """Make a problem whose labels are the values of a function of the user's own.

    Parameters
    ----------
    target : callable
        Takes inputs (n, d) and returns finite numbers, (n,) or (n, k).
    d : int
        Input dimension.
    n_train, n_test, inputs, noise, labels, seed : as for `from_target`
        What is drawn.
    **options
        Arguments of `Problem` other than the data.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError, TypeError
        If an option is out of range, or the function returns no finite number for every row.

    Examples
    --------
    >>> import numpy as np
    >>> import meanfield as mf
    >>> problem = mf.problem.from_function(lambda X: np.sin(X[:, 0]), 2, n_train=50, l2=0.001)
    >>> problem.X.shape, problem.X_test.shape, problem.l2_input
    ((50, 2), (1000, 2), 0.001)
    """
    data = from_target(
        target, n_features=d, n_train=n_train, n_test=n_test, inputs=inputs, noise=noise,
        labels=labels, seed=seed, source="function",
    )  # fmt: skip
    return data.problem(**options)


def _check_sizes(n_features: Any, n_train: Any = 200, n_test: Any = 1000, n_atoms: Any = 1) -> None:
    """Refuse rows, or atoms, that the memory cannot hold a few times; name the larger size."""
    n_features = checks.count("n_features", n_features)
    free = memory.available()
    for name, rows in (("n_train", n_train), ("n_test", n_test), ("n_atoms", n_atoms)):
        n_rows = checks.count(name, rows, minimum=0)
        n_bytes = _COPIES * 8 * max(n_rows, 1) * n_features
        if n_bytes > free:
            given = {name: n_rows, "n_features": n_features}
            larger = max(given, key=lambda key: given[key])
            raise ArgumentError(
                larger,
                message=f"{name}={n_rows} rows of n_features={n_features} numbers need about "
                f"{n_bytes / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are available; lower "
                f"{larger}.",
            )


def _sizes(sample: Sample) -> dict[str, Any]:
    return {name: sample[name] for name in ("n_train", "n_test") if name in sample}


def _labels(values: np.ndarray, labels: str) -> np.ndarray:
    if labels == "real":
        return values
    if labels == "sign":
        return np.where(values >= 0, 1, -1)
    return values.argmax(axis=1) if values.ndim == 2 else (values >= 0).astype(int)


@takes(Sample, of=from_target)
def teacher(
    *,
    n_features: int,
    n_atoms: int,
    activation: str = "tanh",
    bias: bool = True,
    n_outputs: int = 1,
    min_angle: float = 0.0,
    output_norm: float | list[float] = 1.0,
    weight_norm: float | list[float] = 1.0,
    bias_scale: float = 1.0,
    target_seed: int = 0,
    **sample: Unpack[Sample],
) -> Data:
    """Draw data from a random teacher network.

    Parameters
    ----------
    n_features, n_atoms, activation, bias, n_outputs : as for `Teacher.random`
        Size and activation.
    min_angle, output_norm, weight_norm, bias_scale : as for `Teacher.random`
        Atoms.
    target_seed : int
        Seed of the teacher.
    n_train, n_test, inputs, noise, labels, seed : as for `from_target`
        The sample.

    Returns
    -------
    Data

    Examples
    --------
    >>> import meanfield as mf
    >>> data = mf.problem.teacher(n_features=2, n_atoms=3, bias=False, min_angle=20, n_train=50)
    >>> data.target.w.shape
    (3, 2)
    """
    _check_sizes(n_features, n_atoms=n_atoms, **_sizes(sample))
    target = Teacher.random(
        n_features,
        n_atoms,
        activation,
        bias,
        n_outputs=n_outputs,
        min_angle=min_angle,
        output_norm=output_norm,
        weight_norm=weight_norm,
        bias_scale=bias_scale,
        seed=checks.seed(target_seed, "target_seed"),
    )
    return from_target(target, source="teacher", **sample)


@takes(Sample, of=from_target)
def single_index(
    *,
    n_features: int,
    link: str | list[float] = "tanh",
    target_seed: int = 0,
    **sample: Unpack[Sample],
) -> Data:
    """Draw data from ``f*(x) = g(⟨u, x⟩)`` with a random unit direction.

    Parameters
    ----------
    n_features : int
        Input dimension.
    link : str or list of float
        An activation, or coefficients ``c_0, c_1, …`` of normalised Hermite polynomials.
    target_seed : int
        Seed of the direction.
    n_train, n_test, inputs, noise, labels, seed : as for `from_target`
        The sample.

    Returns
    -------
    Data

    Examples
    --------
    >>> import meanfield as mf
    >>> data = mf.problem.single_index(n_features=3, link="tanh", n_train=10)
    >>> data.problem(activation="tanh").n_data
    10
    """
    seed = checks.seed(target_seed, "target_seed")
    _check_sizes(n_features, **_sizes(sample))
    target = IndexTarget.random(n_features, 1, link, seed=seed)
    return from_target(target, source="single-index", **sample)


@takes(Sample, of=from_target)
def multi_index(
    *,
    n_features: int,
    n_directions: int,
    link: str | dict[str, float] = "tanh",
    target_seed: int = 0,
    **sample: Unpack[Sample],
) -> Data:
    """Draw data from a function of a few random orthonormal projections.

    Parameters
    ----------
    n_features, n_directions : int
        Input dimension and number of projections.
    link : str or dict
        An activation, summed over projections; or coefficients of multi-indices of projections,
        normalised, such as ``{"1": 1.0, "1,1": 0.5}``.
    target_seed : int
        Seed of the directions.
    n_train, n_test, inputs, noise, labels, seed : as for `from_target`
        The sample.

    Returns
    -------
    Data

    Examples
    --------
    >>> import meanfield as mf
    >>> data = mf.problem.multi_index(n_features=5, n_directions=2, n_train=30)
    >>> data.X.shape, data.X_test.shape
    ((30, 5), (1000, 5))
    """
    seed = checks.seed(target_seed, "target_seed")
    _check_sizes(n_features, **_sizes(sample))
    target = IndexTarget.random(n_features, n_directions, link, seed=seed)
    return from_target(target, source="multi-index", **sample)


@takes(Sample, of=from_target, inputs="rademacher")
def parity(*, n_features: int, coordinates: list[int], **sample: Unpack[Sample]) -> Data:
    """Draw data from a product of coordinates, by default on the hypercube.

    Parameters
    ----------
    n_features : int
        Input dimension.
    coordinates : list of int
        The coordinates that are multiplied.
    n_train, n_test, inputs, noise, labels, seed : as for `from_target`
        The sample. With ``labels="sign"``, noise flips a label with
        probability ``Φ(−1 / noise)``.

    Returns
    -------
    Data

    Examples
    --------
    >>> import meanfield as mf
    >>> data = mf.problem.parity(n_features=4, coordinates=[0, 2], n_train=16)
    >>> bool((data.y == data.X[:, 0] * data.X[:, 2]).all())
    True
    """
    _check_sizes(n_features, **_sizes(sample))
    return from_target(Parity(n_features, tuple(coordinates)), source="parity", **sample)


@takes(Sample, of=from_target)
def hermite(*, n_features: int, coefficients: dict[str, float], **sample: Unpack[Sample]) -> Data:
    """Draw data from a finite expansion in normalised Hermite polynomials.

    Parameters
    ----------
    n_features : int
        Input dimension.
    coefficients : dict
        Coefficients of multi-indices such as ``{"2,0,1": 0.5}``, as for `HermiteTarget`.
    n_train, n_test, inputs, noise, labels, seed : as for `from_target`
        The sample.

    Returns
    -------
    Data

    Examples
    --------
    >>> import meanfield as mf
    >>> data = mf.problem.hermite(n_features=2, coefficients={"1": 1.0, "1,1": 0.5}, n_train=20)
    >>> data.X.shape, data.target([[1.0, 2.0]]).item()
    ((20, 2), 2.0)
    """
    _check_sizes(n_features, **_sizes(sample))
    return from_target(HermiteTarget(n_features, coefficients), source="hermite", **sample)
