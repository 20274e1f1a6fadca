"""Configuration of the study `atoms`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meanfield.dictionary.descent import MOST
from meanfield.dictionary.extract import MOST_ATOMS
from meanfield.workbench.config import Count, Listed, Positive, Section, Step
from meanfield.workbench.sections.data import LearningConfig


class AtomsSection(Section):
    """The networks, how they are cooled, and how their atoms are looked for."""

    n_particles: Count = Field(256, description="Neurons per network.")
    n_replicas: Listed = Field(
        5, description="Networks with independent noise, over which atoms must agree."
    )
    cool_steps: Step = Field(
        2000,
        description="Steps after run.n_steps during which the temperature falls geometrically, "
        "from the last problem.temperature to cool_to. At low temperature neurons crowd at their "
        "atoms.",
    )
    cool_to: Positive = Field(1e-5, description="Temperature of the last step.")
    looks: Listed = Field(
        4,
        description="Times at which atoms are looked for: after run.n_steps, at the end, and "
        "evenly in between; the end alone if 1.",
    )
    target: Literal["auto", "labels", "network", "rest"] = Field(
        "auto",
        description="What atoms are refit to. labels undoes the bias of the penalty and needs "
        "many data; network shows what the network itself is made of; rest gives the minimiser of "
        "the training objective, which networks tend to as the temperature goes to zero.",
    )
    max_atoms: Count | None = Field(
        None, description=f"Largest number of atoms; {MOST_ATOMS} by default, at rest {MOST}."
    )
    threshold: Positive | None = Field(
        None,
        description="Threshold of the count S̄ beside S* from the target's Hermite coefficients; by "
        "default the parts are counted that can carry an atom under the penalty problem.l2.",
    )
    image: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = Field(
        None, description="Height and width of the inputs if they are images; 8 × 8 for digits."
    )


class AtomsConfig(LearningConfig):
    """Configuration of the study `atoms`."""

    atoms: AtomsSection = AtomsSection()
