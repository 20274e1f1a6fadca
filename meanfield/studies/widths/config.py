"""Configuration of the study `widths`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meanfield import checks
from meanfield.deep.parametrizations import PARAMETRIZATIONS, get_parametrization
from meanfield.problem import ACTIVATIONS
from meanfield.workbench.config import (
    ActivationNames,
    Count,
    Listed,
    Positive,
    PowerOfTwo,
    Section,
    accepted_by,
    named_activations,
)
from meanfield.workbench.sections.data import DataConfig
from meanfield.workbench.sections.deep_inputs import (
    Bias,
    Decay,
    DeepLoss,
    Momentum,
    OptimizerName,
    Rate,
    Richness,
)


class NetworkSection(Section):
    """The networks and their training."""

    activations: ActivationNames = Field(
        ["silu", "tanh", "relu"],
        description=f"Activations: {', '.join(ACTIVATIONS)}; or "
        '"module:name" of your own, as in problem.activation.',
    )
    parametrizations: list[Annotated[str, accepted_by(get_parametrization)]] = Field(
        list(PARAMETRIZATIONS), description="Among sp, ntp, ip and mup."
    )
    widths: list[Count] = Field(
        [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096], description="Units per hidden layer."
    )
    depth: Listed = Field(3, description="Hidden layers.")
    n_seeds: Listed = Field(10, description="Networks of each kind, with seeds seed, seed + 1, ...")
    loss: DeepLoss = "squared"
    bias: Bias = False
    step_size: Rate = 0.1
    richness: Richness = 1.0
    n_steps: Count = Field(1000, description="Gradient steps.")
    optimizer: OptimizerName = "sgd"
    momentum: Momentum = None
    weight_decay: Decay = 0.0
    reduction: Literal["mean", "sum"] = Field(
        "mean", description="Whether the loss is the mean or the sum over the inputs."
    )
    unit_pixels: bool = Field(
        True, description="Scale every input to length √d, so that its entries have size one."
    )
    dtype: Literal["float64", "float32"] = Field("float64", description="Precision.")
    tol: Positive = Field(
        1e-3,
        description="Wide networks follow only the directions that training meets, up to this "
        "relative size; the errors in the outputs that were measured are below it.",
    )

    @property
    def networks(self) -> tuple[list[str], list[str]]:
        """Activations and parametrizations by their names, each once."""
        schemes = dict.fromkeys(get_parametrization(name).name for name in self.parametrizations)
        return list(named_activations(self.activations)), list(schemes)


class LimitSection(Section):
    """The infinite-width limit of µP that is drawn beside the networks."""

    n_samples: PowerOfTwo = Field(
        4096, description="Samples of every random variable, a power of two."
    )
    n_replicas: Annotated[int, Field(ge=0, le=checks.MOST_LISTED)] = Field(
        4, description="Independent simulations; 0 leaves the limit out."
    )
    max_rank: Count = Field(1024, description="Most directions kept per matrix and side.")


class VerdictSection(Section):
    """The rule behind the verdicts."""

    from_width: Count = Field(
        64, description="Exponents are fitted from this width on; the least is over layers."
    )


class WidthsConfig(DataConfig):
    """Configuration of the study `widths`."""

    network: NetworkSection = NetworkSection()
    limit: LimitSection = LimitSection()
    verdict: VerdictSection = VerdictSection()
