"""Configuration of the study `limit`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from meanfield.problem import ACTIVATIONS
from meanfield.studies.limit.joint import JointSection
from meanfield.workbench.config import (
    ActivationNames,
    Count,
    Listed,
    Positive,
    PowerOfTwo,
    Section,
    Step,
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
        ["tanh", "silu"],
        description=f"Activations: {', '.join(ACTIVATIONS)}; or "
        '"module:name" of your own, as in problem.activation.',
    )
    depths: list[Listed] = Field([2, 3], description="Numbers of hidden layers.")
    loss: DeepLoss = "squared"
    bias: Bias = False
    step_size: Rate = 0.05
    richness: Richness = 1.0
    n_steps: Count = Field(1000, description="Gradient steps.")
    batch_size: Count | None = Field(
        None, description="Inputs per step, of an order that is drawn every epoch; all by default."
    )
    optimizer: OptimizerName = "sgd"
    momentum: Momentum = None
    weight_decay: Decay = 0.0
    reduction: Literal["mean", "sum"] = Field(
        "sum", description="Whether the loss is the mean or the sum over the inputs."
    )
    input_length: Positive | None = Field(
        1.0, description="Length that every input is scaled to; leave it out for no scaling."
    )
    weight_variance: list[Positive] = Field(
        [1.0, 1.0, 1.0],
        description="Initial variances of the entries of W¹, of √n Wˡ and of n Wᴸ⁺¹.",
        min_length=3,
        max_length=3,
    )


class LimitSection(Section):
    """The simulation of the infinite-width limit."""

    n_samples: PowerOfTwo = Field(
        4096, description="Samples of each random variable, a power of two."
    )
    n_replicas: Listed = Field(4, description="Independent simulations; error bars are over them.")
    max_rank: Count = Field(512, description="Most directions kept per matrix and side.")
    tol: Positive = Field(1e-3, description="Shorter directions are left out.")


class ConvergenceSection(Section):
    """Finite networks that are compared with the limit."""

    widths: list[Count] = Field(
        [32, 64, 128, 256], description="Units per hidden layer; an empty list leaves this out."
    )
    n_steps: Step = Field(30, description="Gradient steps of these networks.")
    networks_per_unit: Positive = Field(
        20.0, description="Number of networks of a width, divided by the width."
    )
    n_samples: PowerOfTwo = Field(
        16384, description="Samples of the limit that they are compared with."
    )
    n_replicas: Listed = Field(8, description="Its independent simulations.")


class LimitConfig(DataConfig):
    """Configuration of the study `limit`."""

    network: NetworkSection = NetworkSection()
    limit: LimitSection = LimitSection()
    convergence: ConvergenceSection = ConvergenceSection()
    joint: JointSection = JointSection()
