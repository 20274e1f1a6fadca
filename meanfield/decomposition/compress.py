"""A trained network as a sum of few atoms, for a given number of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from meanfield.dictionary.fitting import FLOOR, fit_atoms, make_regression
from meanfield.dictionary.path import SizePath
from meanfield.dictionary.refit import Array
from meanfield.dictionary.support import collect
from meanfield.flow.particles import Particles
from meanfield.flow.run import predict
from meanfield.identify.atoms import as_atoms
from meanfield.problem import Problem
from meanfield.system.progress import Progress, no_progress

#: Gauss–Newton steps of a refit.
STEPS = 25


def compress(
    problem: Problem,
    particles: Particles,
    sizes: Sequence[int],
    X: Array,
    progress: Progress | None = None,
) -> dict[str, Array]:
    """Fit dictionaries of ascending sizes to the outputs of one network on the inputs of `problem`.

    From each size to the next, the particles that explain most of what is left are added one by
    one, then all atoms and coefficients are refit together; a second sweep prunes the largest
    dictionary from above, and the better fit of each size is kept. There is an affine part as in
    `extract_dictionary`.

    Returns ``predictions`` (sizes, m, k) on `X`, and ``residuals`` (sizes,): root mean square of
    what is left on the inputs of the fit, relative to the network, affine part aside.
    """
    report = progress or no_progress
    outputs = predict(problem, particles, problem.X).reshape(problem.targets.shape)
    regression = make_regression(problem, outputs)
    crowd = collect(regression, as_atoms(particles, problem.activation), problem.bias)
    size = regression.n_numbers
    path = SizePath(
        regression,
        crowd,
        lambda fit: size * np.log(max(fit.rss, 1e-300)),
        noise=1e-4 * regression.total / outputs.size,
        floor=FLOOR**2 * regression.total,
    )
    # There is no use for more atoms than particles that contribute.
    wanted = [min(s, len(crowd.places)) for s in sizes]
    total = 2 * len(wanted)
    for done, s in enumerate(wanted):
        _grow(path, s)
        report(done + 1, total)
    for done, (s, larger) in enumerate(reversed(list(itertools.pairwise(wanted)))):
        _prune(path, path.fits[larger].places, s)
        report(len(wanted) + done + 1, total)
    fits = [path.fits[s] for s in wanted]
    functions = [fit_atoms(problem, fit, np.zeros(len(fit.places))) for fit in fits]
    m, k = len(X), problem.n_outputs
    return {
        "predictions": np.array([f.predict(X).reshape(m, k) for f in functions]).reshape(-1, m, k),
        "residuals": np.array([path.residual(s) for s in wanted]),
    }


def _grow(path: SizePath, size: int) -> None:
    """Add particles to the best smaller dictionary, then refit."""
    if size in path.fits:
        return
    places = path.fits[max(s for s in path.fits if s < size)].places
    while len(places) < size:
        places = path.with_best_particle(places)
    path.refit(places, STEPS)


def _prune(path: SizePath, places: Array, size: int) -> None:
    """Drop the atoms that are missed least, then refit."""
    while len(places) > size:
        costs = path.regression.removal_costs(path.regression.linear(places))
        places = np.delete(places, costs.argmin(), axis=0)
    path.refit(places, STEPS)
