"""JSON files that are read back: of the declared form to the last entry, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from meanfield.errors import CheckpointError
from meanfield.system.storage import read_file, refusal

Real = Annotated[float, Field(allow_inf_nan=False)]
Kind = TypeVar("Kind")


class Record(BaseModel):
    """The form of a file: strict types, all entries known."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def read_record(path: Path, kind: type[Kind]) -> Kind:
    """Return what a JSON file holds, a `Record` or a dataclass.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    CheckpointError
        The file does not have the form of `kind`; the sentence names it and the entry.
    """
    content = read_file(path)
    try:
        return TypeAdapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))[:60]
        where = f" (see {place!r})" if place else ""
        raise CheckpointError(refusal(path, f"does not hold what its name says{where}")) from None
