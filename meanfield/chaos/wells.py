"""The wells of the potential that late particles see, and how far apart partners may be in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from meanfield.chaos.metrics import folded_squares
from meanfield.errors import DivergenceError
from meanfield.flow.integrators import get_integrator
from meanfield.flow.particles import Particles, particles_at
from meanfield.flow.simulate import simulate_scheme

if TYPE_CHECKING:
    from meanfield.chaos.chaos_plan import ChaosPlan
    from meanfield.limit.mean_field import MeanFieldPath

Array = NDArray[np.float64]

#: Noise index of the particles that descend, away from every replica's and the reference's.
_REPLICA = 2**32 - 2
_PARTICLES = 256
_STEPS, _ROUNDS = 500, 20
_HALVINGS = 6
#: Minima closer than this part of the size of the particles are one.
_ONE = 0.1
#: Wells that hold less than this share of the particles are passed over.
_OCCUPIED = 0.02


@dataclass(frozen=True, eq=False)
class Wells:
    """Minima of the frozen potential that late particles descend into.

    Attributes
    ----------
    minima : ndarray, shape (S, C)
        Coordinates ``(a, w, b)``, those that hold most particles first.
    occupation : ndarray, shape (S,)
        Share of the late particles in each; wells below 2 % are left out.
    n_modulo : int
        Number of wells modulo the realisation symmetry.
    size : float
        Partners further apart than this are called separated: half the least distance between two
        minima, with one well twice the spread of the particles about it.
    spread : float
        Root mean square distance of late particles from their minimum.
    """

    minima: Array
    occupation: Array
    n_modulo: int
    size: float
    spread: float

    @property
    def n_wells(self) -> int:
        """Number of wells S."""
        return len(self.occupation)

    def to_arrays(self) -> dict[str, Array]:
        """Return the fields as arrays, to be saved."""
        return {field.name: np.array(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Wells:
        """Return what `to_arrays` gave."""
        return cls(
            minima=arrays["minima"],
            occupation=arrays["occupation"],
            n_modulo=int(arrays["n_modulo"]),
            size=float(arrays["size"]),
            spread=float(arrays["spread"]),
        )


def find_wells(plan: ChaosPlan, path: MeanFieldPath) -> Wells:
    r"""Find the wells by descent, in the potential :math:`V[µ_T]` of the last time.

    Independent particles of the limit run up to the last time; then they descend the potential,
    held fixed, by steps of the run without noise. Where they come to rest are the minima.
    """
    last = plan.times[-1]
    late = simulate_scheme(
        plan.problem,
        plan.scheme,
        _PARTICLES,
        save_at=[last],
        drive=path,
        first_replica=_REPLICA,
    ).particles
    rest = _descend(plan, path.predictions[last], late)
    points, minima = late.coordinates[0].astype(float), rest.coordinates[0].astype(float)
    moving = np.ptp(points, axis=0) > 0
    scale = float(np.sqrt(np.square(points[:, moving]).sum(axis=1).mean()))
    spread = float(np.sqrt(np.square(points - minima).sum(axis=1).mean()))
    label = _clusters(_pairs(rest, rest, plan) <= (_ONE * scale) ** 2)
    counts = np.bincount(label)
    order = np.argsort(-counts, kind="stable")
    kept = order[counts[order] >= _OCCUPIED * len(label)]
    kept = kept if len(kept) else order[:1]
    centres = np.array([minima[label == well].mean(axis=0) for well in kept])
    found = particles_at(plan.problem, centres[None])
    n_modulo = _clusters(_pairs(found, found, plan, folded=True) <= (_ONE * scale) ** 2).max() + 1
    size = 2 * spread
    if len(kept) > 1:
        apart = _pairs(found, found, plan)
        size = 0.5 * float(np.sqrt(apart[np.triu_indices(len(kept), 1)].min()))
    return Wells(centres, counts[kept] / len(label), int(n_modulo), size, spread)


def _descend(plan: ChaosPlan, predictions: Array, particles: Particles) -> Particles:
    """Let particles come to rest in the potential of fixed predictions."""
    scheme = plan.scheme.steady(_STEPS)
    exponential = scheme.integrator.name == "exponential-euler"
    scheme = replace(
        scheme,
        temperature=0.0,
        integrator=scheme.integrator if exponential else get_integrator("euler"),
        minibatch=None,
        substeps=1,
        dtype="float64",
    )
    drive = np.broadcast_to(predictions, (_STEPS, *predictions.shape))
    scale = np.abs(particles.coordinates).max()
    for _ in range(_ROUNDS):
        for _ in range(_HALVINGS):
            try:
                moved = simulate_scheme(plan.problem, scheme, start=particles, drive=drive)
                break
            except DivergenceError:  # what other integrators bear may be too much for this one
                scheme = replace(scheme, step_size=scheme.step_size / 2)
        else:
            return particles
        before, particles = particles, moved.particles
        if np.abs(particles.coordinates - before.coordinates).max() < 1e-4 * scale:
            break
    return particles


def _pairs(x: Particles, y: Particles, plan: ChaosPlan, *, folded: bool = False) -> Array:
    """Squared distances of all pairs of two networks, (N, M)."""
    rows = []
    for i in range(x.n_particles):
        one = Particles(
            np.broadcast_to(x.a[:, i : i + 1], y.a.shape),
            np.broadcast_to(x.w[:, i : i + 1], y.w.shape),
            None if x.b is None else np.broadcast_to(x.b[:, i : i + 1], y.w.shape[:2]),
        )
        activation = plan.problem.activation if folded else None
        rows.append(folded_squares(one, y, activation)[0])
    return np.array(rows)


def _clusters(near: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Label points that are joined by steps between near ones."""
    return np.asarray(connected_components(near, directed=False)[1], dtype=np.int64)
