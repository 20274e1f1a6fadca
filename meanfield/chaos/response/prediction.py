"""The predicted constants of propagation of chaos, as a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from meanfield import checks
from meanfield.errors import ArgumentError
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.intervals import LEVEL
from meanfield.system.descriptions import described

if TYPE_CHECKING:
    import xarray as xr

#: The constants that are predicted.
METRICS = ("coupling", "function")


@dataclass(frozen=True, eq=False)
class ChaosPrediction:
    """What `predict_chaos` found.

    Attributes
    ----------
    dataset : xarray.Dataset
        Over the dimension ``step``: ``coupling``, the limit of ``N E D_N`` (NaN for an activation
        with a kink in its trained inputs, for which there is none); ``function``, that of
        ``N E |f_N − f̄|²``, summed over outputs, mean over data; one standard deviation of each,
        ``coupling_error`` and ``function_error``; ``pair_covariance``, the limit of
        ``N Cov(ψ_j(θ₁), ψ_k(θ₂))`` of two neurons, over ``datum`` and ``other_datum``, and with
        several outputs over ``output`` and ``other_output``; where other inputs were given,
        ``function_at_inputs`` and ``function_at_inputs_error``, the mean over these.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(16, 2))
    >>> problem = mf.Problem(X, np.tanh(X[:, 0]), l2=0.1, temperature=0.05)
    >>> prediction = mf.predict_chaos(problem, step_size=0.2, n_steps=20, n_systems=4)
    >>> constant, needed = prediction.estimate("function")[-1], prediction.neurons(0.1)
    >>> bool(np.isclose(needed.value, constant.value / 0.1**2)), needed.low < needed.value
    (True, True)
    """

    dataset: xr.Dataset

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the constants and their errors as arrays, to be saved.

        Returns
        -------
        dict of ndarray
            Without the covariances of pairs.
        """
        names = [name for metric in METRICS for name in (metric, f"{metric}_error")]
        arrays = {name: self.dataset[name].values for name in ("step", "time", *names)}
        return arrays | {"systems": np.array(self.dataset.attrs["systems"])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64]]) -> ChaosPrediction:
        """Return what `to_arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            By name.

        Returns
        -------
        ChaosPrediction
        """
        import xarray as xr

        coords = {"step": arrays["step"], "time": ("step", arrays["time"])}
        left = {"step", "time", "systems"}
        variables = {name: ("step", arrays[name]) for name in arrays if name not in left}
        return cls(described(xr.Dataset(variables, coords, {"systems": int(arrays["systems"])})))

    def estimate(self, metric: str) -> Estimate:
        """Return a constant at every step, with its interval over the systems.

        Parameters
        ----------
        metric : {"coupling", "function"}
            Which constant.

        Returns
        -------
        Estimate
            An array of them.

        Raises
        ------
        ValueError
            There is no such constant.
        """
        checks.choice("metric", metric, METRICS)
        value = self.dataset[metric].values
        error = self.dataset[f"{metric}_error"].values
        half = stdtrit(int(self.dataset.attrs["systems"]) - 1, (1 + LEVEL) / 2) * error
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.exp(np.where(value > 0, half / value, math.nan))
        return Estimate(value, value / factor, value * factor, resampled="systems")

    def neurons(self, error: float, step: int | None = None) -> Estimate:
        """Return how many neurons keep the root mean square of ``f_N − f̄`` below an error.

        Parameters
        ----------
        error : float
            Error, in the units of the outputs.
        step : int, optional
            A step that was predicted; the last one by default.

        Returns
        -------
        Estimate
            ``N = function / error²``, not rounded.

        Raises
        ------
        ValueError
            The error is not positive, or the step was not predicted.
        """
        error = checks.positive("error", error)
        steps = self.dataset["step"].values.tolist()
        step = steps[-1] if step is None else step
        if step not in steps:
            raise ArgumentError("step", f"must be one of those predicted, {steps}, got {step}.")
        return self.estimate("function")[steps.index(step)].map(lambda c: c / error**2)

    def __repr__(self) -> str:
        lines = [f"ChaosPrediction, from {self.dataset.attrs['systems']} systems:"]
        for metric in METRICS:
            value, error = (self.dataset[name].values for name in (metric, f"{metric}_error"))
            if np.isnan(value).all():
                lines.append(f"  {metric:<9} none: the activation has a kink")
                continue
            step = self.dataset["step"].values[-1]
            lines.append(f"  {metric:<9} {value[-1]:.4g} ± {error[-1]:.2g} / N at step {step}")
        return "\n".join(lines)
