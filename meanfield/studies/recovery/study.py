"""The study `recovery`: how often trained networks give the atoms of their teacher back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from meanfield import checks
from meanfield.dictionary import extract_dictionary
from meanfield.dictionary.agreement import largest_angle
from meanfield.dictionary.baselines import frank_wolfe_atoms, hdbscan_atoms, kmeans_atoms
from meanfield.errors import ConfigError
from meanfield.flow.run import predict
from meanfield.flow.schedule import Geometric
from meanfield.flow.simulate import simulate
from meanfield.problem import Activation, Problem, get_activation
from meanfield.problem.draws import directions_apart, generator, plane_directions_apart
from meanfield.problem.targets import Teacher
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import LEVEL
from meanfield.studies.recovery.figures import METHODS
from meanfield.studies.recovery.report import RecoveryHeadline, method_at, report
from meanfield.system import memory
from meanfield.system.progress import Progress
from meanfield.workbench.config import (
    ActivationNames,
    Count,
    Listed,
    NonNegative,
    Positive,
    Section,
    StudyConfig,
    named_activations,
    named_keys,
)
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

if TYPE_CHECKING:
    import xarray as xr

N_HELD_OUT = 1000
FITTED = 0.1
"""A network with at most this relative error on held-out inputs has learned its teacher."""
BASELINE_LIMIT = 12
"""Largest number of atoms that a baseline may find."""
AXES = ("activation", "d", "atoms", "noise", "particles")
FINDINGS = ("found", "angle")
CHECKS = ("confident", "missing", "compression_gap", "network_error")


class RecoverySection(Section):
    """Random teachers: one cell for every combination of the lists."""

    activations: ActivationNames = Field(
        ["tanh", "erf", "relu", "silu"], description='Activations, by name or "module:name".'
    )
    step_sizes: list[Positive] = Field(
        [0.5, 0.5, 0.2, 0.2], description="Step size for each activation."
    )
    dims: list[Count] = Field([2, 5], description="Input dimensions d.")
    sizes: list[Count] = Field([1, 2, 4], description="Numbers of atoms S of the teachers.")
    noise: list[NonNegative] = Field(
        [0.0, 0.05], description="Label noise relative to the standard deviation of the labels."
    )
    n_particles: list[Count] = Field([200], description="Widths of the trained networks.")
    n_teachers: Listed = Field(20, description="Random teachers in each cell.")
    min_angle: Annotated[float, Field(ge=0, le=90)] = Field(
        20.0, description="Least angle between the lines of two atoms of a teacher, in degrees."
    )
    bias: bool = Field(False, description="Whether atoms have biases.")
    n_data: Count = Field(1000, description="Training inputs, standard normal.")
    n_steps: Count = Field(1500, description="Steps of the training.")
    l2: NonNegative = Field(0.001, description="Strength of the L2 penalty.")
    start_temperature: Positive = Field(1e-3, description="Temperature of the first step.")
    temperature: Positive = Field(
        1e-5, description="Temperature of the last step; it falls geometrically."
    )
    baselines: bool = Field(
        True, description="Whether k-means, HDBSCAN and sliding Frank–Wolfe run beside."
    )

    @property
    def methods(self) -> list[str]:
        """The methods that look for atoms."""
        return list(METHODS) if self.baselines else ["dictionary"]


class RecoveryConfig(StudyConfig):
    """Configuration of the study `recovery`."""

    recovery: RecoverySection = RecoverySection()


def prepare(config: RecoveryConfig) -> Plan:
    """Check the configuration and make one unit of every cell."""
    section = config.recovery
    if len(section.step_sizes) != len(section.activations):
        raise ConfigError(
            f"key 'recovery.step_sizes' has {len(section.step_sizes)} entries for "
            f"{len(section.activations)} activations; give one for each."
        )
    names = [get_activation(name).name for name in section.activations]
    with named_keys(config, "recovery"):
        checks.steps(section.n_steps)
        memory.fits(n_data=section.n_data, dims=max(section.dims, default=1))
        memory.fits(n_particles=max(section.n_particles, default=1), sizes=3)
        memory.fits(sizes=max(section.sizes, default=1), dims=max(section.dims, default=1))
    for d, size in itertools.product(section.dims, section.sizes):
        if size > 1 and (d == 1 or (d == 2 and size * section.min_angle >= 180)):
            raise ConfigError(
                f"key 'recovery.min_angle' is {section.min_angle:g}: {size} lines cannot be that "
                f"far apart in {d} dimensions; lower it."
            )
    own = named_activations(section.activations)
    steps = dict(zip(names, section.step_sizes, strict=True))
    grid = (names, section.dims, section.sizes, section.noise, section.n_particles)
    units = []
    # What other cells there are is no part of a cell's work, so that more can be added.
    lists = ("activations", "step_sizes", "dims", "sizes", "noise", "n_particles")
    part = section.model_copy(update={key: [] for key in lists})
    for activation, d, size, noise, width in itertools.product(*grid):
        cell = Cell(own[activation], d, size, noise, width, steps[activation])
        arguments = {"cell": cell, "section": part, "seed": config.seed}
        key, weight = _key(activation, d, size, noise, width), (d + 5) * (size + 2) * width
        units.append(Unit(key, recover, arguments, key.replace("-", " "), weight=weight))
    return Plan(units, lambda results: combine(config, grid, results), data="")


def _key(activation: str, d: int, size: int, noise: float, width: int) -> str:
    return f"{activation}-d{d}-S{size}-noise{noise:g}-N{width}"


class Cell(NamedTuple):
    """One combination of the lists."""

    activation: Activation
    d: int
    n_atoms: int
    noise: float
    n_particles: int
    step_size: float


def recover(cell: Cell, section: RecoverySection, seed: int, progress: Progress) -> Arrays:
    """Train on every teacher of a cell; say what each method finds."""
    n, n_data = section.n_teachers, section.n_data
    out = {f"{name}_{method}": np.empty(n) for name in FINDINGS for method in section.methods}
    out |= {name: np.empty(n) for name in CHECKS}
    cooling = Geometric(section.start_temperature, section.temperature)
    for i in range(n):
        target = draw_teacher(
            cell.activation, cell.d, cell.n_atoms, section.min_angle, section.bias, seed, i
        )
        rng = generator(seed, 2 * i + 1)
        X = rng.standard_normal((n_data + N_HELD_OUT, cell.d))
        f = target(X)
        y = f[:n_data] + cell.noise * f.std() * rng.standard_normal(n_data)
        law = section.model_dump(include={"bias", "l2", "temperature"})
        problem = Problem(X[:n_data], y, cell.activation, **law)
        run = simulate(
            problem,
            cell.n_particles,
            step_size=cell.step_size,
            n_steps=section.n_steps,
            temperature=cooling,
            seed=seed,
            first_replica=i,
        )
        particles = run.particles
        dictionary = extract_dictionary(particles, problem, seed=i)
        found = {"dictionary": dictionary.function}
        if section.baselines:
            limit = min(BASELINE_LIMIT, cell.n_particles - 1)
            found |= {
                "frank_wolfe": frank_wolfe_atoms(problem, max_atoms=BASELINE_LIMIT, seed=i),
                "hdbscan": hdbscan_atoms(particles, problem),
                "kmeans": kmeans_atoms(particles, problem, max_atoms=limit, seed=i),
            }
        for method, atoms in found.items():
            out[f"found_{method}"][i] = atoms.n_atoms
            out[f"angle_{method}"][i] = largest_angle(target.w, atoms.w)
        test = f[n_data:] - predict(problem, particles, X[n_data:])[0]
        out["confident"][i] = dictionary.confident
        out["missing"][i] = dictionary.certificate.missing
        out["compression_gap"][i] = dictionary.compression_gap
        out["network_error"][i] = np.linalg.norm(test) / np.linalg.norm(f[n_data:])
        progress(i + 1, n)
    return out


def draw_teacher(
    activation: str | Activation,
    d: int,
    n_atoms: int,
    min_angle: float,
    bias: bool,
    seed: int,
    index: int,
) -> Teacher:
    """Draw a teacher: lines apart, ``|w|`` 1.5 to 2.5, ``|a|`` 0.7 to 1.3, biases normal."""
    rng = generator(seed, 2 * index)
    if d == 2:
        w = plane_directions_apart(rng, n_atoms, min_angle)
    else:
        w = directions_apart(rng, n_atoms, d, min_angle)
    w = w * rng.uniform(1.5, 2.5, (n_atoms, 1))
    a = rng.choice([-1, 1], n_atoms) * rng.uniform(0.7, 1.3, n_atoms)
    return Teacher(a, w, rng.standard_normal(n_atoms) if bias else None, activation)


def combine(
    config: RecoveryConfig, grid: tuple[list[Any], ...], results: Mapping[str, Arrays]
) -> Outcome:
    """Lay the cells out as a table and count."""
    import xarray as xr

    section = config.recovery
    shape = tuple(map(len, grid))
    keys = [_key(*cell) for cell in itertools.product(*grid)]
    variables = {
        name: (
            (*AXES, "teacher"),
            np.stack([results[key][name] for key in keys]).reshape(*shape, section.n_teachers),
        )
        for name in results[keys[0]]
    }
    attributes = section.model_dump(include={"min_angle", "n_data", "n_steps"})
    attributes |= {"bias": int(section.bias), "level": LEVEL}
    dataset = xr.Dataset(variables, dict(zip(AXES, grid, strict=True)), attributes)
    for method in section.methods:
        exact = (dataset[f"found_{method}"] == dataset["atoms"]).astype(float)
        # Comparing with a coordinate moves its axis to the front.
        dataset[f"exact_{method}"] = exact.transpose(*AXES, "teacher")
    by_width = dataset.sizes["particles"] > 1
    headline = _by_width(dataset) if by_width else _by_noise(dataset, section.methods)
    return Outcome(dataset, headline.numbers())


def _by_noise(dataset: xr.Dataset, methods: Iterable[str]) -> RecoveryHeadline:
    """Count over all cells of one noise, for every method."""
    found = RecoveryHeadline()
    for noise in dataset["noise"].values:
        part = dataset.sel(noise=noise)
        label = "without noise" if noise == 0 else f"with {100 * noise:g}% label noise"
        for method in methods:
            found.exact[method_at(method, noise)] = _share(
                f"Number of atoms found {label}, {METHODS[method]}", part[f"exact_{method}"]
            )
        exact = part["exact_dictionary"] == 1
        found.close[f"{noise:g}"] = _share(
            f"Number of atoms found and every direction within 1° {label}, dictionary",
            exact & (part["angle_dictionary"] <= 1),
        )
        sure = part["confident"].values == 1
        if sure.any():
            found.sure[f"{noise:g}"] = _share(
                f"Number of atoms found where the dictionary is confident {label}",
                exact.values[sure],
            )
    return found


def _by_width(dataset: xr.Dataset) -> RecoveryHeadline:
    """Count what counts as success at each width."""
    sure = (dataset["exact_dictionary"] == 1) & (dataset["confident"] == 1)
    dataset["success"] = (sure & (dataset["angle_dictionary"] <= 1)).astype(float)
    dataset["fitted"] = (dataset["network_error"] <= FITTED).astype(float)
    found = RecoveryHeadline()
    for width in dataset["particles"].values:
        at = dataset.sel(particles=width)
        label = f"Found with confidence, every direction within 1°, width {width}"
        found.success[f"{width}"] = _share(label, at["success"])
        label = f"Learned by the network to 10%, width {width}"
        found.fitted[f"{width}"] = _share(label, at["fitted"])
    return found


def _share(label: str, hits: np.ndarray | xr.DataArray) -> Estimate:
    return Estimate.share(int(hits.sum()), hits.size, resampled="teachers", label=label)


EXAMPLE: dict[str, Any] = {
    "study": "recovery",
    "title": "Teachers of one and two neurons",
    "recovery": {"activations": ["tanh"], "step_sizes": [0.5], "sizes": [1, 2], "n_teachers": 5},
}

LATE = (
    "recovery.activations",
    "recovery.step_sizes",
    "recovery.dims",
    "recovery.sizes",
    "recovery.noise",
    "recovery.n_particles",
)

STUDY = Study("recovery", RecoveryConfig, EXAMPLE, prepare, report, LATE)
