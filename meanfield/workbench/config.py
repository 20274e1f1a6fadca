"""Strict configurations: every key is known, typed and explained, and every error names its key."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError, ConfigError
from meanfield.flow import defaults, schedule
from meanfield.flow.initial import LAWS, InitialLaw
from meanfield.flow.integrators import INTEGRATORS, get_integrator
from meanfield.problem.activations import (
    ACTIVATIONS,
    Activation,
    from_reference,
    get_activation,
)
from meanfield.problem.losses import get_loss, loss_from_reference
from meanfield.problem.scalar.reference import Reference
from meanfield.problem.sources.options import home_expanded
from meanfield.system.texts import read_text
from meanfield.workbench.messages import first_problem

Count = Annotated[int, Field(ge=1, le=checks.MOST)]
#: What a list or a unit of work is made for each of.
Listed = Annotated[int, Field(ge=1, le=checks.MOST_LISTED)]
Step = Annotated[int, Field(ge=0, le=checks.MOST)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


def accepted_by(check: Callable[[Any], Any]) -> AfterValidator:
    """Refuse what `check` refuses, in its words; the value stays as it is in the file."""

    def validate(value: Any) -> Any:
        try:
            check(value)
        except ArgumentTypeError as error:  # pydantic knows ValueErrors alone
            raise ArgumentError(error.argument, message=str(error)) from None
        return value

    return AfterValidator(validate)


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ValueError(f"must be a power of two, such as {below} or {2 * below}")
    return value


PowerOfTwo = Annotated[int, Field(ge=2, le=checks.MOST), AfterValidator(_power_of_two)]
IntegratorName = Annotated[str, accepted_by(get_integrator)]
ScheduleTable = Annotated[dict[str, Any], accepted_by(schedule.from_table)]


def _found_by(load: Callable[[str, Any], Any]) -> Callable[[str, ValidationInfo], str]:
    """Look ``module:name`` up in the folder of the configuration; it stays as it is in the file."""

    def with_found(value: str, info: ValidationInfo) -> str:
        if ":" not in value:
            return value
        reference = Reference(value)
        reference.found = load(value, (info.context or {}).get("folder"))
        return reference

    return with_found


LossName = Annotated[str, AfterValidator(_found_by(loss_from_reference)), accepted_by(get_loss)]
ActivationName = Annotated[
    str, AfterValidator(_found_by(from_reference)), accepted_by(get_activation)
]


def _of_different_names(references: list[str]) -> list[str]:
    named_activations(references)
    return references


#: For studies that compare several.
ActivationNames = Annotated[list[ActivationName], AfterValidator(_of_different_names)]


def named_activations(references: Sequence[str]) -> dict[str, Activation]:
    """Return the activations of a list by their names, each once."""
    found: dict[str, Activation] = {}
    for reference in references:
        activation = get_activation(reference)
        if found.setdefault(activation.name, activation) != activation:
            raise ValueError(
                f"has two activations that are called {activation.name!r}; rename one of them"
            )
    return found


class Section(BaseModel):
    """A table of a configuration: strict types, no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ProblemSection(Section):
    """What is learned from the data: the network, its loss and its regularisation."""

    activation: ActivationName = Field(
        defaults.ACTIVATION,
        description=f'Activation: {", ".join(ACTIVATIONS)}; or "module:name", a function or an '
        "mf.Activation in a file of Python beside this one.",
    )
    loss: LossName = Field(
        "squared",
        description="squared, logistic (labels ±1), cross-entropy, huber(1), quantile(0.5); or "
        '"module:name", a function of f and y or an mf.Loss in a file of Python beside this one.',
    )
    bias: bool = Field(defaults.BIAS, description="Whether neurons have a bias.")
    train: list[Literal["a", "w", "b"]] = Field(
        ["a", "w", "b"],
        description="Trained parameters. An output weight a that is left out stays 1; w and b "
        "stay where they start.",
    )
    l2: NonNegative | Annotated[list[NonNegative], Field(min_length=2, max_length=2)] = Field(
        defaults.L2,
        description="Strength of the L2 penalty: one number, or [output, input] weights.",
    )
    temperature: NonNegative | ScheduleTable = Field(
        defaults.TEMPERATURE,
        description="Temperature of the noise: a step adds sqrt(2 * step_size * temperature) "
        "times a standard normal. A number, or a schedule over the run like that of step_size.",
    )

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `Problem`, but for the temperature."""
        l2 = tuple(self.l2) if isinstance(self.l2, list) else self.l2
        options = self.model_dump(exclude={"temperature"})
        return {**options, "train": tuple(self.train), "l2": l2}


class InitSection(Section):
    """The law of the particles at time 0."""

    law: str = Field(
        "gaussian",
        description=f"One of: {', '.join(LAWS)}; stretched-exponential needs rho, student-t nu.",
    )
    scale: NonNegative | Annotated[list[NonNegative], Field(min_length=3, max_length=3)] = Field(
        1.0, description="Factor on every parameter, or one each: [a, w, b]."
    )
    rho: Positive | None = Field(None, description="Exponent of the stretched exponential.")
    nu: Positive | None = Field(None, description="Tail index of Student t.")

    @model_validator(mode="after")
    def _check(self) -> InitSection:
        self.initial_law()
        return self

    def initial_law(self) -> InitialLaw:
        """Return the law."""
        scale: Any = tuple(self.scale) if isinstance(self.scale, list) else self.scale
        return InitialLaw(self.law, scale, self.rho, self.nu)


def number_or_schedule(value: float | dict[str, Any]) -> float | schedule.Schedule:
    """Return a number as it is, and the schedule that a table describes."""
    return schedule.from_table(value) if isinstance(value, dict) else value


def _law_of_a_name(value: Any) -> Any:
    return {"law": value} if isinstance(value, str) else value


class RunSection(Section):
    """How the particles move."""

    step_size: Positive | ScheduleTable = Field(
        defaults.STEP_SIZE,
        description="Step size; time is the sum of the step sizes. A number, or a schedule: "
        '{ kind = "geometric", start = 0.5, stop = 0.05 }; kinds are '
        f"{', '.join(schedule.KINDS)}.",
    )
    n_steps: Count = Field(defaults.N_STEPS, description="Number of steps.")
    integrator: IntegratorName = Field(
        "euler",
        description=f"Time integrator: {', '.join(INTEGRATORS)}; kinetic(0.5) sets the friction.",
    )
    dtype: Literal["float64", "float32"] = Field(
        "float64", description="Precision of the particles."
    )
    batch_size: Count | None = Field(
        None, description="Data in the gradient of each step, drawn anew; all by default."
    )
    anchor_period: Count | None = Field(
        None,
        description="Steps between two full gradients that reduce the variance of the batches "
        "(SVRG); not at all by default.",
    )
    init: Annotated[InitSection, BeforeValidator(_law_of_a_name)] = InitSection()

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `Scheme.of`, but for temperature and seed."""
        options = self.model_dump(exclude={"init"})
        step_size = number_or_schedule(self.step_size)
        return {**options, "step_size": step_size, "init": self.init.initial_law()}


class StudyConfig(Section):
    """What the configuration of every study has; each study adds its own tables."""

    study: str = Field(description="The study that this file describes.")
    title: str = Field("", description="Title of the report.")
    seed: Annotated[int, Field(ge=0, lt=2**64)] = Field(
        0, description="Seed: the same file gives the same numbers, bit for bit."
    )


@contextmanager
def named_keys(config: Section, *tables: str, **keys: str) -> Iterator[None]:
    """Turn what a function says about its arguments into a `ConfigError` that names the key.

    The first of `tables` that has a key of the argument's name, itself or in a table inside it, is
    taken; an argument that is no key is laid to the first table. `keys` are keys, or tables, of
    arguments whose key has another name.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        argument = getattr(error, "argument", None)
        found = (_find(getattr(config, table), table, argument) for table in tables)
        key = keys.get(argument or "") or next(filter(None, found), None)
        place = f"[{tables[0]}]" if key is None else f"key {key!r}" if "." in key else f"[{key}]"
        raise ConfigError(f"{place}: {error}") from error


def _find(table: Section, name: str, argument: str | None) -> str | None:
    """Return the dotted name of a key, looking at a table first and then at those inside it."""
    if argument in type(table).model_fields:
        return f"{name}.{argument}"
    inside = ((f"{name}.{key}", value) for key, value in table if isinstance(value, Section))
    return next(filter(None, (_find(value, key, argument) for key, value in inside)), None)


def _from_folder(value: str, info: ValidationInfo) -> str:
    """Let a relative path start at the folder of the configuration."""
    folder = (info.context or {}).get("folder", Path())
    return str((folder / home_expanded(value)).resolve())


_PATH = AfterValidator(_from_folder)
#: Where something is, relative to the configuration. What it is, its fingerprint says.
FilePath = Annotated[str, _PATH]


def path_keys(model: Section, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of all paths in a configuration: moving a file changes no result."""
    for key, value in model:
        if isinstance(value, Section):
            yield from path_keys(value, f"{prefix}{key}.")
        elif _PATH in type(model).model_fields[key].metadata:
            yield prefix + key


def beside(model: Section, folder: Path) -> Section:
    """Return a configuration whose paths start at the folder that it is saved in.

    Data and results can then be moved together, and say nothing of the machine.
    """
    changed: dict[str, Any] = {}
    for key, value in model:
        if isinstance(value, Section):
            changed[key] = beside(value, folder)
        elif _PATH in type(model).model_fields[key].metadata and value is not None:
            with suppress(ValueError):  # another drive
                changed[key] = Path(os.path.relpath(value, folder)).as_posix()
    return model.model_copy(update=changed)


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of a TOML file, not yet checked."""
    path = Path(path)
    try:
        return tomllib.loads(read_text(path))
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
    """Return the configuration of a study that a file holds, complete with defaults.

    Relative paths in it start at `folder`.
    """
    try:
        return model.model_validate(content, context={"folder": Path(folder)})
    except ValidationError as error:
        raise ConfigError(first_problem(model, error)) from None


def change(content: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return the content of a file with changes such as ``problem.l2=0.01``.

    A value is read as TOML, or taken as text where it is none.
    """
    for text in changes:
        dotted, equals, value = text.partition("=")
        keys = [key.strip() for key in dotted.split(".")]
        if not equals or not all(keys):
            raise ConfigError(f"--set {text!r} is no change; write it as problem.l2=0.01.")
        try:
            new = tomllib.loads(f"value = {value.strip()}")["value"]
        except tomllib.TOMLDecodeError:
            new = value.strip()
        content = with_key(content, keys, new, f"--set {dotted!r}")
    return content


def with_key(
    content: dict[str, Any], keys: Sequence[str], value: Any, origin: str
) -> dict[str, Any]:
    """Return the content of a file with another value of a key; `origin` says who asks for it."""
    key, *inner = keys
    if inner:
        table = content.get(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{origin}: {key!r} is a key and no table.")
        value = with_key(table, inner, value, origin)
    return {**content, key: value}


def load_config(
    model: type[StudyConfig],
    study: str,
    path: str | os.PathLike[str],
    *,
    changes: Sequence[str] = (),
    shared: Mapping[str, Container[str]] | None = None,
) -> StudyConfig:
    """Read the configuration of a study; a `ConfigError` names the file, the place, the remedy.

    `changes` are those of `change`. Files of the studies in `shared` are read too, without those of
    their keys, given by study, that this one does not have.
    """
    content = of_study(change(read_toml(path), changes), model, study, path, shared)
    try:
        return parse(model, content, folder=Path(path).parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def of_study(
    content: dict[str, Any],
    model: type[StudyConfig],
    study: str,
    path: object,
    shared: Mapping[str, Container[str]] | None,
) -> dict[str, Any]:
    """Return what a file, at `path`, says of a study; else as `load_config`."""
    if "study" not in content:
        raise ConfigError(f"{path}: key 'study' is missing; add study = \"{study}\" at the top.")
    named = content["study"]
    if named != study:
        others = (shared or {}).get(named) if isinstance(named, str) else None
        if others is None:
            raise ConfigError(
                f"{path} describes the study {named!r}; run `meanfield {named}`, or set "
                f'study = "{study}" in it.'
            )
        here = model.model_fields
        content = {key: at for key, at in content.items() if key in here or key not in others}
        content["study"] = study
    return content
