r"""python -m scripts.precision [STUDIES [FIRST]]: how often the intervals of planned rates hold −1.

A study of a given precision plans its replicas from a pilot, stops when the half-width of the
slopes of both headline metrics is reached, and fits the next order, :math:`N^s (C + C_2/N)`, from a
smallest N on that a test chooses. Each of these choices looks at the data, and could spoil a 95 %
interval. On a small problem the slope of large N is −1, and every study has noise of its own.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np

import meanfield as mf
from meanfield.chaos.chaos_plan import plan_chaos
from meanfield.chaos.measure_rates import measure
from meanfield.chaos.precision import TARGETS, batches_between, late_slope, needed, until_precise
from meanfield.chaos.wells import find_wells
from meanfield.statistics.estimate import Estimate
from meanfield.system.threads import fixed_blas

PRECISION = 0.15
COUNTS = [8, 16, 32, 64, 128, 256]
SCHEME: dict[str, Any] = {"step_size": 0.3, "n_steps": 200}
TIMES = [100, 125, 150, 175, 200]


@fixed_blas()
def main(studies: int = 200, first: int = 0) -> None:
    """Do the studies, with seeds from `first` on, and count the intervals that hold −1."""
    X = np.random.default_rng(2).normal(size=(16, 2))
    problem = mf.Problem(X, np.tanh(X[:, 0] - X[:, 1]), l2=0.2, temperature=0.05)
    path = mf.mean_field(problem, n_particles=100 * COUNTS[-1], **SCHEME)
    held = dict.fromkeys(TARGETS, 0)
    wells = None
    for done, seed in enumerate(range(first, first + studies), start=1):
        scheme = mf.Scheme.of(problem, seed=seed, **SCHEME)
        plan = plan_chaos(
            problem, scheme, COUNTS, precision=PRECISION, times=TIMES, cloud_replicas=0
        )
        wells = find_wells(plan, path) if wells is None else wells
        more = partial(measure, plan, path, wells=wells)
        pieces = [more(range(plan.n_replicas))]
        wanted = needed(plan, path, pieces, planning=True)
        pieces += [more(batch) for batch in batches_between(plan, plan.n_replicas, wanted)]
        pieces += until_precise(plan, path, pieces, more)
        for metric in TARGETS:
            fit = late_slope(plan, path, pieces, metric)
            held[metric] += fit is not None and not fit.slope.excludes(-1.0)
        print(f"{done} studies, of which −1 was held in {held}", flush=True)
    for metric, count in held.items():
        share = Estimate.share(count, studies)
        print(f"{metric}: {share.value:.1%} [{share.low:.1%}, {share.high:.1%}]")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
