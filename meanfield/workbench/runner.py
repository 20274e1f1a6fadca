"""Run a study so that nothing finished is ever lost, and the end does not depend on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from meanfield.errors import ConfigError
from meanfield.flow.cost import elapsed_seconds, in_words
from meanfield.flow.minibatch import BATCH_SIZE
from meanfield.system.progress import Bar
from meanfield.system.threads import cores, fixed_blas
from meanfield.workbench.config import StudyConfig, path_keys
from meanfield.workbench.executors.calls import Call, Executor
from meanfield.workbench.executors.local import LocalExecutor
from meanfield.workbench.folder import FINGERPRINT, Stamp, StudyFolder, claim
from meanfield.workbench.held import Held, blamed
from meanfield.workbench.outputs import write_config, write_data, write_outputs
from meanfield.workbench.sections.data import with_batches
from meanfield.workbench.study import FAILURE, Arrays, Plan, Study, failed

_WORTH_SAYING, _LONG = 60, 1200


@fixed_blas()
def run_study(
    study: Study,
    config: StudyConfig,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    executor: Executor | None = None,
    progress: Bar | None = None,
    note: Callable[[str], None] | None = None,
    drawn: bool = True,
) -> dict[str, Any]:
    """Run a study into the folder `out`; return the summary, as in ``summary.json``.

    Every finished unit is written at once, so that a run which was killed at any moment and is
    started again with `resume` ends with the same bits as one that was not; on a new folder
    `resume` makes no difference. Units run here, one after the other, by default. `note` is called
    before the work with each caution about the data; the report has them too. Without figures and
    report, if it is not to be `drawn`, the folder is none of a finished study.
    """
    plan = study.prepare(config)
    settings = config.model_dump(mode="json", exclude={"title"})
    stamp = Stamp(study.name, settings, plan.data, late=(*study.late, *path_keys(config)))
    with claim(out, stamp, resume=resume) as folder:
        write_config(folder.path, config)
        if plan.record is not None:
            write_data(folder.path, {**plan.record, FINGERPRINT: plan.data})
            if note is not None:
                for caution in plan.record["notes"]:
                    note(caution)
        place, bar = executor or LocalExecutor(), progress or Bar("")
        held = folder.held_units(plan.units)
        if note is not None and (expected := _duration(study, config, plan, held)):
            note(expected)
        results, seconds = _run_units(plan, held, folder, place, bar)
        with blamed(plan.units, held):
            outcome = plan.combine(results)
        return write_outputs(
            folder.path, study, config, outcome, seconds, spread=place.spread if drawn else None
        )


def _duration(study: Study, config: StudyConfig, plan: Plan, held: Mapping[str, Held]) -> str:
    """Say how long the rest takes, and how much less minibatches would; nothing if it is short."""
    own = _seconds(plan, held)
    if not plan.timed or own < _WORTH_SAYING:
        return ""
    text = f"This takes {in_words(own)}"
    if (other := with_batches(config) if own > _LONG else None) is not None:
        with suppress(ConfigError):
            less = _seconds(study.prepare(other), {})
            if less < own / 2:
                text += f"; with run.batch_size = {BATCH_SIZE} {in_words(less)}"
    return f"{text}."


def _seconds(plan: Plan, held: Mapping[str, Held]) -> float:
    rest = sum(unit.weight for unit in plan.units if unit.key not in held)
    return elapsed_seconds(rest, cores())


def _urgency(plan: Plan) -> dict[str, float]:
    """Return the work of the longest chain that begins with each unit, by key."""
    after = dict.fromkeys((unit.key for unit in plan.units), 0.0)
    chain = {}
    for unit in reversed(plan.units):  # each stands after those that it needs
        chain[unit.key] = unit.weight + after[unit.key]
        for key in unit.needs.values():
            after[key] = max(after[key], chain[unit.key])
    return chain


def _run_units(
    plan: Plan, held: Mapping[str, Held], folder: StudyFolder, executor: Executor, bar: Bar
) -> tuple[dict[str, Arrays], float]:
    """Return the arrays of every unit by key, and the seconds that they took in all."""
    results = {key: unit.arrays for key, unit in held.items()}
    seconds = sum(unit.seconds for unit in held.values())
    total = sum(unit.weight for unit in plan.units)
    finished = sum(unit.weight for unit in plan.units if unit.key in held)
    left = [unit for unit in plan.units if unit.key not in held]
    urgency = _urgency(plan)
    read = {key: held[key] for unit in left for key in unit.needs.values() if key in held}

    def advance(call: Call, share: float) -> None:
        bar.label = call.unit.label
        bar(finished + share * call.unit.weight, total)

    def ready() -> list[Call]:
        """Take out what can be run now; what needs a unit that failed fails with it."""
        nonlocal left, finished
        calls, later = [], []
        for unit in left:
            needed = [key for key in unit.needs.values() if key in results]
            lost = [key for key in needed if FAILURE in results[key]]
            if lost:
                results[unit.key] = results[lost[0]]
                finished += unit.weight
            elif len(needed) < len(unit.needs):
                later.append(unit)
            else:
                inputs = {name: results[key] for name, key in unit.needs.items()}
                place = os.fspath(folder.checkpoint(unit.key).absolute())
                calls.append(Call(unit, inputs, place, urgency[unit.key]))
        left = later
        return calls

    with blamed(plan.units, read):
        for call, done in executor.run(ready, advance):
            key = call.unit.key
            if done.failure:
                # Nothing is kept of it: resuming tries again.
                results[key] = failed(done.failure)
            else:
                results[key] = folder.save_unit(key, done.arrays, done.seconds)
            seconds += done.seconds
            finished += call.unit.weight
    return results, seconds
