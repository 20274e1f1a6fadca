"""What a study is: independent units of work, a step that combines them, and a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from meanfield.errors import CheckpointError
from meanfield.statistics.estimate import Estimate
from meanfield.system.progress import Progress, no_progress

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from meanfield.workbench.config import StudyConfig

Arrays = dict[str, np.ndarray]
Summary = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What surrounds the work of a unit; its result does not depend on it.

    Parameters
    ----------
    checkpoint : str or None
        File in which the unit may keep its own progress, and finds what an earlier run kept.
    progress : callable
        To be called as ``progress(done, total)``.
    """

    checkpoint: str | None = None
    progress: Progress = no_progress


@dataclass(frozen=True)
class Unit:
    """A piece of work whose result is kept on its own, so that it is never done twice.

    Parameters
    ----------
    key : str
        Name of its file in the folder of the study.
    function : callable
        Defined at the top level of a module; called as
        ``function(**arguments, **results of needs)`` and returns arrays by name. The same
        arguments give the same bits.
    arguments : mapping
        Plain data, arrays and problems: anything that can travel to another machine.
    label : str
        What a person reads beside the progress bar.
    needs : mapping of str to str, optional
        Argument name -> key of the unit whose arrays it receives.
    weight : float, default: 1.0
        Share of the work, for the progress bar.
    context : bool, default: False
        Whether the function takes a `Context` too, as its argument `context`.
    """

    key: str
    function: Callable[..., Arrays]
    arguments: Mapping[str, Any]
    label: str
    needs: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    context: bool = False


def family(pattern: str) -> Any:
    """Return a field of a `Headline` that holds any number of estimates by name.

    Parameters
    ----------
    pattern : str
        Their keys in ``summary.json``, with ``{}`` for the name: ``"{}_slope"``.

    Returns
    -------
    dataclasses.Field
        A dict, empty by default.
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
        """Return the estimates by their keys in ``summary.json``.

        Returns
        -------
        dict of str to Estimate
            Without those that are None.

        Raises
        ------
        ValueError
            A name within a family makes a key that belongs to another field.
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
        """Return the headline that a summary holds.

        Parameters
        ----------
        summary : dict
            As in ``summary.json``.

        Returns
        -------
        Headline
            Of this class.

        Raises
        ------
        CheckpointError
            The summary holds other numbers than this class has.
        """
        held: dict[str, Any] = {item.name: {} for item in fields(cls) if item.metadata}
        wrong = []
        for key, saved in summary["numbers"].items():
            field_name, name = cls._place(key)
            if field_name is None:
                wrong.append(key)
            elif name is None:
                held[field_name] = Estimate.from_summary(saved)
            else:
                held[field_name][name] = Estimate.from_summary(saved)
        single = [item for item in fields(cls) if not item.metadata]
        wrong += [i.name for i in single if i.default is MISSING and i.name not in held]
        if wrong:
            raise CheckpointError(
                f"The summary is not one of this version of the study (see {wrong[0]!r}); run the "
                "study again into a new folder."
            )
        return cls(**held)

    @classmethod
    def _place(cls, key: str) -> tuple[str | None, str | None]:
        """Return the field of a key, and the name within a family; the longest pattern counts."""
        patterns = {item.name: item.metadata.get("pattern") for item in fields(cls)}
        if key in patterns and patterns[key] is None:
            return key, None
        families = [(pattern, name) for name, pattern in patterns.items() if pattern is not None]
        for pattern, name in sorted(families, key=lambda pair: -len(pair[0])):
            before, after = pattern.split("{}")
            within = key.removeprefix(before).removesuffix(after)
            if within and pattern.format(within) == key:
                return name, within
        return None, None


@dataclass(frozen=True)
class Outcome:
    """What a study found.

    Parameters
    ----------
    dataset : xarray.Dataset
        All of it.
    numbers : mapping of str to Estimate
        The headline, by key of ``summary.json``.
    """

    dataset: xr.Dataset
    numbers: Mapping[str, Estimate]


@dataclass(frozen=True)
class Plan:
    """A study that is checked and ready to run.

    Parameters
    ----------
    units : list of Unit
        In an order in which every unit comes after those that it needs.
    combine : callable
        ``combine(results) -> Outcome``, from the arrays of every unit by key.
    data : str
        Fingerprint of the data, which the configuration only points to.
    record : mapping, optional
        What ``data.json`` says of the data; none for a study without.
    """

    units: list[Unit]
    combine: Callable[[Mapping[str, Arrays]], Outcome]
    data: str
    record: Mapping[str, Any] | None = None


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
    """A figure of the report and of the folder.

    Parameters
    ----------
    name : str
        File name without its ending.
    plot : callable
        ``plot(dataset, ax) -> ax``.
    caption : str
        What one sees, in plain words.
    """

    name: str
    plot: Callable[[xr.Dataset, Axes], Axes]
    caption: str


Block = Finding | Heading | Text | Table | Figure


@dataclass(frozen=True)
class Study:
    """A kind of study.

    Parameters
    ----------
    name : str
        As on the command line.
    config : type of StudyConfig
        Its configuration.
    example : mapping
        Content of the configuration that `meanfield new` prints; runs as it stands.
    prepare : callable
        ``prepare(config) -> Plan``: checks everything that can be checked before the work.
    report : callable
        ``report(summary, dataset) -> list of Block``: the report, from saved results alone.
    late : tuple of str
        Dotted keys of the configuration that a finished folder may be reopened with a change of:
        those that no unit depends on, but the combination, or only units whose own key tells.
    """

    name: str
    config: type[StudyConfig]
    example: Mapping[str, Any]
    prepare: Callable[[Any], Plan]
    report: Callable[[Summary, xr.Dataset], list[Block]]
    late: tuple[str, ...] = ()
