"""What a study is: independent units of work, a step that combines them, and a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from meanfield.errors import CheckpointError
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from meanfield.workbench.config import StudyConfig

Arrays = dict[str, np.ndarray]
Summary = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """A piece of work whose result is kept on its own, so that it is never done twice.

    `function` is defined at the top level of a module and called as ``function(**arguments,
    **results of needs)``; it returns arrays by name, the same bits for the same arguments. One that
    takes `progress` gets a callback ``progress(done, total)``; one that takes `checkpoint` a file
    for its own progress, in which it finds what an earlier run kept.
    """

    key: str  # the name of its file in the folder of the study
    function: Callable[..., Arrays]
    arguments: Mapping[str, Any]  # anything that can travel to another machine
    label: str  # what a person reads beside the progress bar
    needs: Mapping[str, str] = field(default_factory=dict)  # argument -> unit that gives its arrays
    weight: float = 1.0  # its share of the work, for the progress bar


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
                f"The summary is not one of this version of the study (see {wrong[0]!r}); run the "
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


@dataclass(frozen=True)
class Outcome:
    """What a study found: all of it, and the headline by key of ``summary.json``."""

    dataset: xr.Dataset
    numbers: Mapping[str, Estimate]


@dataclass(frozen=True)
class Plan:
    """A study that is checked and ready to run."""

    units: list[Unit]  # each after those that it needs
    combine: Callable[[Mapping[str, Arrays]], Outcome]  # from the arrays of every unit by key
    data: str  # fingerprint of the data, which the configuration only points to
    record: Mapping[str, Any] | None = None  # what data.json says of them; None without data


@dataclass(frozen=True)
class Finding:
    """The answer, in one or two plain sentences."""

    text: str


@dataclass(frozen=True)
class Heading:
    """The title of a part of the report."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph in plain words."""

    text: str


@dataclass(frozen=True)
class Table:
    """A small table: the first row is the header."""

    rows: list[list[str]]
    caption: str


@dataclass(frozen=True)
class Figure:
    """A figure of the report, and of the folder, where `name` is that of its files.

    ``plot(dataset, ax) -> ax`` draws it; the caption says in plain words what one sees.
    """

    name: str
    plot: Callable[[xr.Dataset, Axes], Axes]
    caption: str


Block = Finding | Heading | Text | Table | Figure


@dataclass(frozen=True)
class Study:
    """A kind of study.

    `late` are dotted keys of the configuration that a finished folder may be reopened with a change
    of: those that no unit depends on, but the combination, or only units whose own key tells.
    """

    name: str  # as on the command line
    config: type[StudyConfig]
    example: Mapping[str, Any]  # the configuration that `meanfield new` prints; runs as it stands
    prepare: Callable[[Any], Plan]  # checks everything that can be checked before the work
    report: Callable[[Summary, xr.Dataset], list[Block]]  # from saved results alone
    late: tuple[str, ...] = ()
