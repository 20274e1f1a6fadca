"""Everything that determines a path of the particles, bound to the compiled step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.flow import noise
from meanfield.flow.checkpoint import fingerprint
from meanfield.flow.compiled import particle_step
from meanfield.flow.compiled.structures import NoiseCounters, make_data, make_factors
from meanfield.flow.integrators import Coefficients, coordinate_l2, trained_coordinates
from meanfield.flow.minibatch import Minibatch
from meanfield.flow.scheme import Scheme

if TYPE_CHECKING:
    from meanfield.problem import Problem

Array = NDArray[np.floating]


class Diverged(ArithmeticError):
    """A path left the finite numbers at a step, in a replica."""

    def __init__(self, step: int, replica: int):
        super().__init__(f"not finite at step {step} of replica {replica}")
        self.step = step
        self.replica = replica


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Noisy gradient descent of the particles of one problem.

    Replica r uses the noise of index ``first_replica + r``. `drive` (n_steps, n, k) are
    predictions that replace the network's own in the gradient (McKean–Vlasov copies); `weights`
    (n,), of mean 1, weigh the data in the loss. Where minibatches are drawn, predictions along the
    way are of all data at the steps `full_at` (None for every step), else of the batch alone.

    A *state* is an array (R, rows, N): C rows of positions, C of velocities if the integrator has
    them, C of the anchor if the minibatches have one.
    """

    problem: Problem
    scheme: Scheme
    first_replica: int = 0
    drive: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    full_at: frozenset[int] | None = None

    @cached_property
    def _inputs(self) -> Array:
        return self.problem.X.astype(self.scheme.dtype)

    @cached_property
    def _l2(self) -> Array:
        return coordinate_l2(self.problem)

    @property
    def _minibatch(self) -> Minibatch | None:
        """How gradients are estimated; a batch of all data, or more, is no estimate."""
        minibatch = self.scheme.minibatch
        return minibatch if minibatch and minibatch.size < self.problem.n_data else None

    @property
    def _has_anchor(self) -> bool:
        return self._minibatch is not None and self._minibatch.anchor_period is not None

    @property
    def n_rows(self) -> int:
        """Rows of a state."""
        has_velocity = self.scheme.integrator.has_velocity
        return self.problem.n_coordinates * (1 + has_velocity + self._has_anchor)

    def start(self, positions: Array) -> Array:
        """Return the state at step 0 of particles (R, C, N); velocities are from N(0, τ_0)."""
        C, scheme, parts = self.problem.n_coordinates, self.scheme, [positions]
        if scheme.integrator.has_velocity:
            spread = np.sqrt(scheme.temperatures[0]) if scheme.n_steps else 0.0
            scale = (spread * trained_coordinates(self.problem))[:, None]
            replicas = range(self.first_replica, self.first_replica + len(positions))
            normals = [
                noise.gaussian(scheme.seed, r, 1, positions.shape[2], C, stream=noise.INITIAL)
                for r in replicas
            ]
            parts.append((scale * np.array(normals)).astype(scheme.dtype))
        if self._has_anchor:
            parts.append(positions)
        return np.concatenate(parts, axis=1) if len(parts) > 1 else positions

    def positions(self, state: Array) -> Array:
        """Return the particles of a state, shape (R, C, N)."""
        return np.ascontiguousarray(state[:, : self.problem.n_coordinates])

    def fingerprint(self, start: Array, save_at: NDArray[np.int64]) -> str:
        """Return a digest of everything that the saved states depend on."""
        weights = () if self.weights is None else (self.weights,)
        return fingerprint(
            *weights,
            self.problem.fingerprint,
            self.scheme.fingerprint,
            self.first_replica,
            self.drive,
            start,
            save_at,
        )

    def predictions(self, state: Array) -> Array:
        """Return f on the training inputs, float64 of shape (R, n, k), for a state."""
        return self._predictions(state, slice(None))

    def _predictions(self, state: Array, data: Any) -> Array:
        problem = self.problem
        return particle_step.forward(
            self.positions(state), self._inputs[data], problem.activation.code, problem.n_outputs
        )

    def advance(
        self, state: Array, first_step: int, last_step: int, predictions: Array | None = None
    ) -> None:
        """Advance `state` in place from `first_step` to `last_step`.

        `predictions`, float64 of shape (R, last_step - first_step, n, k), is filled with f before
        each step. What stops being finite is raised as `Diverged`.
        """
        step = self.scheme.coefficients(self.problem, first_step, last_step)
        minibatch = self._minibatch
        if minibatch is None:
            self._call(state, slice(None), first_step, step, predictions_out=predictions)
            return
        alike = len(state) if minibatch.shared else 1
        for r in range(0, len(state), alike):
            of = slice(r, r + alike)
            filled = None if predictions is None else predictions[of]
            self._advance_in_batches(minibatch, state[of], r, first_step, step, filled)

    def _call(
        self, state: Array, data: Any, first_step: int, step: Coefficients, r: int = 0, **more: Any
    ) -> None:
        """Make steps of some replicas, `r` the first of them, on some of the data."""
        steps = slice(first_step, first_step + len(step.noise))
        problem = self.problem
        lost, replica = particle_step.advance(
            state,
            make_data(
                self._inputs[data],
                problem.targets[data],
                problem.n_coordinates - problem.n_outputs,
                state.dtype,
                drive=None if self.drive is None else self.drive[steps, data],
                weights=None if self.weights is None else self.weights[data],
            ),
            make_factors(
                step.decay, step.gain, step.noise, problem.n_outputs, drift=step.drift, l2=self._l2
            ),
            NoiseCounters(
                np.uint64(self.scheme.seed),
                first_step,
                self.first_replica + r,
                self.scheme.integrator.stride,
                self.scheme.integrator.shift,
                self.scheme.substeps,
            ),
            activation=problem.activation.code,
            loss=problem.loss.code,
            **more,
        )
        if lost >= 0:
            raise Diverged(lost, replica - self.first_replica)

    def _gradient(self, positions: Array, r: int, t: int, data: Any = slice(None)) -> Array:
        """Return the gradient of the data part for some replicas, shape (R, C, N)."""
        C = self.problem.n_coordinates
        gradient, zero = positions.copy(), np.zeros((1, C))
        # A step of decay 0, gain −1 and no noise.
        gain = np.where(trained_coordinates(self.problem), -1.0, 0.0)[None]
        self._call(gradient, data, t, Coefficients(zero, gain, zero[:, None]), r)
        return gradient

    def _advance_in_batches(
        self,
        minibatch: Minibatch,
        state: Array,
        r: int,
        first_step: int,
        steps: Coefficients,
        predictions: Array | None,
    ) -> None:
        """Advance replicas that see the same batches, `r` the first of them, a batch at a time."""
        period, everywhere = minibatch.anchor_period, self.full_at
        C, n = self.problem.n_coordinates, self.problem.n_data
        anchor, full = state[:, -C:], None
        for i in range(len(steps.noise)):
            t, step = first_step + i, steps.at(i)
            batch = minibatch.draw(self.scheme.seed, self.first_replica + r, t, n)
            if predictions is not None:
                seen = slice(None) if everywhere is None or t in everywhere else batch
                predictions[:, i, seen] = self._predictions(state, seen)
            correction = None
            if period is not None:
                set_at = t - t % period  # a drive, too, is taken where the anchor was set
                if t == set_at:
                    anchor[:] = state[:, :C]
                if full is None or t == set_at:
                    full = self._gradient(anchor, r, set_at)
                correction = full - self._gradient(anchor, r, set_at, batch)
            self._call(state, batch, t, step, r)
            if correction is not None:
                kick = (step.gain[0][:, None] * correction).astype(state.dtype)
                if step.drift is None:
                    state[:, :C] -= kick
                else:
                    state[:, C : 2 * C] -= kick
                    state[:, :C] -= (step.drift[0][:, None] * kick).astype(state.dtype)
