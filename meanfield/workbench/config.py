"""Strict configurations: every key is known, typed and explained, and every error names its key."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from meanfield.errors import ConfigError
from meanfield.flow import schedule
from meanfield.flow.initial import LAWS, InitialLaw
from meanfield.flow.integrators import INTEGRATORS
from meanfield.problem import ACTIVATIONS
from meanfield.workbench.messages import first_problem

Count = Annotated[int, Field(ge=1)]
Step = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ValueError(f"must be a power of two, such as {below} or {2 * below}")
    return value


PowerOfTwo = Annotated[int, Field(ge=2), AfterValidator(_power_of_two)]


class Section(BaseModel):
    """A table of a configuration: strict types, no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ProblemSection(Section):
    """What is learned from the data: the network, its loss and its regularisation."""

    activation: str = Field("tanh", description=f"Activation: {', '.join(ACTIVATIONS)}.")
    loss: str = Field("squared", description="squared, logistic (labels ±1) or cross-entropy.")
    bias: bool = Field(True, description="Whether neurons have a bias.")
    train: list[Literal["a", "w", "b"]] = Field(
        ["a", "w", "b"],
        description="Trained parameters. An output weight a that is left out stays 1; w and b "
        "stay where they start.",
    )
    l2: Any = Field(
        0.01, description="Strength of the L2 penalty: one number, or [output, input] weights."
    )
    temperature: float = Field(
        0.001,
        description="Temperature of the noise: a step adds sqrt(2 * step_size * temperature) "
        "times a standard normal.",
    )

    @field_validator("l2")
    @classmethod
    def _check_l2(cls, value: Any) -> Any:
        return number_or_list(value, ("output", "input"))

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `Problem`."""
        l2 = tuple(self.l2) if isinstance(self.l2, list) else self.l2
        return {**self.model_dump(), "train": tuple(self.train), "l2": l2}


class InitSection(Section):
    """The law of the particles at time 0."""

    law: str = Field(
        "gaussian",
        description=f"One of: {', '.join(LAWS)}; stretched-exponential needs rho, student-t nu.",
    )
    scale: Any = Field(1.0, description="Factor on every parameter, or one each: [a, w, b].")
    rho: Positive | None = Field(None, description="Exponent of the stretched exponential.")
    nu: Positive | None = Field(None, description="Tail index of Student t.")

    @field_validator("scale")
    @classmethod
    def _check_scale(cls, value: Any) -> Any:
        return number_or_list(value, ("a", "w", "b"))

    def initial_law(self) -> InitialLaw:
        """Return the law."""
        scale = tuple(self.scale) if isinstance(self.scale, list) else self.scale
        return InitialLaw(self.law, scale, self.rho, self.nu)


class RunSection(Section):
    """How the particles move."""

    step_size: Positive = Field(0.1, description="Step size; time is step_size times the step.")
    n_steps: Count = Field(1000, description="Number of steps.")
    integrator: str = Field(
        "euler",
        description=f"Time integrator: {', '.join(INTEGRATORS)}; kinetic(0.5) sets the friction.",
    )
    dtype: Literal["float64", "float32"] = Field(
        "float64", description="Precision of the particles."
    )
    init: InitSection = Field(default_factory=InitSection)

    @field_validator("init", mode="before")
    @classmethod
    def _accept_name(cls, value: Any) -> Any:
        return {"law": value} if isinstance(value, str) else value


class ScheduledRunSection(RunSection):
    """How the particles move."""

    step_size: Any = Field(
        0.1,
        description="Step size; time is the sum of the step sizes. A number, or a schedule: "
        '{ kind = "geometric", start = 0.5, stop = 0.05 }; kinds are '
        f"{', '.join(schedule.KINDS)}.",
    )
    temperature: Any = Field(
        None,
        description="Temperature of the noise over the run: a number or a schedule like that of "
        "step_size; that of the problem by default.",
    )

    @field_validator("step_size")
    @classmethod
    def _check_step_size(cls, value: Any) -> Any:
        return number_or_schedule(value, zero=False)

    @field_validator("temperature")
    @classmethod
    def _check_temperature(cls, value: Any) -> Any:
        return None if value is None else number_or_schedule(value, zero=True)

    def scheduled(self) -> dict[str, Any]:
        """Return `step_size` and `temperature` as `simulate` takes them."""
        values = {"step_size": self.step_size, "temperature": self.temperature}
        return {
            name: schedule.from_table(value) if isinstance(value, dict) else value
            for name, value in values.items()
        }


class StudyConfig(Section):
    """What the configuration of every study has; each study adds its own tables."""

    study: str = Field(description="The study that this file describes.")
    title: str = Field("", description="Title of the report.")
    seed: Annotated[int, Field(ge=0, lt=2**64)] = Field(
        0, description="Seed: the same file gives the same numbers, bit for bit."
    )

    @classmethod
    def specialize(
        cls, content: dict[str, Any], folder: Path
    ) -> tuple[type[StudyConfig], dict[str, Any]]:
        """Return the model that fits a file, and its content with paths taken from `folder`."""
        return cls, content


@contextmanager
def named_keys(config: Section, *tables: str, **keys: str) -> Iterator[None]:
    """Turn what a function says about its arguments into a `ConfigError` that names the key.

    Parameters
    ----------
    config : Section
        The configuration that the arguments are from.
    *tables : str
        Names of tables; the first that has a key of the argument's name, itself or in a table
        inside it, is taken. An argument that is no key is laid to the first table.
    **keys : str
        Keys, or tables, of arguments whose key has another name.

    Raises
    ------
    ConfigError
        A ValueError or TypeError was raised inside.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        argument = getattr(error, "argument", None)
        found = (_find(getattr(config, table), table, argument) for table in tables)
        key = keys.get(argument) or next(filter(None, found), None)
        place = f"[{tables[0]}]" if key is None else f"key {key!r}" if "." in key else f"[{key}]"
        raise ConfigError(f"{place}: {error}") from error


def _find(table: Section, name: str, argument: str | None) -> str | None:
    """Return the dotted name of a key, looking at a table first and then at those inside it."""
    if argument in type(table).model_fields:
        return f"{name}.{argument}"
    inside = ((f"{name}.{key}", value) for key, value in table if isinstance(value, Section))
    return next(filter(None, (_find(value, key, argument) for key, value in inside)), None)


def number_or_schedule(value: Any, *, zero: bool) -> Any:
    """Return a key that takes a number, or the table of a schedule."""
    if isinstance(value, dict):
        try:
            schedule.from_table(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"cannot be used ({str(error).rstrip('.')})") from None
        return value
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("must be a number or a schedule in braces")
    if not (0 <= value < float("inf")) or (value == 0 and not zero):
        raise ValueError(f"must be finite and {'at least' if zero else 'greater than'} 0")
    return float(value)


def number_or_list(value: Any, names: Sequence[str]) -> Any:
    """Return a key that takes one number, or one each for the parts in `names`."""
    numbers = value if isinstance(value, list) else [value]
    plain = all(isinstance(item, int | float) and not isinstance(item, bool) for item in numbers)
    if not plain or len(numbers) not in (1, len(names)):
        raise ValueError(f"must be a number or a list of {len(names)} ({', '.join(names)})")
    if not all(0 <= item < float("inf") for item in numbers):
        raise ValueError("must be at least 0 and finite")
    return [float(item) for item in value] if isinstance(value, list) else float(value)


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    dict
        Its content, not yet checked.

    Raises
    ------
    ConfigError
        The file is missing, unreadable or not TOML; the message says where and what to do.
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"There is no file {path}; write a first one with `meanfield new STUDY > {path.name}`."
        ) from None
    except OSError as error:
        raise ConfigError(f"Cannot read {path} ({error.strerror}); give a TOML file.") from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{path} is not UTF-8 text, so no configuration (a TOML file): save it as UTF-8, or "
            "write a first one with `meanfield new STUDY > study.toml`."
        ) from None
    except tomllib.TOMLDecodeError as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        raise ConfigError(f"{path} is not valid TOML: {reason}; correct that place.") from None


def parse(
    model: type[StudyConfig], content: dict[str, Any], *, folder: str | os.PathLike[str] = "."
) -> StudyConfig:
    """Check the content of a file against the configuration of a study.

    Parameters
    ----------
    model : type of StudyConfig
        The configuration.
    content : dict
        What the file holds.
    folder : path-like
        Where relative paths in it start.

    Returns
    -------
    StudyConfig
        Complete, with defaults.

    Raises
    ------
    ConfigError
        One sentence on the first key that is wrong.
    """
    model, content = model.specialize(content, Path(folder))
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(first_problem(model, error)) from None


def load_config(model: type[StudyConfig], study: str, path: str | os.PathLike[str]) -> StudyConfig:
    """Read the configuration of a study from a TOML file.

    Parameters
    ----------
    model : type of StudyConfig
        The configuration of that study.
    study : str
        Name of the study.
    path : path-like
        The file.

    Returns
    -------
    StudyConfig
        Complete, with defaults; relative paths of data start at the folder of the file.

    Raises
    ------
    ConfigError
        One sentence that names the file, the place and the remedy.
    """
    content = read_toml(path)
    if "study" not in content:
        raise ConfigError(f"{path}: key 'study' is missing; add study = \"{study}\" at the top.")
    named = content["study"]
    if named != study:
        raise ConfigError(
            f"{path} describes the study {named!r}; run `meanfield {named}`, or set "
            f'study = "{study}" in it.'
        )
    try:
        return parse(model, content, folder=Path(path).parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
