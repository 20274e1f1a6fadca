"""Configuration of the experiment: one problem and one run, which all of its parts share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from meanfield.studies.atoms.config import AtomsSection
from meanfield.studies.cell.study import CellSection
from meanfield.studies.chaos.study import ChaosSection
from meanfield.studies.errors.study import ErrorsSection
from meanfield.workbench.config import Positive, Section
from meanfield.workbench.sections.data import LearningConfig

Part = Literal["chaos", "atoms", "errors", "cell"]


class PenaltiesSection(Section):
    """Other strengths of the penalty, for the number of atoms against it."""

    factors: list[Positive] = Field(
        [0.1, 0.3, 3.0, 10.0],
        description="For each a network is trained with this factor on problem.l2 and on the "
        "temperature; none if empty.",
    )


class ExperimentConfig(LearningConfig):
    """Configuration of an experiment, which the study of each of its parts reads too."""

    parts: Annotated[list[Part], Field(min_length=1)] = Field(
        ["chaos", "atoms", "errors", "cell"],
        description="What is done, each part under its table below: chaos (how fast networks "
        "approach infinite width), atoms (what they consist of), errors (where the error comes "
        "from), cell (the learning cell, from the atoms).",
    )
    chaos: ChaosSection = ChaosSection()
    atoms: AtomsSection = AtomsSection()
    errors: ErrorsSection = ErrorsSection()
    cell: CellSection = CellSection()
    penalties: PenaltiesSection = PenaltiesSection()

    def of_part(self, part: Part) -> dict[str, Any]:
        """Return the content of the configuration of one part."""
        content = {"study": part, "title": self.title, "seed": self.seed}
        content["data"] = self.data.model_dump()
        content["problem"] = self.problem.model_dump()
        content["run"] = self.run.model_dump()
        content[part] = getattr(self, part).model_dump()
        return content
