"""The study `errors`: where the error of a trained network comes from, and what to increase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from meanfield.chaos.response.predict import prediction_seconds
from meanfield.decomposition import intermediates
from meanfield.decomposition.assemble import assemble_budget
from meanfield.decomposition.error_budget import COMPONENTS, ErrorBudget
from meanfield.decomposition.error_plan import ErrorPlan, ErrorSettings, plan_errors
from meanfield.decomposition.truncated_target import TruncatedTarget, truncate_target
from meanfield.errors import ConfigError
from meanfield.flow.cost import evaluation_seconds
from meanfield.problem import Problem
from meanfield.problem.data import Data
from meanfield.statistics.estimate import Estimate, Note
from meanfield.studies.errors.report import LABELS, ErrorsHeadline, report
from meanfield.workbench.config import Count, Listed, Positive, Section, Step, named_keys
from meanfield.workbench.sections.data import LearningConfig, build_data, data_plan
from meanfield.workbench.sections.learning import as_fields
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

_AROUND = "a factor 32 around the budget's by default; the budget's and its double are added."


class ErrorsSection(Section):
    """The budget, and how its causes are told apart. The training time is run.n_steps."""

    n_data: Count | None = Field(
        None,
        description="Training data n of the budget; by default as many as the data table makes, "
        "or for data without a known target a quarter of the rows.",
    )
    n_particles: Count = Field(ErrorSettings.n_particles, description="Particles N of the budget.")
    n_atoms: Step = Field(
        ErrorSettings.n_atoms or 0,
        description="Atoms S that are kept; 0 keeps all particles. Changing S or the threshold of "
        "a finished study redoes only the last step.",
    )
    n_replicas: Annotated[Listed, Field(ge=4)] = Field(
        ErrorSettings.n_replicas,
        description="Training sets, each with its own noise; intervals are over them.",
    )
    data_counts: list[Count] | None = Field(None, description=f"Sizes n of the law: {_AROUND}")
    particle_counts: list[Count] | None = Field(None, description=f"Sizes N of the law: {_AROUND}")
    atom_counts: list[Count] | None = Field(
        None, description="Sizes S of the law; powers of two by default."
    )
    n_population: Count = Field(
        ErrorSettings.n_population,
        description="Inputs that stand for the population of a known target (a Sobol sequence, "
        "rounded up to a power of two).",
    )
    long_particles: Count | None = Field(
        None,
        description="Particles of the population's long-time network, whose outputs are time "
        "averages; twice the largest N, and at least 1024, by default. Training sets of other "
        "sizes than the budget's have an eighth, but at least 128 or half.",
    )
    path_particles: Count | None = Field(
        None,
        description="Particles of the mean-field network at finite time; 16 times the largest N "
        "by default. Half of them go on beyond four times run.n_steps.",
    )
    settle_steps: Count | None = Field(
        None,
        description="First round of the stopping rule; two relaxation times 1/l2 by default. Each "
        "further round is twice as long.",
    )
    tolerance: Positive = Field(
        ErrorSettings.tolerance,
        description="Stopping rule: the time average of the outputs over a round differs from "
        "that over the round before by less than this part of its norm.",
    )
    threshold: Positive = Field(
        ErrorSettings.threshold,
        description="Hermite terms of the target are kept where their coefficient exceeds this "
        "times that of the activation.",
    )
    degree: Count | None = Field(
        None, description="Largest degree of the Hermite expansion; that of a polynomial, else 6."
    )
    n_test: Count = Field(
        ErrorSettings.n_test,
        description="Held-out inputs, where the data table makes none of its own.",
    )
    predict: bool = Field(
        ErrorSettings.predict,
        description="Predict the part of the particle number by linear response too, with nothing "
        "fitted, on at most four of the training sets.",
    )


class ErrorsConfig(LearningConfig):
    """Configuration of the study `errors`."""

    errors: ErrorsSection = ErrorsSection()


def make_plan(config: ErrorsConfig, data: Data, problem: Problem) -> ErrorPlan:
    """Check the configuration; a target with real labels is known in closed form."""
    known = data.target is not None and data.info["labels"] == "real"
    if not known and problem.X_test is None:
        key = "n_test" if "n_test" in config.data.model_dump() else "test_fraction"
        raise ConfigError(
            "Without a known target the errors are measured on held-out rows; raise "
            f"data.{key} above 0."
        )
    options = config.errors.model_dump()
    options["n_atoms"] = options["n_atoms"] or None
    with named_keys(config, "errors", "run", "problem", target="data", problem="problem"):
        return plan_errors(
            problem,
            config.scheme(problem),
            data.target if known else None,
            ErrorSettings(**options),
            inputs=data.info["inputs"] if known else "gaussian",
        )


def prepare(config: ErrorsConfig) -> Plan:
    """Check the configuration and make the units of work."""
    return plan_on(config, *build_data(config))


def as_numbers(problem: Problem) -> Problem:
    """Return the problem with the squared loss; classes are learned as ±1, or one output each."""
    if problem.loss.name == "squared":
        return problem
    y, y_test = problem.targets, problem.targets_test
    if not problem.vector_output:
        y, y_test = y[:, 0], None if y_test is None else y_test[:, 0]
    return problem.replace(loss="squared", y=y, y_test=y_test)


def plan_on(config: ErrorsConfig, data: Data, problem: Problem) -> Plan:
    """Check the configuration; every stage of every replica is a unit.

    Errors are split in L²: with another loss than the squared one, networks learn with that here.
    """
    loss, problem = problem.loss.name, as_numbers(problem)
    plan = make_plan(config, replace(data, y=problem.y, y_test=problem.y_test), problem)
    with named_keys(config, "errors", "problem", target="data"):
        # What is estimated from data refuses nothing, and takes its time.
        truncated = truncate_target(plan) if plan.closed_form else None
    each = evaluation_seconds(problem, plan.scheme.dtype)
    costs = {stage: each * cost for stage, cost in plan.costs.items()}
    cost = costs["population"]
    # What a finished study may be reopened with a change of is no part of the work before it.
    late = ("n_atoms", "threshold", "degree", "n_replicas")
    last = replace(plan, **{key: getattr(ErrorSettings, key) for key in late})
    early = replace(last, atom_counts=())
    label, whole = "population network", {"plan": early}
    units = [Unit("population", intermediates.population, whole, label, weight=cost)]
    before = ["population"] * plan.n_replicas
    # Stage by stage, so that the bar tells how far each one is.
    for stage, function, label, argument in (
        ("sets", intermediates.training_sets, "training sets", "population"),
        ("dynamics", intermediates.dynamics, "time and width", "sets"),
        # The sizes are in the name: other sizes are other work, and nothing else is redone.
        (_atoms(plan), intermediates.few_atoms, "few atoms", "network"),
    ):
        keys = [f"{stage}-{r:04d}" for r in range(plan.n_replicas)]
        weight = costs[stage.split("-")[0]]
        for r, key in enumerate(keys):
            text = f"{label}, replica {r + 1} of {plan.n_replicas}"
            part = last if argument == "network" else early
            arguments, needs = {"plan": part, "replica": r}, {argument: before[r]}
            units.append(Unit(key, function, arguments, text, needs, weight))
        before = keys
    weight = prediction_seconds(problem, plan.scheme) / 2
    for r in plan.predicted:
        text = f"prediction, training set {r + 1} of {len(plan.predicted)}"
        arguments = {"plan": plan, "replica": r}
        units.append(
            Unit(_prediction(r), intermediates.predicted_chaos, arguments, text, {}, weight)
        )
    return data_plan(
        config, data, problem, units, lambda results: combine(plan, truncated, results, loss)
    )


def _prediction(replica: int) -> str:
    return f"prediction-{replica:04d}"


def _atoms(plan: ErrorPlan) -> str:
    return f"atoms-{'-'.join(map(str, plan.atom_counts))}"


def combine(
    plan: ErrorPlan,
    truncated: TruncatedTarget | None,
    results: Mapping[str, Arrays],
    loss: str = "squared",
) -> Outcome:
    """Join the stages; results of other numbers of atoms play no part.

    `loss` is that of the configuration, in place of which networks learned with the squared one.
    """
    sets, dynamics, atoms = (
        [results[f"{stage}-{r:04d}"] for r in range(plan.n_replicas)]
        for stage in ("sets", "dynamics", _atoms(plan))
    )
    predictions = [results[_prediction(r)] for r in plan.predicted]
    truncated = truncate_target(plan) if truncated is None else truncated
    budget = assemble_budget(
        plan, truncated, results["population"], sets, dynamics, atoms, predictions
    )
    dataset = budget.dataset
    if loss != "squared":
        dataset = dataset.assign_attrs(loss_given=loss)
    return Outcome(dataset, _headline(budget).numbers())


_NO_ERROR = Note("zero", "The total error is zero in a replica: nothing is relative to it.")


def _headline(budget: ErrorBudget) -> ErrorsHeadline:
    components: dict[str, Any] = as_fields(budget.score, held_out=True)
    for name in COMPONENTS:
        part = replace(budget.components[name], label=LABELS[name])
        # What is exactly 0 is so by construction and has no uncertainty.
        components[name] = part if part.value > 0 else Estimate(part.value, label=part.label)
    cautions = tuple(Note("caution", text) for text in budget.notes)
    laws = {"statistical": budget.statistical_rate, "chaos": budget.chaos_rate}
    rate = replace(budget.decay.rate, label="Rate at which the optimisation error decays")
    difference = replace(budget.decay.difference, label="Rate less that from a wider start")
    contributions = {
        name: replace(part.contribution, label=f"Contribution of {LABELS[name]}")
        for name, part in budget.components.items()
    }
    gains = {f"doubling {option}": gain for option, gain in budget.advice.gain.items()}
    gains |= {f"half the {name}": gain for name, gain in budget.advice.halved.items()}
    ratio = None
    if budget.chaos_predicted is not None:
        ratio = Estimate.from_xarray(budget.dataset["chaos_ratio"])[-1]
        ratio = replace(ratio, label="Measured over predicted chaos component, largest N")
    return ErrorsHeadline(
        total=replace(budget.total, notes=cautions, label="Total error"),
        **components,
        contribution=contributions,
        slope={
            name: replace(fit.slope, label=f"Slope of {LABELS[name]}, squared")
            for name, fit in laws.items()
        },
        rate=rate if rate.known else None,
        rate_difference=difference if rate.known else None,
        gain={
            how.split()[-1]: replace(gain, label=f"Squared error that {how} takes off")
            for how, gain in gains.items()
        },
        chaos_predicted=budget.chaos_predicted,
        chaos_ratio=ratio,
        closure=Estimate(
            budget.closure,
            notes=() if np.isfinite(budget.closure) else (_NO_ERROR,),
            label="Closure of the decomposition, relative",
        ),
    )


EXAMPLE: dict[str, Any] = {
    "study": "errors",
    "title": "Where the error comes from: a teacher of two neurons",
    "data": {
        "source": "teacher",
        "n_features": 3,
        "n_atoms": 2,
        "bias": False,
        "min_angle": 40.0,
        "n_train": 64,
        "n_test": 500,
    },
    "run": {"n_steps": 100, "dtype": "float32"},
    "errors": {
        "n_particles": 32,
        "n_atoms": 4,
        "n_replicas": 8,
        "n_population": 1024,
        "long_particles": 256,
        "path_particles": 1024,
    },
}

LATE = ("n_atoms", "atom_counts", "threshold", "degree", "n_replicas", "predict")

STUDY = Study(
    "errors", ErrorsConfig, EXAMPLE, prepare, report, tuple(f"errors.{key}" for key in LATE)
)
