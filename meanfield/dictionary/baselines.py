"""What else one might do: cluster raw particles, or fit the labels and ignore the particles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.dictionary.certificate import steepest
from meanfield.dictionary.fitting import FLOOR, Prior, fit_atoms, make_regression
from meanfield.dictionary.refit import Array
from meanfield.dictionary.starts import moment_starts, random_starts
from meanfield.identify import Atoms, canonical
from meanfield.identify.atoms import as_atoms, make_atoms
from meanfield.problem import Problem
from meanfield.system.generators import generator


def kmeans_atoms(particles: Any, problem: Problem, *, max_atoms: int = 12, seed: int = 0) -> Atoms:
    """Cluster raw particles ``(a, w, b)`` by k-means, as many clusters as the silhouette likes.

    One atom per cluster: the mean place, the sum of the coefficients. Needs scikit-learn.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    network, points = _raw(particles, problem)
    best, label = -np.inf, np.zeros(len(points), dtype=int)
    for k in range(2, min(checks.count("max_atoms", max_atoms), len(points) - 1) + 1):
        found = KMeans(k, n_init=4, random_state=checks.seed(seed) % 2**32).fit_predict(points)
        score = silhouette_score(points, found) if len(set(found)) > 1 else -1.0
        if score > best:
            best, label = score, found
    return _clusters(network, label)


def hdbscan_atoms(particles: Any, problem: Problem) -> Atoms:
    """Cluster raw particles likewise by HDBSCAN; what it calls noise is left out."""
    from sklearn.cluster import HDBSCAN

    network, points = _raw(particles, problem)
    smallest = max(5, len(points) // 50)
    return _clusters(network, HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(points))


def frank_wolfe_atoms(problem: Problem, *, max_atoms: int = 24, seed: int = 0) -> Atoms:
    """Fit the labels atom by atom, with a joint refit after each: sliding Frank–Wolfe.

    A global search finds the atom that explains most of the residual, under the squared loss. It
    stops when that atom gains less than noise does. No particles are used. Denoyelle, Duval, Peyré,
    Soubies, "The sliding Frank–Wolfe algorithm and its application to super-resolution microscopy",
    2019.
    """
    regression = make_regression(problem, problem.targets)
    rng = generator(checks.seed(seed))
    width, m = regression.X.shape[1], regression.n_numbers
    price = (width + problem.n_outputs - problem.activation.homogeneous) * np.log(m)
    fit = regression.linear(np.zeros((0, width)))
    while len(fit.places) < max_atoms and fit.rss > FLOOR**2 * regression.total:
        residual = replace(regression, Y=regression.Y - regression.predict(fit))
        pool = np.vstack([moment_starts(residual), random_starts(residual, 400, rng)])
        trial = np.vstack([fit.places, steepest(residual, pool)[0]])
        new, prior = fit, Prior.of(regression, trial)
        for _ in range(3):
            new = prior.at(regression, new.rss / regression.Y.size).refit(trial)
            trial = new.places
        if m * np.log(fit.rss / max(new.rss, 1e-300)) < price:
            break
        fit = new
    return fit_atoms(problem, fit, np.zeros(len(fit.places)))


def _raw(particles: Any, problem: Problem) -> tuple[Atoms, Array]:
    """Return the network and its particles as points, each coordinate on its own scale."""
    network = as_atoms(particles, problem.activation)
    points = np.column_stack([network.columns * len(network.w), network.w])
    if problem.bias:
        points = np.column_stack([points, network.b])
    return network, points


def _clusters(network: Atoms, label: Array) -> Atoms:
    """Make one atom of each cluster."""
    members = [np.flatnonzero(label == j) for j in np.unique(label[label >= 0])]
    k, d = network.columns.shape[1], network.w.shape[1]
    clusters = make_atoms(
        network.activation,
        np.array([network.columns[i].sum(axis=0) for i in members]).reshape(-1, k),
        np.array([network.w[i].mean(axis=0) for i in members]).reshape(-1, d),
        np.array([network.b[i].mean() for i in members]),
        np.zeros(k),
        np.zeros((k, d)),
        np.array([len(i) / len(label) for i in members]),
        vector=network.vector_output,
    )
    return canonical(clusters, network.activation)
