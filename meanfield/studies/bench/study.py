"""The study `bench`: the speed and the memory of the particle step on this machine.

Every number of particles is timed with every input dimension and number of threads. One timed run
is a call of `simulate`, less one without steps; all systems take turns, so that a change of the
machine's speed meets all of them. Beside them stands the rate of NumPy's matrix product, measured
in the same turns. The comparison with other libraries is ``python -m scripts.benchmarks.particles``
in the source.
"""

from __future__ import annotations

import platform
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any, Literal

import numpy as np
from pydantic import Field

from meanfield.errors import ConfigError
from meanfield.flow.simulate import simulate
from meanfield.problem import ACTIVATIONS, Problem
from meanfield.statistics.estimate import Estimate
from meanfield.studies.bench.report import BenchHeadline, report
from meanfield.system import memory
from meanfield.system.compiling import numba, thread_count
from meanfield.system.progress import Progress
from meanfield.system.threads import cores
from meanfield.workbench.config import (
    ActivationName,
    Count,
    Listed,
    Section,
    StudyConfig,
    named_keys,
)
from meanfield.workbench.study import Arrays, Outcome, Plan, Study, Unit

_SECONDS = 0.2  # of a timed run, about
_PRODUCT = 1024  # rows and columns of the matrices that NumPy multiplies
_SYSTEM = ("n_particles", "n_features", "threads")


class BenchSection(Section):
    """What is timed."""

    n_particles: list[Count] = Field([1024, 4096, 16384], description="Particles per system.")
    n_features: list[Count] = Field([2, 10, 64], description="Input dimensions.")
    n_data: Count = Field(512, description="Training points.")
    n_replicas: Listed = Field(1, description="Independent systems that are advanced at once.")
    activation: ActivationName = Field("tanh", description=f"Activation: {', '.join(ACTIVATIONS)}.")
    dtype: Literal["float64", "float32"] = Field("float64", description="Precision.")
    threads: list[Listed] = Field(
        [], description="Numbers of threads; an empty list stands for 1 and all cores."
    )
    repeats: Listed = Field(5, description="Timed runs of every system, in turns.")


class BenchConfig(StudyConfig):
    """Configuration of the study `bench`."""

    bench: BenchSection = BenchSection()


def prepare(config: BenchConfig) -> Plan:
    """Check the configuration; one unit, so that nothing runs beside what is timed."""
    section, n_cores = config.bench, cores()
    for key in ("n_particles", "n_features"):
        if not getattr(section, key):
            raise ConfigError(f"key 'bench.{key}' is empty; give at least one number.")
    with named_keys(config, "bench"):
        memory.fits(n_data=section.n_data, n_features=max(section.n_features))
        memory.fits(n_particles=max(section.n_particles), n_features=max(section.n_features))
    threads = sorted(set(section.threads)) or sorted({1, n_cores})
    if threads[-1] > n_cores:
        raise ConfigError(
            f"key 'bench.threads' holds {threads[-1]}, but this process may use {n_cores} cores; "
            "give at most that many."
        )
    arguments = section.model_dump() | {
        "n_particles": sorted(set(section.n_particles)),
        "n_features": sorted(set(section.n_features)),
        "threads": threads,
    }
    unit = Unit("times", measure, arguments, "systems in turns")
    machine = f"{processor_name()}, {n_cores} cores"
    return Plan([unit], lambda results: combine(arguments, machine, results["times"]), machine)


def processor_name() -> str:
    """Return the name of this machine's processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(
                line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measure(
    n_particles: list[int],
    n_features: list[int],
    n_data: int,
    n_replicas: int,
    activation: str,
    dtype: str,
    threads: list[int],
    repeats: int,
    progress: Progress,
) -> Arrays:
    """Time all systems in turns, after a run each that compiles and finds the number of steps."""
    systems = list(product(n_particles, n_features, threads))
    problems = {d: _problem(n_data, d, activation) for d in n_features}

    def run(system: tuple[int, int, int], n_steps: int) -> float:
        n, d, t = system
        with _limited(t):
            begin = time.perf_counter()
            options: dict[str, Any] = {"n_replicas": n_replicas, "dtype": dtype}
            simulate(problems[d], n, n_steps=n_steps, save_at=[n_steps], **options)
            return time.perf_counter() - begin

    n_steps = []
    for system in systems:
        run(system, 1)
        n_steps.append(max(3, round(_SECONDS / run(system, 2) * 2)))
    seconds = np.empty((len(systems), repeats))
    products = np.empty((len(threads), repeats))
    for repeat in range(repeats):
        products[:, repeat] = [_product_seconds(t, dtype) for t in threads]
        for i, system in enumerate(systems):
            without = run(system, 0)
            seconds[i, repeat] = (run(system, n_steps[i]) - without) / n_steps[i]
        progress(repeat + 1, repeats)
    memory = []
    for n, d in product(n_particles, n_features):
        tracemalloc.start()
        run((n, d, threads[-1]), 1)
        memory.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    shape = len(n_particles), len(n_features)
    return {
        "step_seconds": seconds.reshape(*shape, len(threads), repeats),
        "product_gflops": 2 * _PRODUCT**3 / products / 1e9,
        "memory_bytes": np.reshape(memory, shape),
    }


def _problem(n_data: int, n_features: int, activation: str) -> Problem:
    """Return inputs of length about one and a smooth target."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n_data, n_features)) / np.sqrt(n_features)
    return Problem(X, np.sin(3 * X[:, 0]), activation=activation)


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """Use some threads, here and in NumPy."""
    from threadpoolctl import threadpool_limits

    before = thread_count()
    numba.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        numba.set_num_threads(before)


def _product_seconds(threads: int, dtype: str) -> float:
    """Return the median time of NumPy's matrix product."""
    matrix = np.ones((_PRODUCT, _PRODUCT), dtype)
    out, times = np.empty_like(matrix), []
    with _limited(threads):
        np.dot(matrix, matrix, out=out)
        for _ in range(3):
            begin = time.perf_counter()
            np.dot(matrix, matrix, out=out)
            times.append(time.perf_counter() - begin)
    return float(np.median(times))


def combine(arguments: dict[str, Any], machine: str, found: Arrays) -> Outcome:
    """Put times per pair beside what the matrix product allows."""
    import xarray as xr

    particles, features = (np.array(arguments[name]) for name in _SYSTEM[:2])
    pairs = particles * arguments["n_replicas"] * arguments["n_data"]
    ns = 1e9 * found["step_seconds"] / pairs[:, None, None, None]
    # Two products with the inputs and the bias, a multiplication and an addition each.
    product_ns = 4 * (features + 1)[:, None, None] / found["product_gflops"]
    share = product_ns / ns
    per_pair = Estimate.positive_mean(ns, axis=-1, resampled="timed runs")
    dataset = xr.Dataset(
        {
            "ns_per_pair": per_pair.to_xarray(_SYSTEM),
            "runs_ns_per_pair": ((*_SYSTEM, "run"), ns),
            "product_share": (_SYSTEM, np.median(share, axis=-1)),
            "product_gflops": (("threads", "run"), found["product_gflops"]),
            "memory_bytes": (_SYSTEM[:2], found["memory_bytes"]),
        },
        coords={name: arguments[name] for name in _SYSTEM},
        attrs={name: arguments[name] for name in ("n_data", "n_replicas", "activation", "dtype")}
        | {"machine": machine},
    )
    most = dataset["threads"].values[-1]
    own = np.exp(np.log(ns).mean(axis=(0, 1)))  # (threads, run)
    gain = None
    if len(own) > 1:
        gain = Estimate.positive_mean(
            own[0] / own[-1],
            resampled="timed runs",
            label=f"Speed with {most} threads over that with {dataset['threads'].values[0]}",
        )
    headline = BenchHeadline(
        ns_per_pair=Estimate.positive_mean(
            own[-1],
            resampled="timed runs",
            label=f"Nanoseconds per particle, datum and step with {most} threads, geometric mean",
        ),
        product_share=Estimate(
            np.median(share[:, :, -1]),
            label="Share of that time which NumPy would need for the two products alone, median",
        ),
        memory_mb=Estimate(
            found["memory_bytes"].max() / 1e6,
            label="Memory in MB that the largest system takes, Python apart",
        ),
        thread_gain=gain,
    )
    return Outcome(dataset, headline.numbers())


EXAMPLE: dict[str, Any] = {"study": "bench", "title": "The particle step on this machine"}

STUDY = Study("bench", BenchConfig, EXAMPLE, prepare, report)
