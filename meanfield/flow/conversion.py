"""Weights ``a, w, b`` to and from other software: weights by name, npz files, datasets."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.floating]
Parts = tuple[Array, Array, Array | None]

NORMALISATIONS = ("sum", "mean")


def from_state_dict(state: Mapping[str, Any], normalisation: str) -> Parts:
    """Read ``a, w, b`` of one network from weights by name; see `Particles.from_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"state must map names to arrays, such as module.state_dict(), got "
            f"{type(state).__name__}."
        )
    arrays = {name: plain_array(f"state[{name!r}]", value) for name, value in state.items()}
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    if len(matrices) != 2:
        raise ValueError(
            f"state must hold the two weight matrices of a two-layer network, got {len(matrices)} "
            f"({', '.join(matrices) or 'none'}); pass those of one hidden layer alone."
        )
    matrices = _in_order(arrays, matrices)
    inner, outer = (arrays[name] for name in matrices)
    first, second = map(bias_of, matrices)
    unknown = set(arrays) - {*matrices, first, second}
    if unknown:
        raise ValueError(
            f"state holds {min(unknown)!r}, which a two-layer network has not; leave it out."
        )
    if second in arrays and arrays[second].any():
        raise ValueError(
            f"{second} is not zero, and a mean-field network has no bias after its neurons; "
            "subtract it from the labels, or train without it (bias=False)."
        )
    a = outer.T * _factor(normalisation, len(inner))
    return (a[:, 0] if a.shape[1] == 1 else a), inner, arrays.get(first)


_NUMBER = re.compile(r"\d+")


def _has_bias(arrays: Mapping[str, Array], matrix: str) -> bool:
    bias = arrays.get(bias_of(matrix))
    return bias is not None and bool(bias.any())


def bias_of(matrix: str) -> str:
    """Return the name of the bias beside a weight."""
    return matrix.removesuffix("weight") + "bias"


def _in_order(arrays: Mapping[str, Array], matrices: list[str]) -> list[str]:
    """Return the names of the two matrices, (N, d) before (k, N), whatever order they come in.

    Where both orders fit, numbers in the names decide, as in ``0.weight`` and ``2.weight``; else
    the biases, for there is none after the neurons; else the user.
    """
    fitting = [
        names
        for names in (matrices, matrices[::-1])
        if arrays[names[1]].shape[1] == arrays[names[0]].shape[0]
    ]
    if not fitting:
        first, second = matrices
        raise ValueError(
            f"{second} of shape {arrays[second].shape} does not take the "
            f"{arrays[first].shape[0]} neurons of {first} of shape {arrays[first].shape}; the "
            "first matrix must be (N, d) and the second (k, N)."
        )
    if len(fitting) == 2 and len({_NUMBER.sub("#", name) for name in matrices}) == 1:
        return sorted(matrices, key=lambda name: [int(part) for part in _NUMBER.findall(name)])
    if len(fitting) == 2:
        fitting = [names for names in fitting if not _has_bias(arrays, names[1])] or fitting
    if len(fitting) == 2:
        fitting = [names for names in fitting if bias_of(names[0]) in arrays] or fitting
    if len(fitting) == 2:
        first, second = matrices
        raise ValueError(
            f"{first} of shape {arrays[first].shape} and {second} of shape "
            f"{arrays[second].shape} fit in either order, and no bias tells which comes first; "
            "add the bias of the neurons alone, zeros if they have none, as "
            f"{bias_of(first)!r} or {bias_of(second)!r}."
        )
    return fitting[0]


def to_state_dict(
    a: Array, w: Array, b: Array | None, normalisation: str, names: tuple[str, str]
) -> dict[str, Array]:
    """Return the weights of the one replica by name; see `Particles.to_state_dict`."""
    n_replicas, n_particles = w.shape[:2]
    if n_replicas != 1:
        raise ValueError(
            f"A state_dict holds one network, and these are {n_replicas}; choose one, such as "
            "particles[0]."
        )
    first, second = names
    if first == second:
        raise ValueError(f"names must be those of two layers, got {first!r} twice.")
    outer = a[0].reshape(n_particles, -1)
    state = {f"{first}.weight": w[0].copy()}
    if b is not None:
        state[f"{first}.bias"] = b[0].copy()
    factor = _factor(normalisation, n_particles)
    state[f"{second}.weight"] = np.ascontiguousarray(outer.T / factor)
    return state


def from_npz(path: str | os.PathLike[str]) -> Parts:
    """Read ``a, w, b`` from an npz file; see `Particles.from_npz`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    # TypeError: a single array (npy) opens, but is no archive.
    except (ValueError, EOFError, OSError, TypeError, zipfile.BadZipFile):
        raise ValueError(f"{os.fspath(path)} is not a readable npz file of arrays.") from None
    return _named(arrays, os.fspath(path))


def to_xarray(a: Array, w: Array, b: Array | None) -> xr.Dataset:
    """Return a dataset; see `Particles.to_xarray`."""
    import xarray as xr

    points = ("replica", "particle")
    outputs = ("output",) if a.ndim == 3 else ()
    variables = {"a": ((*points, *outputs), a), "w": ((*points, "feature"), w)}
    if b is not None:
        variables["b"] = (points, b)
    return described(xr.Dataset(variables))


def from_xarray(dataset: xr.Dataset) -> Parts:
    """Read ``a, w, b`` from a dataset; see `Particles.from_xarray`."""
    import xarray as xr

    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset must be an xarray.Dataset, got {type(dataset).__name__}.")
    order = ("replica", "particle", "output", "feature")
    arrays = {}
    for name in {"a", "w", "b"} & set(dataset.data_vars):
        array = dataset[name]
        foreign = [name for name in array.dims if name not in order]
        if foreign:
            raise ValueError(
                f"dataset has the dimension {foreign[0]!r}; choose one entry of it, such as "
                f"dataset.isel({foreign[0]}=-1)."
            )
        if "replica" not in array.dims:
            array = array.expand_dims("replica")
        arrays[name] = array.transpose(*(name for name in order if name in array.dims)).values
    return _named(arrays, "dataset")


def _named(arrays: Mapping[str, Array], where: str) -> Parts:
    missing = {"a", "w"} - set(arrays)
    if missing:
        raise ValueError(f"{where} has no array {min(missing)!r}; particles need a and w.")
    return arrays["a"], arrays["w"], arrays.get("b")


def plain_array(name: str, value: Any) -> Array:
    """Return an array, or a tensor of any library, as a float64 array of ours."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    checks.unmasked(name, value)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "cSU":  # of which NumPy would drop a part, or read the digits
            return np.array(array, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name} is not an array of real numbers.")


def _factor(normalisation: str, n_particles: int) -> int:
    checks.choice("normalisation", normalisation, NORMALISATIONS)
    return n_particles if normalisation == "sum" else 1
