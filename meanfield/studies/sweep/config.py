"""The configuration of a sweep: that of its study, and the axes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, PrivateAttr, create_model

from meanfield.errors import ConfigError
from meanfield.studies import STUDIES, get_study
from meanfield.studies.sweep.axes import Point, checked_axes, shown_point
from meanfield.workbench.config import StudyConfig, of_study, parse, with_key

#: The name of every sweep, as if it were a study.
SWEEP = "sweep"


class SweepConfig(StudyConfig):
    """What a sweep has beside the configuration of its study."""

    of: str = Field(description="The study that is done at every point of the grid.")
    over: Annotated[dict[str, list[Any]], BeforeValidator(checked_axes)] = Field(
        description="The axes: for every key of the study the values that it takes."
    )
    _folder: Path = PrivateAttr(Path())

    def model_post_init(self, context: Any) -> None:
        """Remember the folder where files that the axes name are looked for."""
        self._folder = (context or {}).get("folder", Path())

    def at(self, point: Point) -> StudyConfig:
        """Return the configuration of the study at a point; an error names the point."""
        content = self.model_dump(exclude={"of", "over"}) | {"study": self.of}
        try:
            for key, value in point.items():
                parts = key.split(".")
                if not all(parts) or parts[0] in ("study", "title"):
                    raise ConfigError(f"axis {key!r} is no key; write one such as 'problem.l2'.")
                content = with_key(content, parts, value, f"axis {key!r}")
            return parse(get_study(self.of).config, content, folder=self._folder)
        except ConfigError as error:
            raise ConfigError(f"grid point {shown_point(point)}: {error}") from None


@cache
def sweep_config(study: str) -> type[SweepConfig]:
    """Return the configuration of a sweep of a study."""
    bases: Any = (SweepConfig, get_study(study).config)
    about = f"A sweep of the study {study}."
    return create_model(f"SweepOf{study.title()}", __base__=bases, __doc__=about)


def read_sweep(
    content: dict[str, Any],
    over: Mapping[str, Any],
    study: str | None,
    *,
    path: object,
    folder: str | os.PathLike[str],
) -> SweepConfig:
    """Return the configuration of a sweep from the content of a file of a study, or of a sweep.

    What is given, axes and study, goes before what stands in the file of a sweep; a file that names
    no study is of an experiment. Relative paths start at `folder`; errors call the file `path`.
    """
    named = content.get("study", "experiment")
    is_sweep = named == SWEEP
    of = study or (content.get("of") if is_sweep else named)
    if of not in STUDIES:
        get_study(str(of))  # tells the nearest name
        raise ConfigError(f"A sweep is of a study, not of {of!r}; choose one of the studies.")
    axes = checked_axes(over or content.get("over", {}))
    inside = {key: value for key, value in content.items() if key not in ("of", "over")}
    inside["study"] = content.get("of") if is_sweep else named
    shared = {"experiment": get_study("experiment").config.model_fields}
    model = get_study(of).config
    inside = of_study(inside, model, of, path, shared)
    try:
        parse(model, inside, folder=folder)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    whole = {**inside, "study": SWEEP, "of": of, "over": axes}
    return cast("SweepConfig", parse(sweep_config(of), whole, folder=folder))
