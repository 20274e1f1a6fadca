"""What the studies of deep networks share: their inputs, and the simulation of their limit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import entr

from meanfield import deep
from meanfield.errors import ConfigError
from meanfield.problem.data import Data
from meanfield.system import memory
from meanfield.workbench.config import named_keys
from meanfield.workbench.sections.data import DataConfig, load_data


def load_inputs(config: DataConfig, loss: str = "squared") -> Data:
    """Load data for networks with one output, trained on `loss`; labels are floats."""
    loaded = load_data(config)
    if loaded.y.ndim != 1:
        raise ConfigError("[data]: the networks have one output; choose data with one target.")
    with named_keys(config, "data", y="network.loss"):
        loaded.problem(loss=loss)
    return replace(loaded, y=loaded.y.astype(float))


def scale_inputs(inputs: np.ndarray, length: float) -> np.ndarray:
    """Scale every input, a row, to a length."""
    lengths = np.linalg.norm(inputs, axis=1, keepdims=True)
    if not lengths.all():
        raise ConfigError(
            "[data]: an input is zero and cannot be scaled; leave it out, or do not scale."
        )
    return inputs * length / lengths


def check_sizes(
    config: DataConfig, table: str, n_inputs: int, n_steps: int, depth: int, n_samples: int = 0
) -> None:
    """Refuse steps, and samples of the limit, that do not fit into memory."""
    with named_keys(config, table, "limit"):
        memory.fits(n_steps=n_steps, inputs=n_inputs)
        memory.fits(n_samples=n_samples, values=6 * depth, inputs=n_inputs)


def check_widths(
    config: DataConfig,
    table: str,
    widths: Sequence[int],
    n_features: int,
    depth: int,
    dtype: str = "float32",
) -> None:
    """Refuse networks whose weights do not fit into memory."""
    width, size = max(widths, default=1), np.dtype(dtype).itemsize
    with named_keys(config, table):
        memory.fits(size, widths=width, features=n_features)
        if depth > 1:
            memory.fits(size, widths=width, units=width)


def simulate_limit(**arguments: Any) -> deep.InfiniteWidth:
    """Call `deep.infinite_width`; its notes are for the report, not for the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return deep.infinite_width(**arguments)


def richness_sentence(richness: float) -> str:
    """Return what a report adds for networks with an output multiplier; nothing without one."""
    if richness == 1:
        return ""
    return (
        f" Outputs are divided by γ₀ = {richness:g}, and rates multiplied by its square: features "
        "move less the smaller it is."
    )


def constant_loss(y: np.ndarray, loss: str, reduction: str) -> float:
    """Return the training loss of the best answer that is the same for all inputs."""
    if loss == "squared":
        each = float(np.square(y - y.mean()).mean())
    else:
        share = float((y > 0).mean())
        each = float(entr(share) + entr(1 - share))
    return each * (len(y) if reduction == "sum" else 1)
