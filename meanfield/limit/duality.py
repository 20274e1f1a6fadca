"""A certificate of global optimality along a run: the duality gap, without an entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow.run import Run
from meanfield.limit.gibbs import GibbsFamily
from meanfield.limit.mean_field import MeanFieldPath
from meanfield.limit.stationary import check_supported
from meanfield.system.descriptions import described
from meanfield.system.threads import fixed_blas

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from meanfield.flow.scheme import Scheme
    from meanfield.problem import Problem

Array = NDArray[np.float64]

_TAIL = 1e-8


@dataclass(frozen=True, eq=False)
class DualityGap:
    """What `duality_gap` found.

    Attributes
    ----------
    dataset : xarray.Dataset
        Over ``replica`` and ``step``: ``risk`` of the network, ``primal`` and ``dual``, between
        which the least free energy lies, and their difference ``gap``. Where the error signals of
        the network have no normalisable Gibbs law, gap and primal are infinite, the dual −infinite.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.3, temperature=0.1)
    >>> run = mf.simulate(problem, 256, 0.2, 100)
    >>> gap = mf.duality_gap(run)
    >>> low, high = gap.optimum
    >>> low <= high, gap.certified < 0.05
    (True, True)
    """

    dataset: xr.Dataset

    @property
    def certified(self) -> float:
        """The largest gap of the replicas at the last step."""
        return float(self.dataset["gap"].isel(step=-1).max())

    @property
    def optimum(self) -> tuple[float, float]:
        """Bounds of the least free energy: the best dual and the best primal value seen."""
        return float(self.dataset["dual"].max()), float(self.dataset["primal"].min())

    def __repr__(self) -> str:
        low, high = self.optimum
        found = f"least free energy between {low:.8g} and {high:.8g}"
        if not np.isfinite(self.certified):
            return f"DualityGap(nothing certified at the last step; {found})"
        return (
            f"DualityGap(Gibbs law of the error signals certified within {self.certified:.2g} of "
            f"the global optimum at the last step; {found})"
        )


@fixed_blas()
def duality_gap(run: Run | MeanFieldPath, steps: Sequence[int] | None = None) -> DualityGap:
    r"""Certify how far the error signals of a run are from those of the global optimum.

    With the error signals :math:`r_j = ℓ'(f(x_j), y_j)` of a network, their proximal Gibbs law
    :math:`p_r ∝ \exp(−V_r/τ)`, :math:`V_r = \frac1n \sum_j r_j ψ_j + \frac λ2 |θ|^2`, has a free
    energy :math:`J(p_r)` that is computed, as no entropy of particles could be. The
    concave dual

    .. math:: \mathcal D(r) = −\frac1n \sum_j ℓ^*_j(r_j) − τ \log ∫ e^{−V_r(θ)/τ} dθ
        \;\le\; \min J \;\le\; J(p_r)

    is taken at :math:`r` and at the signals of :math:`p_r`, and the larger value counts. The gap
    :math:`J(p_r) − \mathcal D` bounds what :math:`p_r` is above the least free energy, not what the
    law of the particles is, whose entropy is not known;
    divided by τ it bounds the Kullback–Leibler divergence of :math:`p_r` from the optimum. It
    vanishes where the run has the predictions of the stationary law, and stays open where it is
    stuck. All integrals are quadratures; trained output weights are integrated out exactly.

    Parameters
    ----------
    run : Run or MeanFieldPath
        Networks at their saved steps, or a path. Its last temperature is that of the free energy.
    steps : sequence of int, optional
        Steps of the run or path to look at; those saved, or of a path about ten, by default.

    Returns
    -------
    DualityGap

    Raises
    ------
    ValueError, TypeError
        More than three input parameters, one of them frozen, temperature 0, steps that were not
        saved: the sentence says why.

    References
    ----------
    Nitanda, Wu, Suzuki, "Convex analysis of the mean field Langevin dynamics", AISTATS 2022.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> problem = mf.Problem(x, x[:, 0], train=("w",), bias=False, l2=0.1, temperature=0.1)
    >>> run = mf.simulate(problem, n_particles=256, step_size=0.2, n_steps=200)
    >>> mf.duality_gap(run).certified < 1e-2
    True
    """
    if not isinstance(run, Run | MeanFieldPath):
        raise ArgumentTypeError(
            "run", f"must be a Run or a MeanFieldPath, got {type(run).__name__}."
        )
    saved = run.steps.tolist() if isinstance(run, Run) else list(range(run.n_steps + 1))
    if steps is None:
        chosen = saved
        if isinstance(run, MeanFieldPath):
            chosen = np.unique(np.linspace(0, run.n_steps, 11).round().astype(int)).tolist()
    else:
        chosen = sorted(set(steps))
        if not chosen or (missing := set(chosen) - set(saved)):
            raise ArgumentError(
                "steps",
                f"must be steps that were saved, got {sorted(missing) if chosen else 'none'}; "
                "add them to save_at and run again.",
            )
    problem = run.problem
    if run.scheme.n_steps:
        problem = problem.replace(temperature=float(run.scheme.temperatures[-1]))
    check_supported(problem)
    if isinstance(run, Run):
        predictions = run.predictions[:, [saved.index(step) for step in chosen]]
    else:
        predictions = run.predictions[None, chosen]
    shape = (*predictions.shape[:2], problem.n_data, problem.n_outputs)
    family = GibbsFamily(problem)
    networks = predictions.reshape(shape).astype(np.float64, copy=False)
    found = np.array([[_bounds(family, f) for f in row] for row in networks])
    return DualityGap(_dataset(problem, run.scheme, chosen, networks, found))


def certificate(problem: Problem, predictions: Array, temperature: float) -> DualityGap | None:
    """Return the gap of networks (R, n[, k]) at one time, None where there is no certificate."""
    try:
        problem = problem.replace(temperature=temperature)
        check_supported(problem)
    except ValueError:
        return None
    networks = predictions.reshape(len(predictions), 1, problem.n_data, problem.n_outputs)
    family = GibbsFamily(problem)
    with fixed_blas():
        found = np.array([[_bounds(family, f) for f in row] for row in networks])
    return DualityGap(_dataset(problem, None, [0], networks, found))


def _bounds(family: GibbsFamily, f: Array) -> tuple[float, float]:
    """Return the free energy of the Gibbs law of some predictions, and the better dual value."""
    if not family.density_bound(f).normalisable:
        return np.inf, -np.inf
    law = family.at(f, _TAIL)
    primal, dual = law.dual + law.duality_gap, law.dual
    if family.density_bound(law.response).normalisable:
        dual = max(dual, family.at(law.response, _TAIL).dual)
    return primal, min(dual, primal)


def _dataset(
    problem: Problem, scheme: Scheme | None, steps: list[int], predictions: Array, found: Array
) -> xr.Dataset:
    import xarray as xr

    dims = ("replica", "step")
    variables = {
        "risk": (dims, problem.risk(predictions)),
        "primal": (dims, found[..., 0]),
        "dual": (dims, found[..., 1]),
        "gap": (dims, found[..., 0] - found[..., 1]),
    }
    coords: dict[str, Any] = {"step": steps}
    if scheme is not None:
        coords["time"] = ("step", scheme.elapsed(steps))
    attrs = {"temperature": problem.temperature}
    return described(xr.Dataset(variables, coords, attrs))
