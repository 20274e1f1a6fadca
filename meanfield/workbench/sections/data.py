"""Configurations on data: loading them, the problem on them, and what a report says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from meanfield.errors import ArgumentError, ConfigError
from meanfield.flow.minibatch import BATCH_SIZE, shared
from meanfield.flow.schedule import per_step
from meanfield.flow.scheme import Scheme
from meanfield.problem import SOURCES, Problem
from meanfield.problem.data import Data
from meanfield.problem.scaling import column_statistics
from meanfield.system import memory
from meanfield.system.records import Record
from meanfield.workbench.blocks import Block, Heading, Text
from meanfield.workbench.config import (
    ProblemSection,
    RunSection,
    StudyConfig,
    named_keys,
    number_or_schedule,
)
from meanfield.workbench.sections.data_tables import DataTable
from meanfield.workbench.study import Arrays, Outcome, Plan, Unit


class DataConfig(StudyConfig):
    """Configuration of a study on data."""

    data: DataTable


class LearningConfig(DataConfig):
    """Configuration of a study that trains two-layer networks on data."""

    problem: ProblemSection = ProblemSection()
    run: RunSection = RunSection()
    #: Whether all networks see the same minibatches, given which they share one limit.
    shared_batches: ClassVar[bool] = True

    def scheme(self, problem: Problem) -> Scheme:
        """Return how the particles move, with all temperatures; the problem has the last."""
        temperature = number_or_schedule(self.problem.temperature)
        options = self.run.options()
        scheme = Scheme.of(problem, temperature=temperature, seed=self.seed, **options)
        return (
            replace(scheme, minibatch=shared(scheme.minibatch)) if self.shared_batches else scheme
        )


def with_batches(config: StudyConfig) -> StudyConfig | None:
    """Return a configuration that trains on minibatches instead of all data, where one could."""
    if not isinstance(config, LearningConfig) or config.run.batch_size is not None:
        return None
    run = config.run.model_copy(update={"batch_size": BATCH_SIZE})
    return config.model_copy(update={"run": run})


def network_fits(table: str, problem: Problem, scheme: Scheme, n_particles: int, kept: int) -> None:
    """Refuse a network whose states, those that are `kept` among them, do not fit into memory."""
    sizes = {"n_particles": n_particles, "states": 2 + kept, "coordinates": problem.n_coordinates}
    try:
        memory.fits(np.dtype(scheme.dtype).itemsize, **sizes)
    except ArgumentError as error:
        raise ConfigError(f"key '{table}.n_particles': {error}") from None


def build_data(config: LearningConfig) -> tuple[Data, Problem]:
    """Load the data and make the problem on them, with the last temperature of the run."""
    data = load_data(config)
    with named_keys(config, "problem", "data", X="data", y="problem.loss"):
        temperature = number_or_schedule(config.problem.temperature)
        every = per_step("temperature", temperature, config.run.n_steps, zero=True)
        last = float(np.ravel(every)[-1])
        return data, data.problem(temperature=last, **config.problem.options())


def load_data(config: DataConfig) -> Data:
    """Load the data of a configuration, with the record of where they come from."""
    section = config.data
    kept, mark = _LOADED.get(), section.model_dump_json()
    if kept is not None and mark in kept:
        return kept[mark]
    try:
        with named_keys(config, "data"):
            data = SOURCES[section.source](**section.model_dump(exclude={"source"}))
    except OSError as error:
        place = next(key for key in ("path", "folder") if key in type(section).model_fields)
        absent = isinstance(error, FileNotFoundError)
        start = " A relative path starts at the folder of the configuration." if absent else ""
        raise ConfigError(f"key 'data.{place}': {error}{start}") from error
    except ImportError as error:
        raise ConfigError(f"[data]: {error}") from error
    if kept is not None:
        kept[mark] = data
    return data


_LOADED: ContextVar[dict[str, Data] | None] = ContextVar("loaded", default=None)


@contextmanager
def loaded_once() -> Iterator[None]:
    """Load data that several configurations name alike once, while the block runs."""
    token = _LOADED.set({})
    try:
        yield
    finally:
        _LOADED.reset(token)


def describe_data(config: DataConfig, data: Data, scaled: bool = False) -> dict[str, Any]:
    """Return the record of the data that a study leaves, in types that JSON knows.

    `Data.info` with the numbers of rows, the columns that are constant on the training rows, and
    notes on what is likely to go wrong. `scaled` inputs are brought to a length by the study.
    """
    keys = type(config.data).model_fields
    constant = data.info.get("constant_features")
    if constant is None:
        constant = column_statistics(data.X)[2]
    notes = list(data.info.get("notes", ()))
    names = data.info.get("feature_names") or [f"number {i + 1}" for i in range(data.X.shape[1])]
    rounded = [i for i in constant if not (data.X[:, i] == data.X[0, i]).all()]
    if rounded:
        notes.append(
            "These inputs differ on the training rows by rounding only, and count as constant: "
            f"{', '.join(names[i] for i in rounded)}."
        )
    if not scaled and "standardize" in keys and data.info.get("standardize") == "none":
        notes += _input_scale(data.X, constant, names)
    scale = _scale_far_from_one(data.y)
    if scale is not None and "standardize_y" in keys:
        notes.append(
            f"The labels have standard deviation {scale:.2g}, but networks and step sizes are made "
            "for one near 1; set standardize_y = true in [data]."
        )
    notes += _possible_classes(config, data)
    return {
        **data.info,
        "n_train": len(data.X),
        "n_test": 0 if data.X_test is None else len(data.X_test),
        "constant_features": constant,
        "notes": notes,
    }


def _scale_far_from_one(y: np.ndarray) -> float | None:
    """Return the first standard deviation of a column that is below 0.01 or above 100."""
    _, scales, constant = column_statistics(y.reshape(len(y), -1))
    far = [s for i, s in enumerate(scales) if i not in constant and not 0.01 <= s <= 100]
    return float(far[0]) if far else None


def _input_scale(X: np.ndarray, constant: list[int], names: Sequence[str]) -> list[str]:
    """Note that inputs which vary are far larger or smaller than networks are made for."""
    largest = np.abs(X).max(axis=0)
    sizes = largest * np.sqrt(np.square(X / np.where(largest > 0, largest, 1)).mean(axis=0))
    far = [i for i, s in enumerate(sizes) if i not in constant and not 0.01 <= s <= 10]
    if not far:
        return []
    extreme = max(far, key=lambda i: abs(np.log(sizes[i])))
    what = "input is" if len(far) == 1 else "inputs are"
    return [
        f"{len(far)} {what} far from the size of 1 that networks and step sizes are made for: "
        f'{names[extreme]} is typically {sizes[extreme]:.2g}; set standardize = "unit" in [data].'
    ]


def _possible_classes(config: DataConfig, data: Data) -> list[str]:
    """Note that labels which are taken for quantities could number a few classes."""
    problem = getattr(config, "problem", None)
    found = np.unique(data.y) if data.y.ndim == 1 else np.zeros(0)
    counted = 3 <= len(found) <= 20 and np.array_equal(found, np.arange(len(found)) + found[0])
    if "labels" not in type(config.data).model_fields or "classes" in data.info or not counted:
        return []
    if getattr(problem, "loss", None) != "squared" or len(data.y) < 5 * len(found):
        return []
    return [
        f"The labels are the whole numbers {found[0]:g} to {found[-1]:g}; if they number classes "
        'set labels = "classes" with loss = "cross-entropy", or labels = "one-hot".'
    ]


class MissingRecord(Record):
    """What was done about missing values."""

    rule: str
    rows: tuple[int, ...] = ()
    test_rows: tuple[int, ...] = ()
    filled: dict[str, int] = Field(default_factory=dict)


class DataRecord(Record):
    """What ``data.json`` holds that a report reads, of `describe_data`; sources add their own."""

    model_config = ConfigDict(extra="allow")

    source: str
    n_train: Annotated[int, Field(ge=1)]
    n_test: Annotated[int, Field(ge=0)]
    constant_features: list[Annotated[int, Field(ge=0)]]
    feature_names: list[str] | None = None
    categories: dict[str, list[str]] | None = None
    missing: MissingRecord | None = None
    notes: list[str]

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.feature_names and max(self.constant_features, default=0) >= len(self.feature_names):
            raise ValueError("constant_features has columns without a name")
        return self


def data_blocks(record: DataRecord) -> list[Block]:
    """Return the part of a report that says what the data were."""
    text = f"Source {record.source}: {record.n_train} rows to train on"
    text += f", {record.n_test} held out." if record.n_test else "."
    constant, names = record.constant_features, record.feature_names
    if constant and record.n_train > 1:
        text += (
            " Inputs that are constant on the training rows, and so tell none of them apart: "
            f"{', '.join(names[i] if names else f'number {i + 1}' for i in constant)}."
        )
    if record.categories:
        text += f" Categories, with an input for every value: {', '.join(record.categories)}."
    if record.missing is not None:
        text += _gaps(record.missing, record.categories or {})
    text += " The rows, names, means and scales are in data.json."
    return [Heading("The data"), Text(text), *(Text(f"Note: {note}") for note in record.notes)]


def _gaps(missing: MissingRecord, categories: Mapping[str, list[str]]) -> str:
    """Say what was done about missing values; one of a text column is missing in all its inputs."""
    if missing.rule == "drop":
        left_out = len(missing.rows) + len(missing.test_rows)
        return f" Rows left out because a value is missing: {left_out}." if left_out else ""
    filled = sum(missing.filled.values())
    for column, values in categories.items():
        counts = [missing.filled.get(f"{column}={value}", 0) for value in values]
        filled -= sum(counts) - max(counts, default=0)
    return f" Missing values replaced by the mean of their column: {filled}." if filled else ""


def data_plan(
    config: DataConfig,
    data: Data,
    problem: Problem,
    units: list[Unit],
    combine: Callable[[Mapping[str, Arrays]], Outcome],
) -> Plan:
    """Return the plan of a study on `problem`, whose held-out data count as its data too.

    The weights of its units are seconds on one core.
    """
    mark = fingerprint(problem.X_test, problem.targets_test, start=problem.fingerprint)
    return Plan(units, combine, mark, describe_data(config, data), timed=True)


def fingerprint(*arrays: np.ndarray | None, start: str = "") -> str:
    """Return the SHA-256, in hexadecimal, of a text and of the arrays that are there."""
    digest = hashlib.sha256(start.encode())
    for array in arrays:
        if array is not None:
            digest.update(repr(array.shape).encode())
            digest.update(array.astype("<f8").tobytes())
    return digest.hexdigest()
