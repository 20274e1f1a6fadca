"""A sweep as a study: the units of all points of a grid, and every headline number over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import ConfigError, DivergenceError
from meanfield.statistics.estimate import Estimate, Note
from meanfield.statistics.estimate_parts import BOUND, BOUNDS, in_common
from meanfield.studies import get_study
from meanfield.studies.sweep.axes import Point, coordinate, points_of, shown_point
from meanfield.studies.sweep.config import SWEEP, SweepConfig, sweep_config
from meanfield.studies.sweep.report import report
from meanfield.workbench.config import StudyConfig
from meanfield.workbench.digest import Digests
from meanfield.workbench.executors.calls import in_words
from meanfield.workbench.sections.data import loaded_once
from meanfield.workbench.study import FAILURE, Arrays, Outcome, Plan, Study, Unit

if TYPE_CHECKING:
    import xarray as xr

#: Letters of a digest in the name of a unit.
_LETTERS = 20


@dataclass(frozen=True)
class _Placed:
    """A point of the grid: its plan, and its units by their keys in the sweep."""

    point: Point
    plan: Plan
    keys: Mapping[str, str]  # of the point's own plan -> of the sweep

    def outcome(self, results: Mapping[str, Arrays]) -> Mapping[str, Estimate] | str:
        """Return the headline numbers, or why there are none."""
        own = {key: results[name] for key, name in self.keys.items()}
        for arrays in own.values():
            if FAILURE in arrays:
                return str(arrays[FAILURE])
        try:
            return self.plan.combine(own).numbers
        except (ValueError, TypeError, ArithmeticError, MemoryError) as error:
            return in_words(error)


def sweep_of(name: str) -> Study:
    """Return the sweep of a study, itself a study."""
    late = ("over", *get_study(name).late)
    return replace(STUDY, config=sweep_config(name), late=late)


def prepare(config: SweepConfig) -> Plan:
    """Check every point of the grid; the units are those of all points, equal ones once.

    A unit is named by a digest of what it is called with, so that it is found again in any grid.
    """
    study, axes = get_study(config.of), config.over
    units: dict[str, Unit] = {}
    placed, plans = [], []
    digests = Digests()
    with loaded_once():
        for point in points_of(axes):
            own = config.at(point)
            plan = _prepared(study, own, point)
            found = digests.units(plan.units, repr((study.name, own.model_dump(), plan.data)))
            keys = {unit.key: f"{unit.key}-{found[unit.key][:_LETTERS]}" for unit in plan.units}
            for unit in plan.units:
                needs = {argument: keys[key] for argument, key in unit.needs.items()}
                label = f"{shown_point(point)}: {unit.label}"
                renamed = replace(unit, key=keys[unit.key], needs=needs, label=label, optional=True)
                units.setdefault(keys[unit.key], renamed)
            placed.append(_Placed(point, plan, keys))
            plans.append(plan)
    return Plan(
        list(units.values()),
        partial(combine, study, axes, placed),
        # Units whose data are others have other names.
        data="",
        record=_in_common([plan.record for plan in plans]),
        timed=all(plan.timed for plan in plans),
    )


def _prepared(study: Study, config: StudyConfig, point: Point) -> Plan:
    try:
        return study.prepare(config)
    except (ConfigError, DivergenceError, MemoryError) as error:
        raise ConfigError(f"grid point {shown_point(point)}: {error}") from None


def _in_common(records: Sequence[Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    """Return the record of the data if all points have the same."""
    return records[0] if all(record == records[0] for record in records) else None


def combine(
    study: Study,
    axes: Mapping[str, list[Any]],
    placed: Sequence[_Placed],
    results: Mapping[str, Arrays],
) -> Outcome:
    """Put every headline number of all points onto the grid; those of a point that failed lack."""
    outcomes = [at.outcome(results) for at in placed]
    failures = {
        shown_point(at.point): found
        for at, found in zip(placed, outcomes, strict=True)
        if isinstance(found, str)
    }
    if len(failures) == len(placed):
        point, why = next(iter(failures.items()))
        raise ConfigError(f"Every grid point failed; the first, {point}: {why}")
    found = [{} if isinstance(numbers, str) else dict(numbers) for numbers in outcomes]
    dataset = _dataset(axes, found)
    whys = ["" if isinstance(numbers, dict | Mapping) else numbers for numbers in outcomes]
    shape = [len(values) for values in axes.values()]
    dataset[FAILURE] = (list(axes), np.array(whys, dtype=str).reshape(shape))
    dataset.attrs |= {"study": study.name, "axes": list(axes)}
    notes = tuple(Note("failed", f"{point}: {why}") for point, why in failures.items())
    numbers = {
        "points": Estimate(float(len(placed)), label="Grid points"),
        "failed": Estimate(float(len(failures)), notes=notes, label="Grid points that failed"),
    }
    for at, here in zip(placed, found, strict=True):
        where = shown_point(at.point)
        for key, number in here.items():
            numbers[f"{key} at {where}"] = replace(number, label=f"{number.label} at {where}")
    return Outcome(dataset, numbers)


def _dataset(axes: Mapping[str, list[Any]], found: Sequence[Mapping[str, Estimate]]) -> xr.Dataset:
    """Return every headline number over the grid, NaN where it is lacking."""
    import xarray as xr

    shape = [len(values) for values in axes.values()]
    coordinates = {key: coordinate(values) for key, values in axes.items()}
    names = dict.fromkeys(name for numbers in found for name in numbers)
    dataset = xr.Dataset(coords={key: (key, values) for key, values in coordinates.items()})
    taken = {BOUND, FAILURE, *axes}
    for name in names:
        there = [numbers[name] for numbers in found if name in numbers]
        lacking = Estimate(float("nan"), level=there[0].level)
        each = [numbers.get(name, lacking) for numbers in found]
        value, low, high = (np.reshape([getattr(one, p) for one in each], shape) for p in BOUNDS)
        said = in_common(there, {"notes": ()})  # which are of a point, in the summary
        over = replace(Estimate(0.0, **said), value=value, low=low, high=high)
        # The dimension of intervals is called `bound`, and so is a headline number.
        free = f"{name}_number" if name in taken else name
        dataset[free] = over.to_xarray(list(axes))
    return dataset


STUDY = Study(SWEEP, SweepConfig, {}, prepare, report, result="sweep.nc")
