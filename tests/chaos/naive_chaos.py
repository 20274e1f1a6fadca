"""Obvious reference implementations for the chaos layer."""

from itertools import permutations

import numpy as np
from scipy.optimize import linprog


def squared_costs(x, y):
    return np.array([[((a - b) ** 2).sum() for b in y] for a in x])


def matching_by_enumeration(x, y):
    """Least mean squared distance over all permutations."""
    costs = squared_costs(x, y)
    rows = range(len(x))
    return min(
        sum(costs[i, j] for i, j in zip(rows, p, strict=True)) for p in permutations(rows)
    ) / len(x)


def transport_by_linear_program(x, y):
    """Squared W2 as a linear program over the couplings."""
    n, m = len(x), len(y)
    marginals = np.zeros((n + m, n * m))
    for i in range(n):
        marginals[i, i * m : (i + 1) * m] = 1
    for j in range(m):
        marginals[n + j, j::m] = 1
    masses = [1 / n] * n + [1 / m] * m
    result = linprog(squared_costs(x, y).ravel(), A_eq=marginals, b_eq=masses, method="highs")
    return result.fun


def transport_on_the_line(x, y):
    """Squared W2 of two one-dimensional clouds: repeat points to a common size and sort."""
    size = np.lcm(len(x), len(y))
    x, y = (np.sort(np.repeat(z, size // len(z))) for z in (x, y))
    return np.mean((x - y) ** 2)
