"""The error budget: components with intervals, laws and advice."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from meanfield.decomposition.error_plan import Array
from meanfield.decomposition.laws import Advice, Decay
from meanfield.dictionary import ThresholdNumber
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.power_law import PowerLaw

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

COMPONENTS = ("tail", "regularisation", "statistical", "optimisation", "chaos", "sparse")


@dataclass(frozen=True, eq=False, repr=False)
class Component(Estimate):
    """One component of the error, as an L² norm on held-out inputs.

    The estimate is the root of the mean over replicas of the squared norm. Its interval is over
    replicas, for ``tail`` and ``regularisation`` over held-out inputs; there is none for these
    with a single held-out input.

    Attributes
    ----------
    norms : ndarray, shape (R,)
        Norm in each replica.
    contribution : Estimate
        ``⟨Δ_k, Δ⟩ / ‖Δ‖``, what the component adds to the total error ``Δ``, negative where it
        takes some off; the interval is over replicas and held-out inputs. They sum to the total.
    resolution : float
        Size that the error of the intermediates themselves gives the component.
    meaning : str
        From what to what.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> target = mf.problem.Teacher([1.0], [[1.5, 0.0]], activation="tanh")
    >>> X = np.random.default_rng(0).normal(size=(32, 2))
    >>> problem = mf.Problem(X, target(X), activation="tanh", bias=False, l2=0.1, temperature=0.01)
    >>> budget = mf.decompose_error(
    ...     problem, target, n_particles=16, n_steps=20, step_size=0.5, n_atoms=1, n_replicas=4,
    ...     n_population=64, particle_counts=[4, 8, 16], data_counts=[8, 16, 32], n_test=50)
    >>> chaos = budget.components["chaos"]
    >>> chaos.meaning, chaos.norms.shape, chaos.contribution.known
    ('to N = 16 particles', (4,), True)
    """

    norms: Array = field(default_factory=lambda: np.empty(0))
    contribution: Estimate = field(default_factory=lambda: Estimate(np.nan))
    resolution: float = 0.0
    meaning: str = ""

    def __repr__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, eq=False)
class ErrorBudget:
    """Where the error of a trained and compressed network comes from.

    Attributes
    ----------
    components : dict of str to Component
        ``tail``, ``regularisation``, ``statistical``, ``optimisation``, ``chaos``, ``sparse``.
        Their contributions sum to the total; their norms only bound it.
    total : Component
        ``‖f* − f_S‖``.
    score : Estimate
        R² of the network that is kept on the held-out inputs, over these and the replicas.
    closure : float
        Largest ``‖Σ differences − (f* − f_S)‖ / ‖f* − f_S‖`` over replicas: rounding.
    statistical_rate, chaos_rate : PowerLaw
        Laws of the squared components in n and in N, of slope −1 in theory.
    chaos_predicted : Estimate or None
        What N times the square of ``chaos`` is predicted to be, with nothing fitted; None where it
        was not asked for.
    decay : Decay
        Exponential law of the optimisation component in t.
    advice : Advice
        What to increase first.
    bounds : tuple of ThresholdNumber
        Hermite coefficients, Barron–Hermite norm and threshold number of the target, one per
        output; empty for data.
    moves : tuple of float
        Relative move of the population network's time average, round by round: the stopping rule.
    settled : bool
        Whether the last move is below the tolerance.
    notes : tuple of str
        Cautions.
    dataset : xarray.Dataset
        All of it.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> target = mf.problem.Teacher([1.0], [[1.5, 0.0]], activation="tanh")
    >>> X = np.random.default_rng(0).normal(size=(32, 2))
    >>> problem = mf.Problem(X, target(X), activation="tanh", bias=False, l2=0.1, temperature=0.01)
    >>> budget = mf.decompose_error(
    ...     problem, target, n_particles=16, n_steps=20, step_size=0.5, n_atoms=1, n_replicas=4,
    ...     n_population=64, particle_counts=[4, 8, 16], data_counts=[8, 16, 32], n_test=50)
    >>> list(budget.components), budget.closure < 1e-5
    (['tail', 'regularisation', 'statistical', 'optimisation', 'chaos', 'sparse'], True)
    >>> parts = sum(part.contribution.value for part in budget.components.values())
    >>> bool(np.isclose(parts, budget.total.value))  # contributions add up exactly
    True
    """

    components: dict[str, Component]
    total: Component
    score: Estimate
    closure: float
    statistical_rate: PowerLaw
    chaos_rate: PowerLaw
    chaos_predicted: Estimate | None
    decay: Decay
    advice: Advice
    bounds: tuple[ThresholdNumber, ...]
    moves: tuple[float, ...]
    settled: bool
    notes: tuple[str, ...]
    dataset: xr.Dataset

    def plot(
        self, ax: Axes | None = None, *, label: str | None = None, color: str | None = None
    ) -> Axes:
        """Draw what the components contribute, one after the other, and the total error below.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.
        label : str, optional
            Title of the axes.
        color : str, optional
            A colour of matplotlib's for all components; by default each has its own.

        Returns
        -------
        matplotlib Axes
            The axes.
        """
        from meanfield.plots.budget import plot_budget

        return plot_budget(self.dataset, ax, label=label, color=color)

    def __repr__(self) -> str:
        parts = self.components.items()
        rows = [
            f"  {name:<15}{part.contribution.value:>+10.3g}   {part!r:<31} {part.meaning}"
            for name, part in parts
        ]
        rate = self.decay.rate
        decay = f"rate {rate.value:.3g}" if rate.known else "not fitted"
        lines = [
            f"ErrorBudget{'contribution':>18}   L² norm",
            *rows,
            f"  {'total':<15}{self.total.value:>+10.3g}   {self.total!r:<31} "
            f"closure {self.closure:.1e}",
            f"  laws: statistical² in n: slope {_slope(self.statistical_rate)}; "
            f"chaos² in N: slope {_slope(self.chaos_rate)}; optimisation in t: {decay}",
            *(
                []
                if self.chaos_predicted is None
                else [f"  predicted: chaos² = {self.chaos_predicted.value:.3g} / N, nothing fitted"]
            ),
            fill(f"  advice: {self.advice.statement}", 100, subsequent_indent="    "),
            *(f"  note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def _slope(fit: PowerLaw) -> str:
    slope = fit.slope
    if not slope.known:
        return "not measurable"
    return f"{slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}]"
