"""The study `errors`: where the error of a trained network comes from, and what to increase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from meanfield.decomposition import intermediates
from meanfield.decomposition.assemble import assemble_budget
from meanfield.decomposition.error_budget import COMPONENTS, ErrorBudget
from meanfield.decomposition.error_plan import ErrorPlan, ErrorSettings, plan_errors
from meanfield.decomposition.truncated_target import TruncatedTarget, truncate_target
from meanfield.errors import ConfigError
from meanfield.problem import Problem
from meanfield.problem.data import Data
from meanfield.statistics.estimate import Estimate, Note
from meanfield.studies.errors.headline import ErrorsHeadline
from meanfield.studies.errors.report import LABELS, report
from meanfield.workbench.config import Count, Positive, Section, Step, named_keys
from meanfield.workbench.sections.data import (
    LearningConfig,
    build_data,
    data_fingerprint,
    describe_data,
)
from meanfield.workbench.study import Arrays, Context, Outcome, Plan, Study, Unit

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
        ErrorSettings.n_atoms,
        description="Atoms S that are kept; 0 keeps all particles. Changing S or the threshold of "
        "a finished study redoes only the last step.",
    )
    n_replicas: Annotated[int, Field(ge=4)] = Field(
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
        description="Particles of the long-time networks, whose outputs are time averages; twice "
        "the largest N, and at least 1024, by default.",
    )
    path_particles: Count | None = Field(
        None,
        description="Particles of the mean-field network at finite time; 16 times the largest N "
        "by default.",
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


class ErrorsConfig(LearningConfig):
    """Configuration of the study `errors`."""

    errors: ErrorsSection = Field(default_factory=ErrorsSection)


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
    """Check the configuration; every stage of every replica is a unit."""
    data, problem = build_data(config)
    plan = make_plan(config, data, problem)
    with named_keys(config, "errors", "problem", target="data"):
        truncated = truncate_target(plan)
    count, sizes = plan.n_replicas, "-".join(map(str, plan.atom_counts))
    costs = plan.costs
    units = [
        Unit(
            "population",
            find_population,
            {"plan": plan},
            "population network",
            weight=costs["population"],
            context=True,
        )
    ]
    for r in range(count):
        arguments = {"plan": plan, "replica": r}
        number = f"{r + 1} of {count}"
        units += [
            Unit(
                f"sets-{r:04d}",
                average_sets,
                arguments,
                f"training sets, replica {number}",
                {"population": "population"},
                weight=costs["sets"],
                context=True,
            ),
            Unit(
                f"dynamics-{r:04d}",
                follow,
                arguments,
                f"time and width, replica {number}",
                {"sets": f"sets-{r:04d}"},
                weight=costs["dynamics"],
                context=True,
            ),
            # The sizes are in the name: other sizes are other work, and nothing else is redone.
            Unit(
                f"atoms-{sizes}-{r:04d}",
                compress_network,
                arguments,
                f"few atoms, replica {number}",
                {"network": f"dynamics-{r:04d}"},
                weight=costs["atoms"],
                context=True,
            ),
        ]
    # Stage by stage, so that the bar tells how far each one is.
    order = ("population", "sets", "dynamics", "atoms")
    units.sort(key=lambda unit: order.index(unit.key.split("-")[0]))
    return Plan(
        units,
        lambda results: combine(plan, truncated, results),
        data_fingerprint(problem),
        describe_data(config, data),
    )


def find_population(plan: ErrorPlan, context: Context) -> Arrays:
    """Settle the population network."""
    return intermediates.population(plan, context.progress)


def average_sets(plan: ErrorPlan, replica: int, population: Arrays, context: Context) -> Arrays:
    """Average the long-time networks of one replica's training sets."""
    return intermediates.training_sets(plan, replica, population, context.progress)


def follow(plan: ErrorPlan, replica: int, sets: Arrays, context: Context) -> Arrays:
    """Follow one replica's training at finite time and width."""
    return intermediates.dynamics(plan, replica, sets, context.progress)


def compress_network(plan: ErrorPlan, replica: int, network: Arrays, context: Context) -> Arrays:
    """Compress one replica's network to few atoms."""
    return intermediates.few_atoms(plan, replica, network, context.progress)


def combine(plan: ErrorPlan, truncated: TruncatedTarget, results: Mapping[str, Arrays]) -> Outcome:
    """Join the stages; results of other numbers of atoms play no part."""
    sizes = "-".join(map(str, plan.atom_counts))
    budget = assemble_budget(
        plan,
        truncated,
        results["population"],
        *(
            [results[f"{stage}-{r:04d}"] for r in range(plan.n_replicas)]
            for stage in ("sets", "dynamics", f"atoms-{sizes}")
        ),
    )
    return Outcome(budget.dataset, _headline(budget).numbers())


def _headline(budget: ErrorBudget) -> ErrorsHeadline:
    components = {}
    for name in COMPONENTS:
        part = replace(budget.components[name], label=LABELS[name])
        # What is exactly 0 is so by construction and has no uncertainty.
        components[name] = part if part.value > 0 else Estimate(part.value, label=part.label)
    laws = {"statistical": budget.statistical_rate, "chaos": budget.chaos_rate}
    decay = budget.decay
    return ErrorsHeadline(
        total=replace(
            budget.total,
            notes=tuple(Note("caution", text) for text in budget.notes),
            label="Total error",
        ),
        **components,
        slope={
            name: replace(fit.slope, label=f"Slope of {LABELS[name]}, squared")
            for name, fit in laws.items()
        },
        rate=replace(decay.rate, label="Rate at which the optimisation error decays")
        if decay.rate.known
        else None,
        rate_difference=replace(decay.difference, label="Rate less that from a wider start")
        if decay.rate.known
        else None,
        gain={
            option: replace(gain, label=f"Squared error that doubling {option} takes off")
            for option, gain in budget.advice.gain.items()
        },
        closure=Estimate(budget.closure, label="Closure of the decomposition, relative"),
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
    "problem": {"bias": False, "l2": 0.05, "temperature": 0.005},
    "run": {"step_size": 0.2, "n_steps": 60, "dtype": "float32"},
    "errors": {
        "n_particles": 32,
        "n_atoms": 4,
        "n_replicas": 8,
        "n_population": 1024,
        "long_particles": 256,
        "path_particles": 1024,
    },
}

STUDY = Study(
    "errors",
    ErrorsConfig,
    EXAMPLE,
    prepare,
    report,
    late=tuple(
        f"errors.{key}" for key in ("n_atoms", "atom_counts", "threshold", "degree", "n_replicas")
    ),
)
