"""The experiment: the same networks in every light, and one report.

The file that ``meanfield new experiment`` prints lasts one relaxation time ``1/l2``, and what
``meanfield init`` writes four or less, to be short. Whether a rate is uniform in time takes five of
them or more: a larger ``run.n_steps``. Particles are not saved; ``meanfield simulate`` saves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from meanfield.dictionary import compare_dictionaries
from meanfield.errors import ConfigError
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
from meanfield.studies.experiment.trial import NETWORKS, score_at_end, try_penalties
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
_SCORES = ("test_", "train_", "regularised_risk")


def prepare(config: ExperimentConfig) -> Plan:
    """Check the configuration and make the units of work."""
    return plan_on(config, *build_data(config))


def plan_on(config: ExperimentConfig, data: Data, problem: Problem) -> Plan:
    """Check the configuration; the units are those of the parts, on the same networks."""
    if "cell" in config.parts and "atoms" not in config.parts:
        raise ConfigError("key 'parts': the cell is made from the atoms; add \"atoms\".")
    plans = _plans(config, data, problem)
    units = [unit for plan in plans.values() for unit in plan.units]
    if "atoms" in plans:
        others = _other_penalties(config, plans["atoms"].units[0])
        units += others
        if others:
            units.append(_trial(config, plans["atoms"].units, others))
    return data_plan(
        config, data, problem, units, lambda results: combine(config, data, problem, plans, results)
    )


def _plans(config: ExperimentConfig, data: Data, problem: Problem) -> dict[Part, Plan]:
    """Plan the parts: atoms are of networks of the rate study, the cell is of the first of them."""
    plans: dict[Part, Plan] = {}

    def plan(part: Part, **taken_up: Any) -> None:
        if part in config.parts:
            own = parse(_STUDIES[part].STUDY.config, config.of_part(part))
            plans[part] = _within(part, _STUDIES[part].plan_on(own, data, problem, **taken_up))

    plan("chaos", keep=config.atoms.n_replicas if "atoms" in config.parts else 0)
    plan("atoms", trained=plans["chaos"].trained if "chaos" in plans else ())
    plan("errors")
    plan("cell", network=plans["atoms"].units[0].key if "atoms" in plans else None)
    return plans


def _within(part: str, plan: Plan) -> Plan:
    """Name the units of a part after it, but for those of other parts that they need."""
    own = {unit.key: f"{part}-{unit.key}" for unit in plan.units}
    units = [
        replace(
            unit,
            key=own[unit.key],
            needs={argument: own.get(key, key) for argument, key in unit.needs.items()},
            label=f"{part}: {unit.label}",
        )
        for unit in plan.units
    ]
    trained = [network._replace(unit=own[network.unit]) for network in plan.trained]

    def combine(results: Mapping[str, Arrays]) -> Outcome:
        return plan.combine({key: results[name] for key, name in own.items()})

    return replace(plan, units=units, trained=trained, combine=combine)


def _other_penalties(config: ExperimentConfig, first: Unit) -> list[Unit]:
    """Return the first network for every other strength of the penalty; noise falls along."""
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
        steps = arguments["n_particles"] * scheme.n_steps
        search = atoms_study.extraction_seconds(problem, arguments["target"])
        weight = atoms_study.seconds(problem, scheme, steps, 1, search)
        function = atoms_study.train_and_extract
        out.append(Unit(f"penalties-{i:02d}", function, arguments, label, weight=weight))
    return out


def _trial(config: ExperimentConfig, networks: list[Unit], others: list[Unit]) -> Unit:
    """Return the unit that tries, where counts cannot be relied on, the penalty to be advised."""
    keys = [unit.key for unit in networks if unit.function is atoms_study.train_and_extract]
    needs = {f"network_{i:04d}": key for i, key in enumerate(keys)}
    needs |= {f"penalty_{i:02d}": unit.key for i, unit in enumerate(others)}
    arguments = {
        "problem": networks[0].arguments["problem"],
        "factors": list(config.penalties.factors),
        "settings": [dict(unit.arguments) for unit in others],
    }
    weight = (NETWORKS - 1) * others[0].weight
    return Unit("trial", try_penalties, arguments, "trial of another penalty", needs, weight)


def combine(
    config: ExperimentConfig,
    data: Data,
    problem: Problem,
    plans: Mapping[Part, Plan],
    results: Mapping[str, Arrays],
) -> Outcome:
    """Join the parts: one summary, one tree of datasets."""
    import xarray as xr

    outcomes = {part: plan.combine(results) for part, plan in plans.items()}
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
        scores_at = [score_at_end(problem, at) for _, at in rows]
        variables["path_score"] = Estimate.stack(scores_at).to_xarray(["penalty"])
    if trial := results.get("trial"):
        variables["trial_l2"] = ("trial", trial["factor"] * problem.l2_output)
        for name in ("n_atoms", "confident"):
            variables[f"trial_{name}"] = (("trial", "trial_network"), trial[name])
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

LATE = (
    "parts",
    "penalties.factors",
    *(key for study in _STUDIES.values() for key in study.STUDY.late),
)

STUDY = Study("experiment", ExperimentConfig, EXAMPLE, prepare, report, LATE)
