"""The headline numbers of a study: by name in Python, by key in ``summary.json``."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from meanfield.errors import CheckpointError
from meanfield.statistics.estimate import Estimate
from meanfield.system.records import Real, Record

Summary = dict[str, Any]
_Part = Literal["value", "low", "high", "expected"]


class NumberRecord(Record):
    """A headline number in ``summary.json``; see `Estimate.to_summary`."""

    label: str
    value: Real | None
    interval: tuple[Real, Real] | None
    level: Real
    expected: Real | None
    resampled: str = ""
    notes: list[str]
    note_codes: list[str] | None = None  # absent in earlier versions
    open: dict[_Part, Real | Literal["inf", "-inf"]] = Field(default_factory=dict)  # or absent

    @model_validator(mode="after")
    def _one_code_a_note(self) -> Self:
        if self.note_codes is not None and len(self.note_codes) != len(self.notes):
            raise ValueError("note_codes and notes differ in number")
        return self


class PictureRecord(Record):
    """The first figure of a report."""

    name: str
    caption: str


class SummaryRecord(Record):
    """What ``summary.json`` holds."""

    study: str
    title: str
    version: str
    numbers: dict[str, NumberRecord]
    picture: PictureRecord | None = None


def family(pattern: str) -> Any:
    """Return a field of a `Headline` that holds any number of estimates by name.

    Their keys in ``summary.json`` are `pattern` with the name for ``{}``: ``"{}_slope"``.
    """
    return field(default_factory=dict, metadata={"pattern": pattern})


@dataclass(frozen=True)
class Headline:
    """The headline numbers of a study, by name; a study derives its own.

    Each field of the derived class, a frozen dataclass with ``kw_only=True``, is an `Estimate`
    under its own name; an `Estimate` or None, by default None; or a `family`. Numbers are shown in
    the order of the fields.

    Examples
    --------
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Rates(Headline):
    ...     loss: Estimate
    ...     slope: dict[str, Estimate] = family("{}_slope")
    >>> list(Rates(loss=Estimate(0.1), slope={"coupling": Estimate(-1.0)}).numbers())
    ['loss', 'coupling_slope']
    """

    def numbers(self) -> dict[str, Estimate]:
        """Return the estimates that are there, by their keys in ``summary.json``.

        A ValueError tells of a name within a family that makes the key of another field.
        """
        found: dict[str, Estimate] = {}
        for item in fields(self):
            held, pattern = getattr(self, item.name), item.metadata.get("pattern")
            if pattern is None:
                found |= {} if held is None else {item.name: held}
                continue
            for name, estimate in held.items():
                key = pattern.format(name)
                if self._place(key) != (item.name, name):
                    raise ValueError(f"{name!r} in {item.name!r} has the key {key!r} of another.")
                found[key] = estimate
        return found

    @classmethod
    def read(cls, summary: Summary) -> Self:
        """Return the headline that a summary holds; a CheckpointError tells of other numbers."""
        held: dict[str, Any] = {item.name: {} for item in fields(cls) if item.metadata}
        wrong = []
        for key, saved in summary["numbers"].items():
            place = cls._place(key)
            if place is None:
                wrong.append(key)
            elif place[1] is None:
                held[place[0]] = Estimate.from_summary(saved)
            else:
                held[place[0]][place[1]] = Estimate.from_summary(saved)
        wrong += [i.name for i in fields(cls) if i.default is MISSING and i.name not in held]
        if wrong:
            raise CheckpointError(
                f"summary.json is not one of this version of the study (see {wrong[0]!r}); run the "
                "study again into a new folder."
            )
        return cls(**held)

    @classmethod
    def _place(cls, key: str) -> tuple[str, str | None] | None:
        """Return the field of a key, and the name within a family; the longest pattern counts."""
        found = []
        for item in fields(cls):
            pattern = item.metadata.get("pattern", item.name)
            if match := re.fullmatch(pattern.replace("{}", "(.+)"), key):
                name = match[1] if item.metadata else None
                found.append((name is None, len(pattern), item.name, name))
        return max(found)[2:] if found else None
