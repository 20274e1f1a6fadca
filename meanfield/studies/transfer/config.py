"""Configuration of the study `transfer`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meanfield import checks
from meanfield.deep.optimizers import OPTIMIZERS
from meanfield.deep.parametrizations import get_parametrization
from meanfield.problem import ACTIVATIONS, Activation, get_activation
from meanfield.workbench.config import (
    ActivationName,
    Count,
    Listed,
    Positive,
    Section,
    accepted_by,
)
from meanfield.workbench.sections.data import DataConfig
from meanfield.workbench.sections.deep_inputs import DeepLoss


def _optimizer(name: str) -> str:
    return checks.choice("optimizer", name, OPTIMIZERS)


class NetworkSection(Section):
    """The networks and their training."""

    parametrizations: list[Annotated[str, accepted_by(get_parametrization)]] = Field(
        ["mup", "sp", "ntp", "ip"], description="Among sp, ntp, ip and mup.", min_length=1
    )
    optimizers: list[Annotated[str, accepted_by(_optimizer)]] = Field(
        ["sgd"], description=f"Among {', '.join(OPTIMIZERS)}.", min_length=1
    )
    widths: list[Count] = Field(
        [64, 128, 256, 512, 1024, 2048, 4096], description="Units per hidden layer, two or more."
    )
    widest_adam: Count = Field(
        1024,
        description="Adam takes the widths up to this one: it moves every entry of a matrix on its "
        "own, which costs more.",
    )
    activation: ActivationName = Field(
        "tanh", description=f'{", ".join(ACTIVATIONS)}; or "module:name", as in problem.activation.'
    )
    depth: Listed = Field(3, description="Hidden layers.")
    loss: DeepLoss = "squared"
    n_seeds: Listed = Field(4, description="Networks of each kind, with seeds seed, seed + 1, ...")
    n_steps: Count = Field(20, description="Gradient steps.")
    reduction: Literal["mean", "sum"] = Field(
        "mean", description="Whether the loss is the mean or the sum over the inputs."
    )
    unit_pixels: bool = Field(
        True, description="Scale every input to length √d, so that its entries have size one."
    )
    dtype: Literal["float64", "float32"] = Field("float32", description="Precision.")
    tol: Positive = Field(
        1e-3,
        description="Wide networks follow only the directions that training meets, up to this "
        "relative size.",
    )

    @property
    def schemes(self) -> list[str]:
        """Parametrizations by their names, each once."""
        return list(dict.fromkeys(get_parametrization(p).name for p in self.parametrizations))

    @property
    def own_activation(self) -> Activation:
        """The activation itself."""
        return get_activation(self.activation)

    def widths_of(self, optimizer: str) -> list[int]:
        """Return the widths of networks that are trained by an optimizer."""
        widths = sorted(set(self.widths))
        return [n for n in widths if optimizer != "adam" or n <= self.widest_adam]


class RatesSection(Section):
    """The base rates that are tried, on a grid that is walked from a start."""

    start: Positive = Field(
        0.1, description="Where the narrowest networks begin; others begin at their best rate."
    )
    adam_start: Positive = Field(0.01, description="The same for Adam.")
    factor: Annotated[float, Field(gt=1.0, le=10.0)] = Field(
        1.4142135623730951, description="From one rate to the next."
    )
    beyond: Listed = Field(4, description="Rates on either side of the best.")
    most: Annotated[int, Field(ge=1, le=checks.MOST_LISTED)] = Field(
        60, description="Rates that are tried at most for a network."
    )


class TransferConfig(DataConfig):
    """Configuration of the study `transfer`."""

    network: NetworkSection = NetworkSection()
    rates: RatesSection = RatesSection()
