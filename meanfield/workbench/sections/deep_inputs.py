"""What the studies of deep networks share: their inputs, and the simulation of their limit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field
from scipy.special import entr

from meanfield import deep
from meanfield.deep.optimizers import DEFAULT_MOMENTUM, get_optimizer
from meanfield.errors import ArgumentError, ConfigError
from meanfield.flow.schedule import KINDS, per_step
from meanfield.problem.data import Data
from meanfield.system import memory
from meanfield.workbench.config import (
    NonNegative,
    Positive,
    ScheduleTable,
    named_keys,
    number_or_schedule,
)
from meanfield.workbench.sections.data import DataConfig, load_data

DeepLoss = Annotated[
    Literal["squared", "logistic", "cross-entropy"],
    Field(description="squared, logistic (labels ±1) or cross-entropy (classes 0, 1, …)."),
]
Bias = Annotated[bool, Field(description="Whether every layer has biases.")]
Rate = Annotated[
    Positive | ScheduleTable,
    Field(
        description="Base learning rate. A number, or a schedule over the run: "
        f'{{ kind = "geometric", start = 0.5, stop = 0.05 }}; kinds are {", ".join(KINDS)}.'
    ),
]
Richness = Annotated[
    Positive,
    Field(
        description="Divides the output, and its square multiplies the rates: lazy towards 0, 1 is "
        "the network as it stands. At width n take it well above n^−1/2, the size of the first "
        "output."
    ),
]


def _not_adam(name: object) -> object:
    """Say of Adam why a study of the limit does not have it."""
    if name == "adam":
        raise ValueError(
            "must be sgd or momentum: the infinite-width limit does not hold Adam, which moves "
            "every entry of a matrix on its own; the study 'transfer' trains networks with it"
        )
    return name


OptimizerName = Annotated[
    Literal["sgd", "momentum"],
    BeforeValidator(_not_adam),
    Field(description="sgd, or momentum: the heavy ball."),
]
Momentum = Annotated[
    Annotated[float, Field(ge=0, lt=1)] | None,
    Field(description=f"What a step keeps of the one before; {DEFAULT_MOMENTUM} by default."),
]
Decay = Annotated[
    NonNegative,
    Field(
        description="Decoupled weight decay: a step multiplies weights and biases by 1 − rate × "
        "this, at every width."
    ),
]


class Training:
    """How networks of a study are trained: keyword arguments of `deep.train`, checked."""

    def __init__(self, config: DataConfig, n_steps: int, longest: int = 0):
        network: Any = config.network  # type: ignore[attr-defined]
        longest = max(n_steps, longest)
        with named_keys(config, "network"):
            rate = number_or_schedule(network.step_size)
            self.rates = per_step("step_size", rate, longest, zero=False)
            optimizer = get_optimizer(network.optimizer, network.momentum, network.weight_decay)
            if float(np.max(self.rates)) * optimizer.weight_decay >= 1:
                raise ArgumentError(
                    "weight_decay", f"times the rate must be below 1, got {network.weight_decay:g}."
                )
        self.n_steps, self.network = n_steps, network

    def options(self, n_steps: int | None = None) -> dict[str, Any]:
        """Return the arguments of a run, or of the first steps of it."""
        n_steps = self.n_steps if n_steps is None else n_steps
        names = {"loss", "bias", "richness", "reduction", "optimizer", "momentum", "weight_decay"}
        rates = self.rates if isinstance(self.rates, float) else self.rates[:n_steps]
        if not isinstance(rates, float) and not n_steps:
            rates = float(self.rates[0])  # type: ignore[index]
        return {
            **self.network.model_dump(include=names),
            "step_size": rates,
            "n_steps": n_steps,
        }

    def attributes(self) -> dict[str, Any]:
        """Return what a report tells of it."""
        rates = np.atleast_1d(self.rates)
        optimizer = get_optimizer(self.network.optimizer, self.network.momentum, 0.0)
        names = {"loss", "richness", "reduction", "optimizer", "weight_decay"}
        return {
            **self.network.model_dump(include=names),
            "step_size": float(rates[0]),
            "last_step_size": float(rates[self.n_steps - 1 if len(rates) > 1 else 0]),
            "momentum": optimizer.momentum,
            "bias": int(self.network.bias),
        }


def load_inputs(config: DataConfig, loss: str = "squared") -> Data:
    """Load data for networks trained on `loss`; labels are floats, numbers of classes too."""
    loaded = load_data(config)
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


def rate_text(attrs: Any) -> str:
    """Return the rate of the steps, from the attributes of a dataset."""
    first, last = attrs["step_size"], attrs.get("last_step_size", attrs["step_size"])
    return f"rate {first:g}" if first == last else f"rates from {first:.3g} to {last:.3g}"


def training_sentence(attrs: Any) -> str:
    """Return what a report adds where training is more than gradient descent on plain networks."""
    text = ""
    if attrs.get("bias", 0):
        text += " Every layer has biases."
    if attrs.get("optimizer", "sgd") == "momentum":
        text += f" A step keeps {attrs['momentum']:g} of the one before (momentum)."
    if attrs.get("weight_decay", 0.0):
        text += (
            f" Weight decay takes the share rate × {attrs['weight_decay']:g} of all weights at "
            "every step, whatever the width."
        )
    richness = attrs.get("richness", 1.0)
    if richness != 1:
        text += (
            f" Outputs are divided by γ₀ = {richness:g}, and rates multiplied by its square: "
            "features move less the smaller it is."
        )
    return text


def constant_loss(y: np.ndarray, loss: str, reduction: str) -> float:
    """Return the training loss of the best answer that is the same for all inputs."""
    if loss == "squared":
        each = float(np.square(y - y.mean(axis=0)).reshape(len(y), -1).sum(axis=1).mean())
    elif loss == "cross-entropy":
        shares = np.unique(y, return_counts=True)[1] / len(y)
        each = float(entr(shares).sum())
    else:
        shares = (y > 0).mean(axis=0)
        each = float(np.sum(entr(shares) + entr(1 - shares)))
    return each * (len(y) if reduction == "sum" else 1)
