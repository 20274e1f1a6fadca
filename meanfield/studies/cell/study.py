"""The study `cell`: the learning cell of an architecture and a target."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from meanfield.cell import parts_around, train_cooled
from meanfield.dictionary import Dictionary, extract_dictionary
from meanfield.dictionary.hermite_expansion import expansion_degree
from meanfield.flow.cost import training_seconds
from meanfield.flow.scheme import Scheme
from meanfield.problem import Problem
from meanfield.problem.data import Data
from meanfield.problem.targets import Target
from meanfield.statistics.estimate import Estimate
from meanfield.studies.cell.report import CellHeadline, report
from meanfield.system.progress import Progress, SharedProgress
from meanfield.workbench.config import Count, Positive, Section, named_keys
from meanfield.workbench.sections.atom_bounds import (
    ASSUMED,
    MOST_DEGREES,
    bound_estimate,
    explained,
    possible_sizes,
    refuse_affine,
)
from meanfield.workbench.sections.data import (
    LearningConfig,
    build_data,
    data_plan,
    network_fits,
)
from meanfield.workbench.sections.learning import guess, learned
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

# About what all but the training takes.
_SECONDS = 5.0


class CellSection(Section):
    """The network that is trained, and the searches."""

    n_particles: Count = Field(
        400,
        description="Neurons of the network; it is trained for run.n_steps while the temperature "
        "falls to problem.temperature, or as that schedule says.",
    )
    threshold: Positive | None = Field(
        None,
        description="Threshold of the bound S̄; by default the parts of the target are counted that "
        "can carry an atom under the penalty problem.l2.",
    )
    degree: Count | None = Field(None, description="Largest degree of the Hermite expansion.")
    max_degree: Annotated[int, Field(ge=1, le=MOST_DEGREES)] | None = Field(
        None, description="Largest degree in the search for depths."
    )


class CellConfig(LearningConfig):
    """Configuration of the study `cell`."""

    cell: CellSection = CellSection()


def prepare(config: CellConfig) -> Plan:
    """Check the configuration and make the units of work."""
    return plan_on(config, *build_data(config))


def plan_on(
    config: CellConfig, data: Data, problem: Problem, *, network: str | None = None
) -> Plan:
    """Check the configuration; everything is one unit.

    Of the network that a unit of the study `atoms` has trained and taken apart, the rest is found.
    """
    refuse_affine(problem)
    gaussian = data.info.get("inputs") == "gaussian" and problem.n_outputs == 1
    with named_keys(config, "run", "problem"):
        scheme = config.scheme(problem)
    network_fits("cell", problem, scheme, config.cell.n_particles, 1)
    if gaussian and config.cell.degree is not None:
        with named_keys(config, "cell"):
            expansion_degree(data.target, problem.n_features, config.cell.degree)
    arguments = {
        "problem": problem,
        "scheme": scheme,
        "target": data.target if gaussian else None,
        **config.cell.model_dump(exclude={"n_particles"}),
    }
    if network is None:
        arguments["n_particles"] = config.cell.n_particles
        made = scheme.n_steps * config.cell.n_particles
        cost = _SECONDS + training_seconds(problem, scheme, made)
        units = [Unit("cell", compute, arguments, "weight, atoms and depth", weight=cost)]
    else:
        needs = {"network": network}
        units = [Unit("cell", around_saved, arguments, "weight and depth", needs, _SECONDS)]
    return data_plan(
        config, data, problem, units, lambda results: combine(problem, gaussian, results["cell"])
    )


def compute(
    problem: Problem,
    scheme: Scheme,
    target: Target | None,
    n_particles: int,
    progress: Progress,
    **options: Any,
) -> Arrays:
    """Train a network and compute the triple with its evidence."""
    training = training_seconds(problem, scheme, scheme.n_steps * n_particles)
    bar = SharedProgress(progress, training + _SECONDS)
    particles = train_cooled(problem, scheme, n_particles, progress=bar.part(training))
    dictionary = extract_dictionary(particles, problem, seed=scheme.seed)
    found = around(problem, scheme, target, dictionary, **options)
    return found | {"network": particles.coordinates[0]}


def around(
    problem: Problem,
    scheme: Scheme,
    target: Target | None,
    dictionary: Dictionary | SavedDictionary,
    max_degree: int | None,
    **options: Any,
) -> Arrays:
    """Compute what a cell has beside its dictionary; what is not there is left out."""
    assert scheme.init is not None  # a configuration always has one
    cell = parts_around(
        problem,
        problem if target is None else target,
        scheme.init,
        dictionary,
        max_degree,
        {"d": None, "seed": scheme.seed, **options},
    )
    depth, bound, moments = cell.depth, cell.threshold, cell.w_star.log_moments
    arrays = {
        "log_moments": moments.to_xarray(["k"]).values,
        "order": cell.w_star.order.to_xarray().values,
        "n_atoms": np.array(dictionary.n_atoms),
        "confident": np.array(dictionary.confident),
        "n_atoms_set": np.array(dictionary.n_atoms_set),
        "residual_size": dictionary.sizes,
        "residual": dictionary.residual,
        "compression_gap": np.array(dictionary.compression_gap),
        "n_atoms_explanation": np.array(dictionary.statement),
        "statement": np.array(cell.statement),
    }
    if depth is not None:
        # Degree, and the most orbits in a fibre.
        orbits = [[step.degree, max(step.orbits)] for step in depth.evidence]
        arrays["orbits"] = np.array(orbits, dtype=int).reshape(-1, 2)
        arrays["depth_explanation"] = np.array(depth.explanation)
        for name, value in (("orbit", depth.depth), ("variety", depth.variety.depth)):
            if value is not None:
                arrays[f"{name}_depth"] = np.array(value)
    if bound is not None:
        arrays["bound"] = np.array([bound.low, bound.number, bound.high])
        arrays["bound_explanation"] = np.array(bound.explanation)
    return arrays


class SavedDictionary(NamedTuple):
    """What the study `atoms` keeps of a dictionary, as far as a cell shows it."""

    n_atoms: int
    confident: bool
    n_atoms_set: tuple[int, ...]
    sizes: np.ndarray
    residual: np.ndarray
    compression_gap: float
    statement: str

    @classmethod
    def of(cls, network: Arrays) -> SavedDictionary:
        """Return that of the end of a network's unit."""
        residual = network["residual"][-1]
        sizes = np.flatnonzero(~np.isnan(residual))
        return cls(
            n_atoms=int(network["n_atoms"][-1]),
            confident=bool(network["confident"][-1]),
            n_atoms_set=(int(network["least"][-1]), int(network["most"][-1])),
            sizes=sizes,
            residual=residual[sizes],
            compression_gap=float(network["compression_gap"][-1]),
            statement=str(network["statement"][-1]),
        )


def around_saved(
    problem: Problem, scheme: Scheme, target: Target | None, network: Arrays, **options: Any
) -> Arrays:
    """Compute the triple of a network whose atoms were found by the study `atoms`."""
    found = around(problem, scheme, target, SavedDictionary.of(network), **options)
    return found | {"network": network["particle_trained"]}


def combine(problem: Problem, gaussian: bool, found: Arrays) -> Outcome:
    """Name the parts of the triple; of inputs that are not `gaussian` the count assumes it."""
    import xarray as xr

    value, low, high = found["order"]
    order = Estimate(value, low, high, label="Order of w*")
    orbit, variety = (
        int(found[name]) if name in found else float("nan")
        for name in ("orbit_depth", "variety_depth")
    )
    explanation = str(found.get("depth_explanation", "There are no atoms."))
    bound = None
    if "bound" in found:
        label = f"Count S̄ beside S* from the labels, {ASSUMED}"
        label = "Count S̄ beside S* from the target" if gaussian else label
        bound = bound_estimate(found["bound"], found["bound_explanation"], label)
    size, gap = int(found["n_atoms"]), float(found["compression_gap"])
    possible, why = found["n_atoms_set"], str(found["n_atoms_explanation"])
    headline = CellHeadline(
        **learned(problem, found["network"][None]),
        order=order,
        orbit_depth=Estimate(orbit, notes=explained(explanation), label="Orbit depth D*_orb"),
        variety_depth=Estimate(variety, label="Variety depth D*_var"),
        n_atoms=possible_sizes(size, possible[0], possible[-1], why),
        compression_gap=Estimate(gap, label="Part of the network that S* atoms leave out"),
        bound=bound,
    )
    dataset = xr.Dataset(
        {
            "log_moments": Estimate(*found["log_moments"].T).to_xarray(["k"]),
            "residual": ("size", found["residual"]),
            "orbits": (("depth_step", "pair"), found.get("orbits", np.empty((0, 2), dtype=int))),
        },
        {"k": np.arange(1, len(found["log_moments"]) + 1), "size": found["residual_size"]},
        {
            "problem": repr(problem),
            "guess": guess(problem),
            "statement": str(found["statement"]),
            "confident": int(found["confident"]),
            "n_atoms": size,
        },
    )
    return Outcome(dataset, headline.numbers())


EXAMPLE: dict[str, Any] = {
    "study": "cell",
    "title": "The learning cell of tanh and two neurons",
    "data": {
        "source": "teacher",
        "n_features": 2,
        "n_atoms": 2,
        "bias": False,
        "min_angle": 30.0,
        "weight_norm": 2.0,
        "n_train": 500,
    },
    "cell": {"n_particles": 200},
}

STUDY = Study("cell", CellConfig, EXAMPLE, prepare, report)
