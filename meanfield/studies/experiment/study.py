"""The experiment: the same networks in every light, and one report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from meanfield.dictionary import compare_dictionaries
from meanfield.errors import ConfigError
from meanfield.flow.particles import Particles, particles_at
from meanfield.flow.run import score
from meanfield.identify.atoms import as_atoms
from meanfield.problem import Problem
from meanfield.problem.data import Data
from meanfield.problem.targets import Teacher
from meanfield.statistics.estimate import Estimate
from meanfield.studies.atoms import study as atoms_study
from meanfield.studies.atoms.arrays import unpack
from meanfield.studies.cell import study as cell_study
from meanfield.studies.chaos import study as chaos_study
from meanfield.studies.errors import study as errors_study
from meanfield.studies.experiment.config import ExperimentConfig, Part
from meanfield.studies.experiment.report import report
from meanfield.workbench.config import parse
from meanfield.workbench.sections.data import build_data, data_plan
from meanfield.workbench.sections.learning import guess, linear_baseline
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

if TYPE_CHECKING:
    import xarray as xr

_STUDIES: dict[Part, Any] = {
    "chaos": chaos_study,
    "atoms": atoms_study,
    "errors": errors_study,
    "cell": cell_study,
}
_NETWORK = "atoms-network-{:04d}"
_SCORES = ("test_", "train_")


def prepare(config: ExperimentConfig) -> Plan:
    """Check the configuration; the units are those of the parts, on the same networks."""
    data, problem = build_data(config)
    if "cell" in config.parts and "atoms" not in config.parts:
        raise ConfigError("key 'parts': the cell is made from the atoms; add \"atoms\".")
    plans = {part: _plan(config, part, data, problem) for part in _STUDIES if part in config.parts}
    units = [_within(part, unit) for part, plan in plans.items() for unit in plan.units]
    units = _on_the_same_networks(config, problem, units)
    if "atoms" in plans:
        units += _other_penalties(config, units)
    units.sort(key=lambda unit: unit.key.startswith("penalties"))
    return data_plan(
        config, data, problem, units, lambda results: combine(config, data, problem, plans, results)
    )


def _plan(config: ExperimentConfig, part: Part, data: Data, problem: Problem) -> Plan:
    """Plan one part; errors are split in L², so that classes become numbers for them."""
    module, changes = _STUDIES[part], {}
    if part == "errors" and problem.loss.name != "squared":
        problem, changes = as_numbers(problem), {"loss": "squared"}
        data = replace(data, y=problem.y, y_test=problem.y_test)
    model = module.STUDY.config
    own = parse(model, config.of_part(part, **changes))
    return cast(Plan, module.plan_on(own, data, problem))


def as_numbers(problem: Problem) -> Problem:
    """Return the least-squares problem of a classification: ±1, or one output per class."""
    y, y_test = problem.targets, problem.targets_test
    if not problem.vector_output:
        y, y_test = y[:, 0], None if y_test is None else y_test[:, 0]
    return problem.replace(loss="squared", y=y, y_test=y_test)


def _within(part: str, unit: Unit) -> Unit:
    """Name a unit, and those that it needs, after its part."""
    needs = {argument: f"{part}-{key}" for argument, key in unit.needs.items()}
    return replace(unit, key=f"{part}-{unit.key}", needs=needs, label=f"{part}: {unit.label}")


def _on_the_same_networks(
    config: ExperimentConfig, problem: Problem, units: list[Unit]
) -> list[Unit]:
    """Let the atoms be those of networks of the rate study, and the cell that of the first."""
    n_networks = config.atoms.n_replicas
    batches = {unit.key: unit for unit in units if unit.key.startswith("chaos-replicas")}
    home = {
        replica: (key, replica - batch.arguments["first"])
        for key, batch in batches.items()
        for replica in range(batch.arguments["first"], batch.arguments["last"])
    }
    shared = _shared(config, problem, batches) and n_networks <= len(home)
    out = []
    for unit in units:
        if unit.key in batches:
            keep = max(unit.arguments["keep"], n_networks)
            unit = replace(unit, arguments={**unit.arguments, "keep": keep})
        elif unit.key.startswith("atoms-network") and shared:
            key, place = home[unit.arguments["replica"]]
            unit = replace(
                unit, needs={"replicas": key}, arguments={**unit.arguments, "place": place}
            )
        elif unit.key == "cell-cell":
            arguments = {k: v for k, v in unit.arguments.items() if k != "n_particles"}
            needs = {"network": _NETWORK.format(0)}
            unit = replace(unit, function=cell_study.around_saved, arguments=arguments, needs=needs)
        out.append(unit)
    return out


def _shared(config: ExperimentConfig, problem: Problem, batches: Mapping[str, Unit]) -> bool:
    """Whether the largest systems of the rate study are the networks whose atoms are looked for."""
    if not batches:
        return False
    plan = next(iter(batches.values())).arguments["plan"]
    scheme = config.scheme(problem)
    whole = plan.times[-1] == config.run.n_steps and scheme.minibatch is None
    positions_alone = not scheme.integrator.has_velocity
    return whole and positions_alone and max(plan.particle_counts) == config.atoms.n_particles


def _other_penalties(config: ExperimentConfig, units: list[Unit]) -> list[Unit]:
    """Return one network for every other strength of the penalty; noise falls along with it."""
    first = next(unit for unit in units if unit.key == _NETWORK.format(0))
    scheme, problem = first.arguments["scheme"], first.arguments["problem"]
    out = []
    for i, factor in enumerate(config.penalties.factors):
        l2 = (factor * problem.l2_output, factor * problem.l2_input)
        temperatures = factor * scheme.temperatures
        arguments = {k: v for k, v in first.arguments.items() if k != "place"}
        arguments |= {
            "problem": problem.replace(l2=l2, temperature=float(temperatures[-1])),
            "scheme": replace(scheme, temperature=temperatures),
            "looks": first.arguments["looks"][-1:],
        }
        label = f"penalty {i + 1} of {len(config.penalties.factors)}"
        out.append(Unit(f"penalties-{i:02d}", atoms_study.train_and_extract, arguments, label))
    return out


def combine(
    config: ExperimentConfig,
    data: Data,
    problem: Problem,
    plans: Mapping[Part, Plan],
    results: Mapping[str, Arrays],
) -> Outcome:
    """Join the parts: one summary, one tree of datasets."""
    import xarray as xr

    outcomes = {}
    for part, plan in plans.items():
        own = {f"{part}-{unit.key}": unit.key for unit in plan.units}
        outcomes[part] = plan.combine({key: results[name] for name, key in own.items()})
    networks = [results[key] for key in sorted(results) if key.startswith("atoms-network")]
    overview = _overview(config, problem, networks, results)
    numbers: dict[str, Estimate] = {}
    if networks:
        reference = outcomes["atoms"].dataset.attrs["reference"]
        overview = overview.assign(_shown_atoms(data, problem, networks, reference))
        # The score stands first: of the networks that all parts share.
        atoms = outcomes["atoms"].numbers
        numbers |= {key: atoms[key] for key in atoms if key.startswith(_SCORES)}
    tree = {"overview": overview}
    for part, outcome in outcomes.items():
        keys = {}
        for key, number in outcome.numbers.items():
            if networks and key.startswith(_SCORES):
                continue  # said already
            known = numbers.get(key)
            name = key if known is None or known == number else f"{part}_{key}"
            keys[name], numbers[name] = key, number
        dataset = cast("xr.Dataset", outcome.dataset)
        tree[part] = dataset.assign_attrs(names=list(keys), keys=list(keys.values()))
    return Outcome(xr.DataTree.from_dict(tree), numbers)


def _overview(
    config: ExperimentConfig,
    problem: Problem,
    networks: list[Arrays],
    results: Mapping[str, Arrays],
) -> xr.Dataset:
    """Return what no part has: other models on the same rows, and atoms against the penalty."""
    import xarray as xr

    scores = {"linear": linear_baseline(problem)}
    if networks and problem.X_test is not None:
        scores["dictionary"] = _dictionary_score(problem, networks)
    variables: dict[str, Any] = {
        f"score_{name}": found.to_xarray() for name, found in scores.items() if found is not None
    }
    tried = [results[key] for key in sorted(results) if key.startswith("penalties")]
    if networks:
        rows = [(1.0, networks[0]), *zip(config.penalties.factors, tried, strict=True)]
        rows.sort(key=lambda row: row[0])
        variables["l2"] = ("penalty", [factor * problem.l2_output for factor, _ in rows])
        for name in ("n_atoms", "confident"):
            variables[f"path_{name}"] = ("penalty", [float(at[name][-1]) for _, at in rows])
        scores_at = [score(problem, _trained(problem, at)) for _, at in rows]
        variables["path_score"] = Estimate.stack(scores_at).to_xarray(["penalty"])
    attributes = {
        "problem": repr(problem),
        "guess": guess(problem),
        "l2": problem.l2_output,
        "temperature": problem.temperature,
        "label_variance": float(problem.targets.var(axis=0).sum()),
        "held_out": int(problem.X_test is not None),
        "numbers_for_errors": int(problem.loss.name != "squared"),
    }
    return xr.Dataset(variables, attrs=attributes)


def _shown_atoms(
    data: Data, problem: Problem, networks: list[Arrays], reference_network: int
) -> dict[str, Any]:
    """Return the atoms of the reference network by input, and how near they are to a teacher's."""
    functions = [unpack(network, -1, problem) for network in networks]
    reference = functions[reference_network]
    names = data.info.get("feature_names") or [f"x{i + 1}" for i in range(problem.n_features)]
    ones = np.ones(reference.n_atoms)
    variables: dict[str, Any] = {
        "atom_w": (("atom", "input"), reference.w),
        "atom_b": ("atom", reference.b),
        "atom_c": ("atom", np.linalg.norm(reference.columns, axis=1)),
        # Of several outputs there is no sign.
        "atom_sign": ("atom", np.sign(reference.columns[:, 0]) if problem.n_outputs == 1 else ones),
        "input": ("input", [str(name) for name in names]),
    }
    target = data.target
    if isinstance(target, Teacher) and target.activation == problem.activation:
        b = np.zeros(len(target.w)) if target.b is None else target.b
        truth = as_atoms((target.a, target.w, b), problem.activation)
        # Twice the truth, so that its number is the one that counts.
        angles = [compare_dictionaries([truth, truth, found]).angle[2] for found in functions]
        variables["truth_angle"] = (("network", "teacher"), np.array(angles))
        variables["truth_w"] = (("teacher", "input"), truth.w)
    return variables


def _trained(problem: Problem, network: Arrays) -> Particles:
    """Return a network at the end of its training, before it was cooled."""
    return particles_at(problem, network["particle_trained"][None])


def _dictionary_score(problem: Problem, networks: list[Arrays]) -> Estimate:
    """Return the held-out score of the atoms alone."""
    outputs = [unpack(network, -1, problem).predict(problem.X_test) for network in networks]
    return problem.score(np.stack(outputs), held_out=True)


EXAMPLE: dict[str, Any] = {
    "study": "experiment",
    "title": "A teacher of three neurons",
    "data": {
        "source": "teacher",
        "n_features": 2,
        "n_atoms": 3,
        "min_angle": 30.0,
        "n_train": 200,
        "n_test": 500,
    },
    "problem": {"l2": 0.001, "temperature": 0.0002},
    "run": {"step_size": 1.0, "n_steps": 1000},
    "chaos": {"particle_counts": [32, 64, 128, 256], "n_replicas": 24, "cloud_replicas": 0},
    "atoms": {"n_particles": 256, "n_replicas": 3, "looks": 2},
    "errors": {
        "n_particles": 64,
        "n_atoms": 3,
        "n_replicas": 4,
        "n_population": 1024,
        "long_particles": 256,
        "path_particles": 1024,
    },
}

STUDY = Study("experiment", ExperimentConfig, EXAMPLE, prepare, report)
