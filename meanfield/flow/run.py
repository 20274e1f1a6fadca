"""The result of a simulation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.flow.integrators import coordinate_l2, trained_coordinates
from meanfield.flow.particles import Particles, check_layout
from meanfield.flow.scheme import Scheme
from meanfield.problem.validation import as_inputs
from meanfield.system import storage
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from meanfield.problem import Problem
    from meanfield.problem.activations import Activation
    from meanfield.statistics.estimate import Estimate

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Run:
    """Particles and predictions of one simulation at its saved steps.

    Attributes
    ----------
    problem : Problem
        What was learned.
    steps : ndarray of int, shape (T,)
        The saved steps, ascending.
    trajectory : tuple of Particles
        The particles at each saved step.
    predictions : ndarray, shape (R, T, n) or (R, T, n, k)
        Network outputs on the training inputs at each saved step.
    scheme : Scheme
        How the particles moved: step sizes, temperatures, integrator, seed and so on.
    first_replica : int
        Noise index of the first replica.
    driven : bool
        Whether predictions of another origin stood for the networks' own in the gradient.
    loss_path : ndarray, shape (R, n_steps + 1), or None
        Risk at every step, saved or not; None where it was not asked for. The risk on the data of
        `problem`, whatever a minibatch saw.
    observed : dict of str to ndarray, shape (R, T', …)
        What was observed, by name: values of every replica at each of the `observed_steps`.
    observed_steps : ndarray of int, shape (T',)
        The steps that were observed, ascending.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(3), [1.0, 0.0, -1.0])
    >>> run = mf.simulate(problem, 64, 0.2, 100, n_replicas=2, save_at=[0, 50, 100])
    >>> run.times, run.loss.shape, run.predictions.shape, run.particles.w.shape
    (array([ 0., 10., 20.]), (2, 3), (2, 3, 3), (2, 64, 3))
    >>> bool((run.loss[:, -1] < run.loss[:, 0]).all())
    True
    """

    problem: Problem
    steps: NDArray[np.int64]
    trajectory: tuple[Particles, ...]
    predictions: Array
    scheme: Scheme
    first_replica: int = 0
    driven: bool = False
    loss_path: NDArray[np.float64] | None = None
    observed: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    observed_steps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def step_size(self) -> float | NDArray[np.float64]:
        """The step size, one number where it is constant, else that of every step."""
        return self.scheme.step_size

    @property
    def seed(self) -> int:
        """Seed of the noise and of the initial law."""
        return self.scheme.seed

    @property
    def particles(self) -> Particles:
        """The particles at the last saved step."""
        return self.trajectory[-1]

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each saved step, the sum of the step sizes before it, shape (T,)."""
        return self.scheme.elapsed(self.steps)

    @property
    def loss(self) -> NDArray[np.float64]:
        """Risk ``R(f) = (1/n) Σ_j ℓ(f(x_j), y_j)`` at each saved step, shape (R, T)."""
        return self.problem.risk(self.predictions)

    @property
    def regularised_risk(self) -> NDArray[np.float64]:
        """Risk plus ``½ mean (λ_a |a|² + λ_w |(w, b)|²)`` over what is trained, shape (R, T)."""
        penalties = [penalty(self.problem, particles) for particles in self.trajectory]
        return self.loss + np.stack(penalties, axis=1)

    def at(self, step: int) -> Particles:
        """Return the particles at a saved step.

        Parameters
        ----------
        step : int
            One of `steps`.

        Returns
        -------
        Particles

        Raises
        ------
        ValueError
            The step was not saved.
        """
        position = np.flatnonzero(self.steps == step)
        if len(position) == 0:
            saved = ", ".join(map(str, self.steps[:8])) + (", ..." if len(self.steps) > 8 else "")
            raise ValueError(
                f"Step {step} was not saved (saved: {saved}); add it to save_at and run again."
            )
        return self.trajectory[int(position[0])]

    def predict(self, X: ArrayLike, step: int | None = None) -> NDArray[np.float64]:
        """Return the network outputs at new inputs.

        Parameters
        ----------
        X : array_like, shape (m, d)
            Inputs.
        step : int, optional
            A saved step; the last one by default.

        Returns
        -------
        ndarray, shape (R, m) or (R, m, k)
            ``f(x) = (1/N) Σ_i a_i σ(⟨w_i, x⟩ + b_i)``.
        """
        particles = self.particles if step is None else self.at(step)
        return predict(self.problem, particles, X)

    def score(self, step: int | None = None) -> Estimate:
        """Return whether the networks have learned: R² of the squared loss, else their accuracy.

        Parameters
        ----------
        step : int, optional
            A saved step; the last one by default.

        Returns
        -------
        Estimate
            On the held-out rows, or on the training rows where the problem has none; mean over the
            replicas, with an interval over rows and replicas.
        """
        return score(self.problem, self.particles if step is None else self.at(step))

    def plot(
        self, ax: Axes | None = None, label: str | None = None, color: str | None = None
    ) -> Axes:
        """Draw the loss over time, every replica and their mean: at every step where that is known.

        Several runs on the same axes differ in colour. Of fewer than four saved steps, where
        those are all that is known, no line is drawn.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.
        label : str, optional
            What the legend says; number of particles and temperature by default.
        color : str, optional
            A colour of matplotlib's; the next of the palette by default.

        Returns
        -------
        matplotlib Axes
        """
        from meanfield.plots.loss import plot_replicas

        return plot_replicas(self.to_xarray(), ax, label, color)

    def animate(
        self,
        path: str | os.PathLike[str],
        *,
        atoms: Any = None,
        replica: int = 0,
        projection: ArrayLike | None = None,
        frames_per_second: float = 10.0,
    ) -> Path:
        """Write an animation of the particles over the saved steps, a GIF.

        A dot is a neuron: its size follows the output weight, its colour the sign. With one input
        weight and bias are shown, with two the input weights, with more a projection of them.

        Parameters
        ----------
        path : path-like
            Where to, ending in ``.gif``.
        atoms : Dictionary or Atoms, optional
            Drawn as rings.
        replica : int
            The network that is shown.
        projection : array_like, shape (2, d), optional
            What is shown of more than one input weight; by default both of two, else the two
            directions that hold most of the neurons at the last step.
        frames_per_second : float
            How fast.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ValueError, TypeError
            Fewer than two steps were saved, or an argument cannot be used.
        """
        from meanfield.plots.animation import animated_particles

        path = Path(path)
        if path.suffix.lower() != ".gif":
            raise ArgumentError("path", f"must end in .gif, got {str(path)!r}.")
        if len(self.steps) < 2:
            raise ValueError(
                "An animation needs saved steps; run again with save_at=range(0, n_steps + 1, 10)."
            )
        if checks.count("replica", replica, minimum=0) >= self.particles.n_replicas:
            raise ArgumentError(
                "replica", f"must be below {self.particles.n_replicas}, got {replica!r}."
            )
        d = self.problem.n_features
        plane = None if projection is None else checks.numbers("projection", projection)
        if plane is not None and (plane.shape != (2, d) or d == 1):
            raise ArgumentError("projection", f"must have shape (2, {d}), got {plane.shape}.")
        found = getattr(atoms, "function", atoms)
        rings = None if found is None else (np.asarray(found.w), np.asarray(found.b))
        picture = animated_particles(
            self.to_xarray(),
            atoms=rings,
            replica=int(replica),
            projection=plane,
            frames_per_second=checks.positive("frames_per_second", frames_per_second),
        )
        storage.write_atomic(path, picture)
        return path

    def to_xarray(self) -> xr.Dataset:
        """Return the run as a dataset: replica, step, particle, feature, datum, in this order.

        Returns
        -------
        xarray.Dataset
            Variables `a`, `w`, `b` (when there is a bias), `predictions` and `loss`; with the loss
            at every step also `loss_path`, of dimensions replica and path_step; of what was
            observed `observed_NAME`, of dimensions replica, observed_step and its own.
        """
        import xarray as xr

        outputs = ("output",) if self.problem.vector_output else ()
        points = ("replica", "step", "particle")
        variables: dict[str, Any] = {
            "a": ((*points, *outputs), np.stack([p.a for p in self.trajectory], axis=1)),
            "w": ((*points, "feature"), np.stack([p.w for p in self.trajectory], axis=1)),
            "predictions": (("replica", "step", "datum", *outputs), self.predictions),
            "loss": (("replica", "step"), self.loss),
        }
        if self.problem.bias:
            b = np.stack([np.asarray(p.b) for p in self.trajectory], axis=1)
            variables["b"] = (points, b)
        coordinates: dict[str, Any] = {"step": self.steps, "time": ("step", self.times)}
        if self.loss_path is not None:
            variables["loss_path"] = (("replica", "path_step"), self.loss_path)
            coordinates["path_time"] = ("path_step", self.scheme.times)
        for name, values in self.observed.items():
            axes = [f"{name}_axis_{i}" for i in range(values.ndim - 2)]
            variables[f"observed_{name}"] = (("replica", "observed_step", *axes), values)
        if self.observed:
            coordinates["observed_step"] = self.observed_steps
            coordinates["observed_time"] = (
                "observed_step", self.scheme.elapsed(self.observed_steps),
            )  # fmt: skip
        info = {**self.scheme.info, "first_replica": self.first_replica, "driven": self.driven}
        attributes: dict[str, Any] = {key: str(value) for key, value in info.items()}
        attributes["step_size"] = self.scheme.step_size
        attributes["temperature"] = self.scheme.temperature
        return described(xr.Dataset(variables, coords=coordinates, attrs=attributes))

    def __repr__(self) -> str:
        return (
            f"Run({self.particles!r}, steps={self.steps[0]}..{self.steps[-1]} "
            f"({len(self.steps)} saved), time={self.times[-1]:g}, "
            f"loss={float(np.mean(self.loss[:, -1])):.4g})"
        )


def predict(problem: Problem, particles: Particles, X: ArrayLike) -> NDArray[np.float64]:
    """Return the outputs of networks at inputs of the user's.

    Parameters
    ----------
    problem : Problem
        Gives the activation.
    particles : Particles
        The networks.
    X : array_like, shape (m, d)
        Inputs.

    Returns
    -------
    ndarray, shape (R, m) or (R, m, k)
        ``f(x) = (1/N) Σ_i a_i σ(⟨w_i, x⟩ + b_i)``.

    Raises
    ------
    ValueError, TypeError
        The particles belong to another kind of network, or X has another number of columns than
        the problem or holds NaN or no real numbers.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> problem = mf.Problem(np.eye(2), [1.0, 2.0], activation="identity", bias=False)
    >>> network = mf.Particles(a=np.array([[2.0, 4.0]]), w=np.eye(2)[None])
    >>> mf.predict(problem, network, [[1.0, 1.0]])  # (2·1 + 4·1)/2
    array([[3.]])
    """
    check_layout(problem, particles)
    outputs = network_outputs(problem.activation, particles, as_inputs(X, "X", problem.n_features))
    return outputs if problem.vector_output else outputs[..., 0]


def score(problem: Problem, particles: Particles) -> Estimate:
    """Return the score of networks on the held-out rows, or else on those that they trained on."""
    X_test = problem.X_test
    predictions = predict(problem, particles, problem.X if X_test is None else X_test)
    return problem.score(predictions, held_out=X_test is not None)


def penalty(problem: Problem, particles: Particles) -> NDArray[np.float64]:
    """Return ``½ mean (λ_a |a|² + λ_w |(w, b)|²)`` over what is trained, per replica."""
    strength = coordinate_l2(problem) * trained_coordinates(problem)
    return np.asarray(0.5 * np.square(particles.coordinates).mean(axis=1) @ strength)


def network_outputs(
    activation: Activation, particles: Particles, X: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the outputs (R, m, k) of networks at checked inputs (m, d)."""
    from meanfield.flow.compiled import particle_step  # compiled when first used

    n_outputs = particles.a.shape[2] if particles.a.ndim == 3 else 1
    theta = np.ascontiguousarray(particles.coordinates.swapaxes(1, 2), dtype=float)
    return particle_step.forward(theta, X, activation.code, n_outputs)
