"""What the studies of deep networks share: their inputs, and the simulation of their limit."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from meanfield import deep
from meanfield.errors import ConfigError
from meanfield.problem.data import Data
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


def simulate_limit(**arguments: Any) -> deep.InfiniteWidth:
    """Call `deep.infinite_width`; its notes are for the report, not for the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return deep.infinite_width(**arguments)
