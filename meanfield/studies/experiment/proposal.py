"""The first experiment on a table of one's own: what `meanfield init` writes."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from meanfield import checks
from meanfield.errors import ConfigError
from meanfield.flow.pilot import Pilot, pilot
from meanfield.problem import SOURCES, Problem
from meanfield.problem.sources.survey import Survey, Task, survey
from meanfield.studies.experiment.config import ExperimentConfig
from meanfield.studies.experiment.study import prepare
from meanfield.system.progress import Progress, no_progress
from meanfield.workbench.config import parse
from meanfield.workbench.toml import to_toml

_MINUTES = 6.0
_MOST_ROWS = (2000, 1000, 500, 250)
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
    minutes : float
        What the experiment will take on two cores, about.
    """

    config: ExperimentConfig
    survey: Survey
    pilot: Pilot
    problem: Problem
    minutes: float

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
            f"It takes about {max(1, round(self.minutes))} min on two cores.",
            "",
            *self.survey.findings,
            f"{problem.n_data} rows to train on, {held_out} held out; "
            f"{problem.n_features} {inputs}, scaled so that E|x|² = 1.",
            *([_NO_BATCHES] if getattr(self.config.data, "n_samples", None) else []),
            "",
            "Short runs on parts of the training rows, each scored on the part that it lacked "
            f"(step size {found.step_size:g}):",
            f"  l2        temperature  steps  {best.score.label}",
            *(f"  {row}" for row in rows),
            "Taken are the largest penalty and temperature that fall behind the best by less than "
            "0.01 or one standard error: with them networks forget their start soonest and need "
            "the fewest atoms.",
        ]


_NO_BATCHES = (
    "There are more rows than full gradients can take in that time: n_samples of them are kept. "
    "(Minibatches would have a limit of their own, other than that which rates are measured to.)"
)


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
    """
    seed = checks.seed(seed)
    seen = survey(path, target, task)
    data = {**seen.options, "standardize": "unit", "split_seed": seed}
    if not seen.held_out:
        data["test_fraction"] = round(min(_TEST_FRACTION, _MOST_TEST_ROWS / seen.n_rows), 4)
    loss = {0: "squared", 2: "logistic"}.get(seen.classes, "cross-entropy")
    problem = SOURCES[seen.source](**data).problem(loss=loss)
    found = pilot(problem, seed=seed, progress=progress)
    rows, sections, minutes = _affordable(problem, found)
    if rows < problem.n_data:
        data["n_samples"] = rows
    content = {
        "study": "experiment",
        "title": f"{Path(path).stem}: {seen.target}",
        "seed": seed,
        "data": {"source": seen.source, **data},
        "problem": {"loss": loss, "l2": found.l2, "temperature": _rounded(found.temperature)},
        "run": {"step_size": found.step_size, "n_steps": found.n_steps},
        **sections,
    }
    try:
        config = _checked(content)
    except ConfigError as error:
        content["parts"] = ["chaos", "atoms", "cell"]
        config = _checked(content)
        left_out = f"The part errors is left out: {error}"
        seen = replace(seen, findings=[*seen.findings, left_out])
    # The path as it was given: it starts at the folder of the file.
    given = config.data.model_copy(update={"path": str(path)})
    return Proposal(config.model_copy(update={"data": given}), seen, found, problem, minutes)


def _checked(content: dict[str, Any]) -> ExperimentConfig:
    """Return the configuration of an experiment that can be planned."""
    config = parse(ExperimentConfig, content)
    assert isinstance(config, ExperimentConfig)
    prepare(config)
    return config


def _affordable(problem: Problem, found: Pilot) -> tuple[int, dict[str, Any], float]:
    """Return training rows, sizes and minutes: as many rows first, then the largest sizes."""
    kept = {min(problem.n_data, most): None for most in _MOST_ROWS}
    for rows in kept:
        for sizes in _SIZES:
            minutes = _seconds(problem, rows, found, sizes) / 60
            if minutes <= _MINUTES:
                return rows, _sections(sizes, found), minutes
    return rows, _sections(sizes, found), minutes


def _seconds(problem: Problem, rows: int, found: Pilot, sizes: Sizes) -> float:
    """Return about how long an experiment takes on two cores: particles × rows × steps.

    One neuron at one row costs ``1 + 0.07 d + 0.4 k`` nanoseconds of a processor, which the two
    are shared between at 0.8 of what they can.
    """
    n_steps, largest = found.n_steps, max(sizes.counts)
    reference = 100 * largest
    chaos = n_steps * (sizes.n_replicas * (sum(sizes.counts) + largest) + reference)
    atoms = largest * sizes.n_networks * sizes.cool_steps
    penalties = largest * len(sizes.factors) * (n_steps + sizes.cool_steps)
    # The stages of meanfield/decomposition/error_plan.py, for a quarter of the rows.
    long = 3 * _settle_steps(found) * _LONG
    errors = 6 * long + _ERROR_REPLICAS * (4 * long + 1.65 * n_steps * _PATH)
    per_evaluation = (1 + 0.07 * problem.n_features + 0.4 * problem.n_outputs) * 1e-9 / 1.6
    extractions = 2 * sizes.n_networks + len(sizes.factors)
    return rows * per_evaluation * (chaos + atoms + penalties + errors) + extractions


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
