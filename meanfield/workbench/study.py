"""What a study is: independent units of work, a step that combines them, and a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True)
class Number:
    """A headline number with its interval.

    Parameters
    ----------
    label : str
        What it is, in a few words.
    value : float
        The estimate.
    interval : pair of float, or None
        Confidence interval; None for a number without uncertainty. One with a bound that is not
        finite, as when there was only one replica to judge from, becomes None.
    level : float, default: 0.95
        Confidence level of the interval.
    expected : float or None
        What theory says, where it says something.
    notes : list of str
        Cautions that belong beside the number.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    level: float = 0.95
    expected: float | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.interval is not None:
            low, high = float(self.interval[0]), float(self.interval[1])
            known = math.isfinite(low) and math.isfinite(high)
            object.__setattr__(self, "interval", (low, high) if known else None)


@dataclass(frozen=True)
class Outcome:
    """What a study found.

    Parameters
    ----------
    dataset : xarray.Dataset
        All of it.
    numbers : mapping of str to Number
        The headline.
    """

    dataset: xr.Dataset
    numbers: Mapping[str, Number]


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
    """

    units: list[Unit]
    combine: Callable[[Mapping[str, Arrays]], Outcome]
    data: str


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
