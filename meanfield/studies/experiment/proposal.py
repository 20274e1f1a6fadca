"""The first experiment on a table of one's own: what `meanfield init` writes."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from meanfield import checks
from meanfield.errors import ConfigError
from meanfield.flow.cost import elapsed_seconds, in_words
from meanfield.flow.minibatch import BATCH_SIZE
from meanfield.flow.pilot import Pilot, pilot
from meanfield.problem import SOURCES, Problem
from meanfield.problem.data import Data
from meanfield.problem.sources.survey import Survey, Task, survey
from meanfield.studies.experiment.config import ExperimentConfig
from meanfield.studies.experiment.study import plan_on, prepare
from meanfield.system.progress import Progress, no_progress
from meanfield.workbench.config import parse
from meanfield.workbench.toml import to_toml

_MINUTES = 6.0
# Beyond this the search for atoms is left out where it is most of it.
_MOST_MINUTES = 20.0
# More rows or larger sizes may take so many times what the least does, where that is much.
_WORTH = 1.5
# Rows that are kept, the most that can be afforded; and from when on gradients are of batches.
_ROWS = (20000, 10000, 5000, 2000, 1000, 500, 250)
# Rows of two plans, more than those of a batch in every part, that tell what others take.
_PLANNED_ROWS = (4 * BATCH_SIZE, 8 * BATCH_SIZE)
_MOST_FULL_ROWS, _MOST_FULL_NUMBERS = 2000, 200_000
#: The path of the limit, and what is measured against it, are kept for all rows and times.
_MOST_KEPT = 2**27
_MOST_TEST_ROWS = 2000
_TEST_FRACTION = 0.2
_COOL_TO = 1e-5

_LONG, _PATH, _ERROR_REPLICAS = 256, 1024, 4


class Sizes(NamedTuple):
    """How much is measured."""

    counts: list[int]
    n_replicas: int
    n_networks: int
    cool_steps: int
    factors: list[float]


#: From what is wanted to what can nearly always be afforded.
_SIZES = (
    Sizes([32, 64, 128, 256], 24, 5, 2000, [0.1, 0.3, 3.0, 10.0]),
    Sizes([32, 64, 128, 256], 12, 3, 1500, [0.3, 3.0]),
    Sizes([16, 32, 64, 128], 12, 3, 1000, [0.3, 3.0]),
    Sizes([16, 32, 64], 8, 3, 500, []),
)


@dataclass(frozen=True)
class Proposal:
    """An experiment on a table, and why its settings are what they are.

    Attributes
    ----------
    config : ExperimentConfig
        The configuration; its path is as it was given.
    survey : Survey
        What the columns are.
    pilot : Pilot
        The short runs behind step size, penalty and temperature.
    problem : Problem
        All rows, of which the configuration may keep some.
    minutes, full_minutes : float
        What the experiment will take on two cores, about, and what it would without minibatches.
    """

    config: ExperimentConfig
    survey: Survey
    pilot: Pilot
    problem: Problem
    minutes: float
    full_minutes: float

    def toml(self) -> str:
        """Return the configuration as a commented file.

        Returns
        -------
        str
            What `meanfield run` reads, with the findings as comments on top.
        """
        comments = "\n".join(_commented(line) for line in self._findings())
        return f"{comments}\n\n{to_toml(self.config)}"

    def _findings(self) -> list[str]:
        problem, found, best = self.problem, self.pilot, self.pilot.chosen
        held_out = 0 if problem.X_test is None else len(problem.X_test)
        inputs = "input" if problem.n_features == 1 else "inputs"
        rows = [
            f"{trial.l2:<9g} {trial.temperature:<12.6g} {trial.n_steps:<6d} {trial.score.value:.3f}"
            f"{'   <- taken' if trial is best else ''}"
            for trial in found.trials
        ]
        return [
            f"One experiment on {' '.join(str(self.survey.options['path']).split())}. Run it with:",
            "  meanfield run THIS_FILE --out FOLDER",
            f"It takes {in_words(60 * self.minutes)} on two cores.",
            "",
            *self.survey.findings,
            f"{problem.n_data} rows to train on, {held_out} held out; "
            f"{problem.n_features} {inputs}, scaled so that E|x|² = 1.",
            *self._rows_and_batches(),
            "",
            "Short runs on parts of the training rows, each scored on the part that it lacked "
            f"(step size {found.step_size:g}):",
            f"  l2        temperature  steps  {best.score.label}",
            *(f"  {row}" for row in rows),
            "Taken are the largest penalty and temperature that fall behind the best by less than "
            "0.01 or one standard error: with them networks forget their start soonest and need "
            "the fewest atoms.",
        ]

    def _rows_and_batches(self) -> list[str]:
        """Say what was done about the size of the table."""
        kept = getattr(self.config.data, "n_samples", None)
        batch, said = self.config.run.batch_size, []
        if kept:
            said.append(
                f"There are more rows than can be measured in that time: {kept} of them are kept "
                "to train on (data.n_samples; more take longer, and are learned better)."
            )
        if batch:
            said.append(
                f"Every step takes {batch} of the rows, drawn anew (run.batch_size): with all rows "
                f"in every step it would be {in_words(60 * self.full_minutes)}."
            )
        return said


def propose(
    path: str | Path,
    target: str | int | None = None,
    *,
    task: Task = "auto",
    seed: int = 0,
    progress: Progress = no_progress,
) -> Proposal:
    """Look at a table, and propose an experiment on it in which networks learn.

    The columns decide the loss, what is standardized, dropped or filled in; short runs
    (`pilot`) the step size, penalty, temperature and number of steps; and a model of the cost
    (particles × rows × steps) the sizes, so that the experiment takes minutes on two cores.

    Parameters
    ----------
    path : str or Path
        A csv file, or an npz archive of ``X`` and ``y``.
    target : str or int, optional
        The label column by name or position, the last one by default; of an archive the name of
        the array of labels.
    task : {"auto", "regression", "classification"}, default: "auto"
        What labels are. Texts, two numbers, and up to ten whole numbers in a row are classes.
    seed : int, default: 0
        Seed of the short runs and of the experiment: the same table gives the same proposal.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    Proposal
        The configuration, its reasons, and both as one file, ``proposal.toml()``.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such file or column, or it is no table to learn from; the sentence says why.
    DivergenceError
        No step size keeps the networks finite.

    Examples
    --------
    >>> import pathlib, tempfile, numpy as np, meanfield as mf
    >>> table = pathlib.Path(tempfile.mkdtemp()) / "mine.csv"
    >>> x = np.random.default_rng(0).normal(size=(40, 2))
    >>> rows = np.column_stack([x, np.tanh(2 * x[:, 0])])
    >>> np.savetxt(table, rows, delimiter=",", header="p,q,price", comments="")
    >>> "price" in mf.propose(table, target="price").toml()
    True
    """
    seed = checks.seed(seed)
    seen = survey(path, target, task)
    data = {**seen.options, "standardize": "unit", "split_seed": seed}
    if not seen.held_out:
        data["test_fraction"] = round(min(_TEST_FRACTION, _MOST_TEST_ROWS / seen.n_rows), 4)
    loss = {0: "squared", 2: "logistic"}.get(seen.classes, "cross-entropy")
    table = SOURCES[seen.source](**data)
    for note in table.info.get("notes", ()):
        warnings.warn(note, stacklevel=2)
        seen = replace(seen, findings=[*seen.findings, f"Note: {note}"])
    problem = table.problem(loss=loss)
    batch = _batch_size(problem)
    found = pilot(problem, batch_size=batch, seed=seed, progress=progress)
    run = {"step_size": found.step_size, "n_steps": found.n_steps}
    content = {
        "study": "experiment",
        "title": f"{Path(path).stem}: {seen.target}",
        "seed": seed,
        "data": {"source": seen.source, **data},
        "problem": {"loss": loss, "l2": found.l2, "temperature": _rounded(found.temperature)},
        "run": run if batch is None else run | {"batch_size": batch},
    }
    try:
        config, minutes = _affordable(content, table, problem, found)
    except ConfigError as error:
        content["parts"] = ["chaos", "atoms", "cell"]
        config, minutes = _affordable(content, table, problem, found)
        left_out = f"The part errors is left out: {error}"
        seen = replace(seen, findings=[*seen.findings, left_out])
    if minutes > _MOST_MINUTES:
        rest = [part for part in config.parts if part not in ("atoms", "cell")]
        other, less = _affordable(content | {"parts": rest}, table, problem, found)
        if less < minutes / 2:
            left_out = (
                f"The parts atoms and cell are left out: with them it takes "
                f"{in_words(60 * minutes)}, most of it for the search for atoms in so many inputs "
                "(name them in parts, on top, to have it done)."
            )
            seen = replace(seen, findings=[*seen.findings, left_out])
            config, minutes = other, less
    prepare(config)
    full = config.model_copy(update={"run": config.run.model_copy(update={"batch_size": None})})
    full_minutes = minutes
    if batch is not None:
        rows = getattr(config.data, "n_samples", None) or problem.n_data
        full_minutes = _minutes_by_rows(full, table, problem)(rows)
    # The path as it was given: it starts at the folder of the file.
    given = config.data.model_copy(update={"path": str(path)})
    config = config.model_copy(update={"data": given})
    return Proposal(config, seen, found, problem, minutes, full_minutes)


def _batch_size(problem: Problem) -> int | None:
    """Return the size of minibatches; None where all rows can be taken in every step."""
    n = problem.n_data
    large = n > _MOST_FULL_ROWS or n * problem.n_features > _MOST_FULL_NUMBERS
    return BATCH_SIZE if large and n >= 4 * BATCH_SIZE else None


def _affordable(
    content: dict[str, Any], table: Data, problem: Problem, found: Pilot
) -> tuple[ExperimentConfig, float]:
    """Return the largest experiment that takes minutes: as many rows first, then the sizes.

    Where even the least takes long, little is saved by it: then what takes hardly longer.
    """
    steps = found.n_steps + 2 * 11 * len(_SIZES[0].counts) * _SIZES[0].n_replicas
    # Batches are drawn from several times as many rows.
    fewest = 4 * content["run"].get("batch_size", 0) or _ROWS[-1]
    most = max(fewest, _MOST_KEPT // (steps * problem.n_outputs))

    def config_of(rows: int, sizes: Sizes) -> ExperimentConfig:
        kept = {"data": content["data"] | ({"n_samples": rows} if rows < problem.n_data else {})}
        config = parse(ExperimentConfig, content | _sections(sizes, found) | kept)
        assert isinstance(config, ExperimentConfig)
        return config

    # The smallest sizes tell whether any are worth a try.
    least = _minutes_by_rows(config_of(problem.n_data, _SIZES[-1]), table, problem)
    choices = sorted({min(problem.n_data, most, max(fewest, rows)) for rows in _ROWS}, reverse=True)
    limit = max(_MINUTES, _WORTH * least(choices[-1]))
    rows = next(n for n in choices if least(n) <= limit)
    for sizes in _SIZES:
        config = config_of(rows, sizes)
        minutes = _minutes_by_rows(config, table, problem)(rows)
        if minutes <= limit:
            break
    return config, minutes


def _minutes_by_rows(
    config: ExperimentConfig, table: Data, problem: Problem
) -> Callable[[int], float]:
    """Return about what an experiment takes on two cores, by training rows: a line through two."""
    few, many = (min(problem.n_data, n) for n in _PLANNED_ROWS)
    minutes = [_planned_minutes(config, table, problem, n) for n in (few, many)]
    slope = (minutes[1] - minutes[0]) / (many - few) if many > few else minutes[0] / few
    return lambda n_rows: max(minutes[0] + slope * (n_rows - few), 0.0)


def _planned_minutes(config: ExperimentConfig, table: Data, problem: Problem, n_rows: int) -> float:
    """Return what the units of a plan take on two cores, on some of the rows."""
    rows = np.linspace(0, problem.n_data - 1, n_rows).astype(int)
    problem = problem.replace(
        X=problem.X[rows],
        y=problem.y[rows],
        l2=config.problem.l2,
        temperature=config.problem.temperature,
    )
    units = plan_on(config, table, problem).units
    return elapsed_seconds(sum(unit.weight for unit in units), 2) / 60


def _sections(sizes: Sizes, found: Pilot) -> dict[str, Any]:
    """Return the tables of the parts."""
    largest = max(sizes.counts)
    return {
        "chaos": {
            "particle_counts": sizes.counts,
            "n_replicas": sizes.n_replicas,
            "cloud_replicas": min(4, sizes.n_replicas),
        },
        # Of the size of the largest systems above: they are the same networks.
        "atoms": {
            "n_particles": largest,
            "n_replicas": sizes.n_networks,
            "cool_steps": sizes.cool_steps,
            "cool_to": min(_COOL_TO, _rounded(found.temperature / 10)),
            "looks": 2,
            # Labels of a table determine few atoms; what networks tend to has a certain number.
            "target": "rest",
        },
        "errors": {
            "n_particles": largest // 4,
            "n_replicas": _ERROR_REPLICAS,
            "long_particles": _LONG,
            "path_particles": _PATH,
            "settle_steps": _settle_steps(found),
        },
        "cell": {"n_particles": largest},
        "penalties": {"factors": sizes.factors},
    }


def _settle_steps(found: Pilot) -> int:
    """Return two relaxation times of the penalty, within bounds."""
    return int(np.clip(math.ceil(2 / (found.l2 * found.step_size)), 100, 1000))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _commented(line: str) -> str:
    """Return a line as comments of at most 96 characters; lines of a table keep their blanks."""
    words = line if line.startswith("  ") else textwrap.fill(" ".join(line.split()), 94)
    return textwrap.indent(words, "# ") if words else "#"
