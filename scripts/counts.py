"""Count how often a dictionary that calls itself confident has the wrong number of atoms.

Networks of many makes whose number of atoms is known: neurons scattered around the atoms of a
teacher, all of them or with one atom left out; output weights fitted by ridge regression to random
neurons, which have no atoms at all; and networks of constant labels, which need none. Their data
are plenty or few, with rows repeated, with two distinct rows only, or with labels of two classes.
A dictionary may decline to be relied on; it must not be confident and wrong.

``python -m scripts.counts [FIRST LAST]`` judges the networks of those seeds, 300 by default, and
fails where one is confident and wrong: pieces of 75 take some minutes each.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

import meanfield as mf
from meanfield.problem.targets import Teacher
from meanfield.statistics.estimate import Estimate

N_NETWORKS = 300
ACTIVATIONS = ("tanh", "relu", "silu", "gelu", "erf")
MAKES = ("plenty", "few rows", "repeated rows", "two rows", "constant", "classes", "no atoms")
Case = tuple[str, dict[str, int], mf.Problem, tuple[Any, ...]]


def network(seed: int) -> Case:
    """Draw a make, the true numbers of atoms by what is refit (none: no number), and the rest."""
    rng = np.random.default_rng([seed, 41])
    make, name = MAKES[seed % len(MAKES)], ACTIVATIONS[seed // len(MAKES) % len(ACTIVATIONS)]
    d, size, bias = int(rng.integers(1, 8)), int(rng.integers(1, 5)), bool(rng.random() < 0.5)
    size = min(size, d + 1)
    angle = 0.0 if d == 1 else 30.0
    if d == 1:
        size, bias = min(size, 2), True  # on a line, atoms differ by their biases
    w = Teacher.random(d, size, name, min_angle=angle, seed=seed).w * rng.uniform(1, 2, (size, 1))
    a = rng.choice([-1, 1], size) * rng.uniform(0.4, 1.2, size)
    b = rng.uniform(-0.8, 0.8, size) if bias else None
    if d == 1:
        w, b = 1.5 * np.ones((size, 1)), np.linspace(-1.2, 1.2, size)
    n = int(rng.integers(8, 60)) if make == "few rows" else int(rng.integers(150, 500))
    X = rng.standard_normal((n, d))
    if make == "repeated rows":
        X = np.repeat(X[: n // 5], 5, axis=0)
    elif make == "two rows":
        X = X[rng.integers(0, 2, n)]
    target = Teacher(a, w, b, name)
    f = target(X)
    y = f + rng.choice([0.0, 0.05, 0.2]) * f.std() * rng.standard_normal(len(f))
    if make == "repeated rows":
        y = np.repeat(y[::5], 5)
    elif make == "constant":
        y = np.full(len(f), 0.7)
    elif make == "classes":
        y = np.where(rng.random(len(f)) < 1 / (1 + np.exp(-8 * f)), 1, -1)
    options = {"loss": "logistic"} if make == "classes" else {}
    problem = mf.Problem(X, y, name, bias=bias, l2=1e-3, **options)
    if make in ("no atoms", "constant"):
        return make, {}, problem, _fitted(problem, rng)
    scale = 8 if make == "classes" else 1
    gone = int(rng.integers(size)) if size > 1 and rng.random() < 0.2 else None
    kept = np.delete(np.arange(size), [] if gone is None else [gone])
    label = np.repeat(kept, 20)
    neurons = w[label] + 0.05 * rng.standard_normal((len(label), d))
    offset = None if b is None else b[label] + 0.05 * rng.standard_normal(len(label))
    # Where the network lacks an atom of its labels, only its own number can be right.
    truth = {"network": len(kept)} | ({"labels": size} if gone is None else {})
    return make, truth, problem, (scale * len(kept) * a[label], neurons, offset)


def _fitted(problem: mf.Problem, rng: np.random.Generator) -> tuple[Any, ...]:
    """Fit output weights to random neurons by ridge regression."""
    w = rng.standard_normal((100, problem.n_features))
    b = rng.standard_normal(100) if problem.bias else None
    features = problem.activation.value(problem.X @ w.T + (0.0 if b is None else b))
    gram = features.T @ features + 0.1 * len(features) * np.eye(100)
    return 100 * np.linalg.solve(gram, features.T @ problem.y), w, b


def judged(seed: int) -> tuple[str, bool, bool, bool]:
    """Return the make, and whether a dictionary is confident, wrong, and whether its set holds."""
    make, truth, problem, particles = network(seed)
    found = mf.extract_dictionary(particles, problem, seed=seed)
    true = truth.get(found.target)
    wrong = found.confident and found.n_atoms != true
    return make, found.confident, wrong, true is None or true in found.n_atoms_set


def main() -> int:
    """Judge the networks of some seeds; name those whose dictionary is confident and wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("first", type=int, nargs="?", default=0, help="first seed")
    parser.add_argument("last", type=int, nargs="?", default=N_NETWORKS, help="seed after the last")
    given = parser.parse_args()
    rows = []
    for seed in range(given.first, given.last):
        rows.append(judged(seed))
        if rows[-1][2]:
            print(f"seed {seed}, {rows[-1][0]}: confident and wrong", flush=True)
    for what, column in (("confident", 1), ("confident and wrong", 2), ("sets that hold S", 3)):
        share = Estimate.share(sum(row[column] for row in rows), len(rows))
        print(f"{what:<20} {share.value:.1%}  [{share.low:.1%}, {share.high:.1%}]")
    return int(any(row[2] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
