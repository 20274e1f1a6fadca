"""Everything that determines a path of the particles, bound to the compiled step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meanfield.flow import kernels
from meanfield.flow.checkpoint import fingerprint
from meanfield.flow.integrators import Coefficients, Integrator, step_coefficients

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

    Parameters
    ----------
    problem : Problem
        Data, network, loss, regularisation.
    integrator : Integrator
        Time integrator.
    step_size : float
        Step size η.
    temperatures : ndarray, shape (n_steps,)
        Temperature τ_t of each step.
    seed : int
        Seed of the noise.
    first_replica : int
        Noise index of replica 0; replica r uses ``first_replica + r``.
    substeps : int
        Each step uses the normalised sum of this many consecutive increments.
    drive : ndarray, shape (n_steps, n, k), or None
        Predictions that replace the network's own in the gradient (McKean–Vlasov copies).
    dtype : str
        ``"float64"`` or ``"float32"``.
    weights : ndarray, shape (n,), or None
        Weight of each datum in the loss, of mean 1; None weighs all alike.
    """

    problem: Problem
    integrator: Integrator
    step_size: float
    temperatures: NDArray[np.float64]
    seed: int
    first_replica: int = 0
    substeps: int = 1
    drive: NDArray[np.float64] | None = None
    dtype: str = "float64"
    weights: NDArray[np.float64] | None = None

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.temperatures)

    @cached_property
    def _inputs(self) -> Array:
        return self.problem.X.astype(self.dtype)

    @cached_property
    def _coefficients(self) -> Coefficients:
        return step_coefficients(self.problem, self.integrator, self.step_size, self.temperatures)

    def fingerprint(self, start: Array, save_at: NDArray[np.int64]) -> str:
        """Return a digest of everything that the saved states depend on."""
        weights = () if self.weights is None else (self.weights,)
        return fingerprint(
            *weights,
            self.problem.fingerprint,
            self.integrator.name,
            self.step_size,
            self.temperatures,
            self.seed,
            self.first_replica,
            self.substeps,
            self.drive,
            start,
            save_at,
        )

    def predictions(self, theta: Array) -> Array:
        """Return f on the training inputs, float64 of shape (R, n, k), for a state (R, C, N)."""
        problem = self.problem
        return kernels.forward(theta, self._inputs, problem.activation.code, problem.n_outputs)

    def advance(
        self, theta: Array, first_step: int, last_step: int, predictions: Array | None = None
    ) -> None:
        """Advance `theta` in place from `first_step` to `last_step`.

        Parameters
        ----------
        theta : ndarray, shape (R, C, N)
            State at `first_step`; afterwards the state at `last_step`.
        first_step, last_step : int
            Step numbers.
        predictions : ndarray of float64, shape (R, last_step - first_step, n, k), optional
            Filled with f before each step.

        Raises
        ------
        Diverged
            A prediction or a particle stopped being finite.
        """
        steps = slice(first_step, last_step)
        coefficients = self._coefficients
        step, replica = kernels.advance(
            theta,
            self._inputs,
            self.problem.targets,
            first_step=first_step,
            seed=self.seed,
            replica0=self.first_replica,
            decay=coefficients.decay,
            gain=coefficients.gain,
            noise=coefficients.noise[steps],
            activation=self.problem.activation.code,
            loss=self.problem.loss.code,
            drive=None if self.drive is None else self.drive[steps],
            weights=self.weights,
            predictions_out=predictions,
            substeps=self.substeps,
        )
        if step >= 0:
            raise Diverged(step, replica - self.first_replica)
