r"""Time integrators of the mean-field Langevin dynamics, as coefficients of one step.

With ``g_c = ∂_c U(θ)``, ``U`` the data part of the potential ``V``, an integrator of the
overdamped dynamics advances each coordinate c of each particle by

    θ_c ← decay_{t,c} θ_c − gain_{t,c} g_c + Σ_j noise_{t,j,c} ζ_{t,j,c},

and one of the kinetic dynamics moves a velocity of each coordinate first:

    v_c ← decay_{t,c} v_c − gain_{t,c} (g_c + λ_c θ_c) + Σ_j noise_{t,j,c} ζ_{t,j,c}
    θ_c ← θ_c + drift_{t,c} v_c.

``ζ_{t,j}`` is number ``stride·t + shift + j`` of the increments of the Brownian path, each a
standard normal. The kernel knows these two forms only.

========================== ======== ========== ===================================================
name                       strong   stationary step
========================== ======== ========== ===================================================
``euler``                  1        1          ``θ − η ∇V + √(2ητ) ξ_t``
``exponential-euler``      1        1          the same, exact in the λ part
``leimkuhler-matthews``    1/2      2          ``θ − η ∇V + √(2ητ) (ξ_t + ξ_{t+1})/2``
``kinetic``                1        2          OBABO for ``dv = −(∇V + γv) dt + √(2γτ) dB``
========================== ======== ========== ===================================================

*Strong* is the order of the pathwise error at a fixed time, *stationary* that of the bias of the
stationary law; each costs one gradient per step. Leimkuhler and Matthews' method is only of order
1/2 pathwise: its noise up to step t sums to ``W_t + √(2ητ) (ξ_t − ξ_0)/2``, which is off the
Brownian path by ``√(ητ)``. Without noise it is gradient descent, of order 1.

OBABO is a half step of friction and noise (O), half a kick (B), a drift (A), half a kick and
half a step of friction and noise. The gradient at the end of a step is that at the start of the
next, so that the kernel joins what lies between two drifts: B O O B. The velocity it keeps is the
one that carries the particle from θ_t to θ_{t+1}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.float64]

#: Friction of the kinetic dynamics when none is given.
FRICTION = 1.0


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of some steps: arrays (n_steps, C), but (n_steps, J, C) for `noise`.

    Each of a step's J increments has an amplitude; without velocities `drift` is None. Frozen
    coordinates have decay 1, gain 0, noise 0 and drift 0.
    """

    decay: Array
    gain: Array
    noise: Array
    drift: Array | None = None

    def at(self, i: int) -> Coefficients:
        """Return those of the one step `i`."""
        one = slice(i, i + 1)
        drift = None if self.drift is None else self.drift[one]
        return Coefficients(self.decay[one], self.gain[one], self.noise[one], drift)


@dataclass(frozen=True)
class Steps:
    """Step sizes and temperatures of some steps and of those before them, shape (n_steps, 1).

    Before the first step of a run both are 0.
    """

    size: Array
    temperature: Array
    size_before: Array
    temperature_before: Array


#: What `Integrator.coefficients` gives.
Update: TypeAlias = tuple[Array, Array, tuple[Array, ...], Array | None]


@dataclass(frozen=True)
class Integrator:
    """A time integrator.

    Its orders are those of the module's table, `gradients_per_step` is its cost. `coefficients`
    makes of ``(l2, steps)`` the arrays ``(decay, gain, (noise, ...), drift)``, which broadcast to
    (n_steps, C), with a `drift` of None without velocities. `stride` and `shift` say which
    increments of the Brownian path a step takes, see the module.
    """

    name: str
    strong_order: float
    stationary_order: float
    gradients_per_step: int
    coefficients: Callable[[Array, Steps], Update] = field(repr=False)  # its address differs
    stride: int = 1
    shift: int = 0

    @property
    def has_velocity(self) -> bool:
        """Whether particles have velocities."""
        return self.stride == 2


def _euler(l2: Array, steps: Steps) -> Update:
    noise = np.sqrt(2 * steps.size * steps.temperature)
    return 1 - steps.size * l2, steps.size, (noise,), None


def _exponential_euler(l2: Array, steps: Steps) -> Update:
    # −expm1(−z)/z is the exact average of the contraction over the step; 1 at z = 0.
    rate = steps.size * l2
    noise = np.sqrt(2 * steps.size * steps.temperature * _phi(2 * rate))
    return np.exp(-rate), steps.size * _phi(rate), (noise,), None


def _leimkuhler_matthews(l2: Array, steps: Steps) -> Update:
    decay, gain, (noise,), _ = _euler(l2, steps)
    return decay, gain, (noise / 2, noise / 2), None


@dataclass(frozen=True)
class _Obabo:
    """Coefficients of the step B O O B A, the first of a run O B A."""

    friction: float

    def __call__(self, l2: Array, steps: Steps) -> Update:
        friction = self.friction
        before, now = (np.exp(-friction * h / 2) for h in (steps.size_before, steps.size))
        first = np.sqrt(steps.temperature_before * -np.expm1(-friction * steps.size_before))
        second = np.sqrt(steps.temperature * -np.expm1(-friction * steps.size))
        kick = (before * now * steps.size_before + steps.size) / 2
        return before * now, kick, (now * first, second), steps.size


def _phi(z: Array) -> Array:
    """(1 − exp(−z)) / z, continued by 1 at 0."""
    safe = np.where(z == 0, 1.0, z)
    return np.where(z == 0, 1.0, -np.expm1(-safe) / safe)


def kinetic(friction: float = FRICTION) -> Integrator:
    """Return the kinetic (underdamped) Langevin dynamics by OBABO splitting, of friction γ > 0.

    Time is that of the kinetic dynamics: with large γ the particles follow the overdamped path at
    the speed 1/γ. The name is ``"kinetic"``, or ``"kinetic(γ)"`` for another friction than 1.
    """
    friction = checks.positive("friction", friction)
    name = "kinetic" if friction == FRICTION else f"kinetic({friction:g})"
    if float(f"{friction:g}") != friction:
        name = f"kinetic({friction!r})"
    # Each half step of friction takes its own increment; a step begins with the last one of the
    # step before, whose gradient it had to wait for.
    return Integrator(name, 1.0, 2.0, 1, _Obabo(friction), stride=2, shift=-1)


INTEGRATORS: dict[str, Integrator] = {
    "euler": Integrator("euler", 1.0, 1.0, 1, _euler),
    "exponential-euler": Integrator("exponential-euler", 1.0, 1.0, 1, _exponential_euler),
    "leimkuhler-matthews": Integrator("leimkuhler-matthews", 0.5, 2.0, 1, _leimkuhler_matthews),
    "kinetic": kinetic(),
}


def get_integrator(name: str | Integrator) -> Integrator:
    """Return the integrator of that name, a key of `INTEGRATORS`; one that is given comes back.

    Underscores and capitals are allowed; ``"kinetic(0.5)"`` gives the friction, and ``"obabo"``,
    the name of its splitting, means ``"kinetic"``.
    """
    if isinstance(name, Integrator):
        return name
    if isinstance(name, str):
        name = name.strip().lower().replace("_", "-")
        name = re.sub(r"^obabo\b", "kinetic", name)
        given = re.fullmatch(r"kinetic\((?:friction=)?([^()]*)\)", name)
        if given:
            try:
                friction = float(given[1])
            except ValueError:
                raise ArgumentError(
                    "integrator",
                    message=f"The friction in {name!r} must be a number, as in 'kinetic(0.5)'.",
                ) from None
            return kinetic(friction)
    return INTEGRATORS[checks.choice("integrator", name, INTEGRATORS)]


def step_coefficients(problem: Problem, integrator: Integrator, steps: Steps) -> Coefficients:
    """Return the coefficients of some steps for the coordinates of `problem`."""
    l2, trained = coordinate_l2(problem), trained_coordinates(problem)
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is caught by name
        decay, gain, noise, drift = integrator.coefficients(l2, steps)
    shape = (len(steps.size), len(l2))

    def trained_only(values: Array, otherwise: float = 0.0) -> Array:
        return np.where(trained, np.broadcast_to(values, shape), otherwise)

    return Coefficients(
        decay=trained_only(decay, 1.0),
        gain=trained_only(gain),
        noise=np.stack([trained_only(part) for part in noise], axis=1),
        drift=None if drift is None else trained_only(drift),
    )


def some_steps(step_sizes: Array, temperatures: Array, first: int, last: int) -> Steps:
    """Return steps ``first .. last - 1`` of a run, as `Integrator.coefficients` takes them."""

    def column(values: Array, back: int) -> Array:
        part = values[max(first - back, 0) : last - back]
        return np.concatenate([np.zeros(last - first - len(part)), part])[:, None]

    return Steps(
        column(step_sizes, 0),
        column(temperatures, 0),
        column(step_sizes, 1),
        column(temperatures, 1),
    )


def coordinate_l2(problem: Problem) -> Array:
    """Return the L2 strength of every coordinate, shape (C,)."""
    k, inner = problem.n_outputs, problem.n_features + int(problem.bias)
    return np.array([problem.l2_output] * k + [problem.l2_input] * inner, dtype=float)


def trained_coordinates(problem: Problem) -> NDArray[np.bool_]:
    """Return whether each coordinate is trained, shape (C,)."""
    parts = ["a"] * problem.n_outputs + ["w"] * problem.n_features + ["b"] * int(problem.bias)
    return np.isin(parts, list(problem.train))
