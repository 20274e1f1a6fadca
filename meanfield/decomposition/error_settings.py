"""The settings of an error budget, with their defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meanfield import checks

#: Least values that are not 1; intervals are over at least four replicas.
_LEAST = {"n_replicas": 4, "degree": 0, "n_test": 2}


@dataclass(frozen=True, eq=False, kw_only=True)
class ErrorSettings:
    """The sizes of a budget, and how its components are told apart.

    `decompose_error` says what each means; None leaves the choice to `plan_errors`, but for
    `n_atoms`, where it keeps all particles.
    """

    n_data: int | None = None
    n_particles: int = 256
    n_atoms: int | None = 8
    n_replicas: int = 12
    data_counts: Sequence[int] | None = None
    particle_counts: Sequence[int] | None = None
    atom_counts: Sequence[int] | None = None
    n_population: int = 4096
    long_particles: int | None = None
    path_particles: int | None = None
    settle_steps: int | None = None
    tolerance: float = 0.02
    threshold: float = 0.05
    degree: int | None = None
    n_test: int = 1000

    def __post_init__(self) -> None:
        for name, field in ErrorSettings.__dataclass_fields__.items():
            value = getattr(self, name)
            if value is None and (field.default is None or name == "n_atoms"):
                continue
            if name.endswith("_counts"):
                value = tuple(checks.counts(name, value))
            elif isinstance(field.default, float):
                value = checks.positive(name, value)
            else:
                value = checks.count(name, value, _LEAST.get(name, 1))
            object.__setattr__(self, name, value)
