"""What a study is: independent units of work, a step that combines them, and a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from meanfield.statistics.estimate import Estimate
from meanfield.workbench.blocks import Block
from meanfield.workbench.headline import Summary

if TYPE_CHECKING:
    import xarray as xr

    from meanfield.workbench.config import StudyConfig

Arrays = dict[str, np.ndarray]


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
    # Its share of the work, for the progress bar: of what trains networks, seconds on one core.
    weight: float = 1.0
    # Whether the rest goes on where it fails; its arrays are then `failed` of what was wrong.
    optional: bool = False


#: The only array of an optional unit that failed: the sentence that tells why.
FAILURE = "failure"


def failed(why: str) -> Arrays:
    """Return the arrays of a unit that failed."""
    return {FAILURE: np.array(why)}


@dataclass(frozen=True)
class Outcome:
    """What a study found: all of it, and the headline by key of ``summary.json``."""

    dataset: xr.Dataset | xr.DataTree
    numbers: Mapping[str, Estimate]


class Trained(NamedTuple):
    """Where a unit leaves a network at the end of its training, for others to take up.

    It is ``networks[place]`` of the unit's arrays, coordinates (N, C).
    """

    unit: str
    place: int
    n_particles: int


@dataclass(frozen=True)
class Plan:
    """A study that is checked and ready to run."""

    units: list[Unit]  # each after those that it needs
    combine: Callable[[Mapping[str, Arrays]], Outcome]  # from the arrays of every unit by key
    data: str  # fingerprint of the data, which the configuration only points to
    record: Mapping[str, Any] | None = None  # what data.json says of them; None without data
    trained: Sequence[Trained] = ()  # networks that it leaves, by replica
    timed: bool = False  # whether the weights of its units are seconds on one core


@dataclass(frozen=True)
class Study:
    """A kind of study.

    `late` are dotted keys of the configuration that a finished folder may be reopened with a change
    of: units that come out otherwise are done again, all others are kept.
    """

    name: str  # as on the command line
    config: type[StudyConfig]
    example: Mapping[str, Any]  # the configuration that `meanfield new` prints; runs as it stands
    prepare: Callable[[Any], Plan]  # checks everything that can be checked before the work
    report: Callable[[Summary, Any], list[Block]]  # from saved results alone
    late: tuple[str, ...] = ()
    result: str = "result.nc"  # the file of everything that it found
