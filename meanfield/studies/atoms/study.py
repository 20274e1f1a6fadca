"""The study `atoms`: train, cool, and find the few atoms that carry the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from meanfield.dictionary import coefficient_threshold_number, dual_certificate, extract_dictionary
from meanfield.dictionary.descent import MOST
from meanfield.dictionary.extract import MOST_ATOMS
from meanfield.dictionary.likelihood import has_likelihood
from meanfield.dictionary.minimiser import no_rest
from meanfield.dictionary.threshold import own_threshold
from meanfield.errors import ConfigError
from meanfield.flow.cost import training_seconds
from meanfield.flow.particles import particles_at
from meanfield.flow.schedule import Geometric
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.identify import canonical
from meanfield.problem import Activation, Problem
from meanfield.problem.data import Data
from meanfield.problem.targets import Target
from meanfield.studies.atoms.arrays import combine, pack, padded, place_covariance
from meanfield.studies.atoms.config import AtomsConfig, AtomsSection
from meanfield.studies.atoms.report import report
from meanfield.system.progress import Progress, SharedProgress
from meanfield.workbench.config import named_keys
from meanfield.workbench.sections.atom_bounds import refuse_affine
from meanfield.workbench.sections.data import build_data, data_plan, network_fits
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Trained, Unit


def prepare(config: AtomsConfig) -> Plan:
    """Check the configuration and make the units of work."""
    return plan_on(config, *build_data(config))


def plan_on(
    config: AtomsConfig, data: Data, problem: Problem, *, trained: Sequence[Trained] = ()
) -> Plan:
    """Check the configuration; make one unit of every network, and one of the bound.

    Networks that are `trained` already, of the same sizes and scheme, are taken up; all or none.
    """
    section = config.atoms
    image = section.image or ([8, 8] if config.data.source == "digits" else None)
    if image is not None and image[0] * image[1] != problem.n_features:
        raise ConfigError(
            f"key 'atoms.image' is {image}: inputs have {problem.n_features} features, not "
            f"{image[0] * image[1]}."
        )
    refuse_affine(problem)
    if section.target == "labels" and not has_likelihood(problem.loss):
        raise ConfigError(
            f"key 'atoms.target' is 'labels', but problem.loss is {problem.loss.name!r}, and "
            "labels are fitted by likelihood, which it is not; choose 'network' or 'auto'."
        )
    with named_keys(config, "run", "problem"):
        scheme = config.scheme(problem)
    if section.target == "rest" and (reason := no_rest(problem)):
        raise ConfigError(f"key 'atoms.target' is 'rest', which needs {reason}.")
    if section.cool_steps:
        if problem.temperature < section.cool_to:
            raise ConfigError(
                f"key 'atoms.cool_to' is {section.cool_to:g}, above problem.temperature "
                f"{problem.temperature:g}; lower it, or set atoms.cool_steps = 0."
            )
        cooling = Geometric(problem.temperature, section.cool_to)
        with named_keys(config, n_steps="atoms.cool_steps"):
            scheme = scheme.extended(section.cool_steps, cooling)
    looks = np.array([scheme.n_steps])
    if section.looks > 1 and section.cool_steps:
        looks = np.linspace(config.run.n_steps, scheme.n_steps, section.looks)
        looks = np.unique(looks.round().astype(int))
    network_fits("atoms", problem, scheme, section.n_particles, len(looks))
    common = {
        "problem": problem,
        "scheme": scheme,
        "n_particles": section.n_particles,
        "looks": looks.tolist(),
        "trained": config.run.n_steps,
        "target": None if section.target == "auto" else section.target,
        "max_atoms": _most_atoms(section),
    }
    there = trained[: section.n_replicas]
    if any(network.n_particles != section.n_particles for network in there):
        there = ()
    units = []
    for replica in range(section.n_replicas):
        key, label = f"network-{replica:04d}", f"network {replica + 1} of {section.n_replicas}"
        arguments, needs = common | {"replica": replica}, {}
        steps = scheme.n_steps
        if len(there) == section.n_replicas:
            needs = {"replicas": there[replica].unit}
            arguments["place"] = there[replica].place
            steps -= config.run.n_steps
        search = extraction_seconds(problem, section.target)
        weight = seconds(problem, scheme, section.n_particles * steps, len(looks), search)
        units.append(Unit(key, train_and_extract, arguments, label, needs, weight))
    # The labels are the values of a known target at standard normal inputs.
    plain = data.info.get("inputs") == "gaussian" and data.info.get("labels") == "real"
    if plain and data.target is not None and problem.n_outputs == 1:
        arguments = {
            "target": data.target,
            "activation": problem.activation,
            "seed": config.seed,
            **own_threshold(problem, section.threshold),
        }
        units.append(Unit("bound", bound, arguments, "bound on S*", weight=0.2))

    def joined(results: Mapping[str, Arrays]) -> Outcome:
        return combine(config, problem, scheme, looks, image, results)

    return data_plan(config, data, problem, units, joined)


def _most_atoms(section: AtomsSection) -> int:
    """Return how many atoms are kept; no network has more atoms than neurons."""
    if section.target == "rest":
        return section.max_atoms or MOST
    return min(section.max_atoms or MOST_ATOMS, max(section.n_particles, MOST_ATOMS))


def seconds(
    problem: Problem, scheme: Scheme, particle_steps: int, looks: int, search: float
) -> float:
    """Return about what it takes on one core to train a network and look for its atoms."""
    return training_seconds(problem, scheme, particle_steps) + looks * search


def extraction_seconds(problem: Problem, target: str | None) -> float:
    """Return about what a search for atoms takes.

    Gauss–Newton steps in all of a few atoms; at rest, of many atoms a long way down.
    """
    width = problem.n_features + problem.bias
    if target == "rest":
        return 1.0 + 1.5e-4 * problem.n_data * width * (1 + problem.n_outputs / 3)
    atoms = min(6.0, problem.n_data * problem.n_outputs / (width + problem.n_outputs))
    return 0.5 + 8e-8 * problem.n_data * (atoms * width) ** 2


def train_and_extract(
    problem: Problem,
    scheme: Scheme,
    replica: int,
    n_particles: int,
    looks: list[int],
    trained: int,
    target: str | None,
    max_atoms: int,
    checkpoint: str | None,
    progress: Progress,
    replicas: Arrays | None = None,
    place: int = 0,
) -> Arrays:
    """Train one network and find its atoms at some steps.

    Of a rate study, which keeps `replicas`, that at `place` is taken up where its training ended.
    """
    start = None
    if replicas is not None:
        start = particles_at(problem, replicas["networks"][place][None])
    first_step = 0 if start is None else trained
    # The search for atoms is part of the work, and may take longer than the training.
    training = training_seconds(problem, scheme, n_particles * (scheme.n_steps - first_step))
    search = extraction_seconds(problem, target)
    bar = SharedProgress(progress, training + len(looks) * search)
    run = simulate_scheme(
        problem,
        scheme,
        n_particles,
        start=start,
        first_step=first_step,
        save_at=sorted({trained, *looks}),
        first_replica=replica,
        checkpoint=checkpoint,
        progress=bar.part(training),
    )
    found = []
    for look in looks:
        searched = bar.part(search)
        dictionary = extract_dictionary(
            run.at(look), problem, target=target, max_atoms=max_atoms, seed=replica
        )
        by_labels = dual_certificate(dictionary.function, problem, seed=replica)
        found.append((dictionary, by_labels))
        searched(1, 1)
    arrays = pack(found, problem, max_atoms)
    arrays["place_covariance"] = place_covariance(found[-1][0], problem.n_features, max_atoms)
    arrays["loss"] = run.loss[0, np.isin(run.steps, looks)]
    arrays["particle_trained"] = run.at(trained).coordinates[0]
    # The particles modulo symmetry, and how much each contributes to the network.
    atoms = canonical(run.particles, problem.activation)
    size = np.linalg.norm(atoms.columns, axis=1) * atoms.features(problem.X).std(axis=0)
    arrays["particle_w"] = padded(atoms.w, n_particles)
    arrays["particle_b"] = padded(atoms.b, n_particles)
    arrays["particle_size"] = padded(size / max(size.sum(), 1e-300), n_particles, fill=0.0)
    return arrays


def bound(target: Target, activation: str | Activation, seed: int, **counted: Any) -> Arrays:
    """Compute the coefficient-threshold number of the target."""
    found = coefficient_threshold_number(target, activation, seed=seed, **counted)
    return {
        "number": np.array([found.low, found.number, found.high]),
        "barron_norm": np.array(found.barron_norm),
        "tail": np.array([found.barron_tail, found.l2_tail]),
        "degree": np.array(found.expansion.degree),
        "missing_degrees": np.array(found.missing_degrees, dtype=int),
        "explanation": np.array(found.explanation),
    }


EXAMPLE: dict[str, Any] = {
    "study": "atoms",
    "title": "A teacher of three neurons",
    "data": {"source": "teacher", "n_features": 2, "n_atoms": 3, "n_train": 400, "min_angle": 30.0},
}

STUDY = Study("atoms", AtomsConfig, EXAMPLE, prepare, report, ("atoms.n_replicas",))
