"""Weights of deep networks by the names that PyTorch gives them, in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow.conversion import bias_of, plain_array

Array = np.ndarray
Layers = tuple[list[Array], list[Array]]
"""``W^1, …, W^{L+1}`` with ``W^{L+1}`` of shape (K, n), and biases of all layers or of none."""

_NUMBER = re.compile(r"\d+")


def to_state_dict(layers: Layers, names: Sequence[str] | None) -> dict[str, Array]:
    """Return copies of the weights by name; see `DeepRun.to_state_dict`."""
    weights, biases = layers
    if names is None:
        names = [str(2 * layer) for layer in range(len(weights))]
    if len(names) != len(weights) or len(set(names)) != len(weights):
        raise ArgumentError(
            "names", f"must be {len(weights)} different names, one a layer, got {list(names)}."
        )
    state = {}
    for layer, (name, weight) in enumerate(zip(names, weights, strict=True)):
        state[f"{name}.weight"] = np.array(weight)
        if biases:
            state[f"{name}.bias"] = np.array(biases[layer])
    return state


@dataclass(frozen=True)
class Shape:
    """The network that weights are for."""

    width: int
    depth: int
    n_features: int
    n_outputs: int
    bias: bool


def from_state_dict(state: Any, shape: Shape) -> Layers:
    """Read the weights of a network of a given shape, in the order of its layers."""
    if not isinstance(state, Mapping):
        raise ArgumentTypeError(
            "init",
            f"must map names to arrays, such as module.state_dict(), got {type(state).__name__}.",
        )
    if not all(isinstance(name, str) for name in state):
        raise ArgumentTypeError("init", f"must name its arrays by text, got {list(state)}.")
    arrays = {name: plain_array(f"init[{name!r}]", value) for name, value in state.items()}
    _check_dimensions(arrays)
    names = [name for name, array in arrays.items() if array.ndim == 2]
    if len({_NUMBER.sub("#", name) for name in names}) == 1:
        names.sort(key=lambda name: [int(part) for part in _NUMBER.findall(name)])
    weights = [arrays[name] for name in names]
    _check(weights, names, shape)
    known = {name: bias_of(name) for name in names}
    unknown = set(arrays) - set(known) - set(known.values())
    if unknown:
        raise ArgumentError(
            "init", f"holds {min(unknown)!r}, which is no weight or bias of a layer; leave it out."
        )
    biases = [arrays[name] for name in known.values() if name in arrays]
    if not shape.bias:
        if any(bias.any() for bias in biases):
            raise ArgumentError("init", "has biases; pass bias=True.")
        return weights, []
    missing = [name for name in known.values() if name not in arrays]
    if missing:
        raise ArgumentError(
            "init", f"has no {missing[0]!r}; pass bias=False, or add it, zeros if there is none."
        )
    for (name, weight), bias in zip(zip(known.values(), weights, strict=True), biases, strict=True):
        if bias.shape != weight.shape[:1]:
            raise ArgumentError(
                "init", f"has {name!r} of shape {bias.shape} beside weights of {weight.shape}."
            )
    return weights, biases


def _check_dimensions(arrays: Mapping[str, Array]) -> None:
    """Refuse arrays that are not finite, or not of the kind that their name says."""
    for name, array in arrays.items():
        kinds = {"weight": "2-D, (outputs, inputs)", "bias": "1-D"}
        wanted = kinds.get(name.rpartition(".")[2])
        if wanted and array.ndim != int(wanted[0]):
            raise ArgumentError("init", f"has {name!r} of shape {array.shape}; make it {wanted}.")
        if not np.isfinite(array).all():
            raise ArgumentError("init", f"holds numbers in {name!r} that are not finite.")


def _check(weights: list[Array], names: list[str], shape: Shape) -> None:
    """Refuse weights of another shape, naming the argument that would fit."""
    if len(weights) != shape.depth + 1:
        depth = len(weights) - 1
        raise ArgumentError(
            "init",
            f"has {len(weights)} weight matrices ({', '.join(map(str, names)) or 'none'}), one a "
            f"layer and one of the output: "
            + (f"pass depth={depth}." if depth > 0 else "too few."),
        )
    width = len(weights[0])
    if width != shape.width:
        raise ArgumentError("init", f"has {width} units in its first layer; pass width={width}.")
    sizes = [shape.n_features, *[width] * shape.depth, shape.n_outputs]
    for layer, (name, weight) in enumerate(zip(names, weights, strict=True)):
        wanted = sizes[layer + 1], sizes[layer]
        if weight.shape != wanted:
            raise ArgumentError(
                "init",
                f"has {name!r} of shape {weight.shape}, and layer {layer + 1} of the network for "
                f"these X and y is {wanted}; all hidden layers have one width.",
            )
