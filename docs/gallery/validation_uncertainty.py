"""
uncertainty: do error bars of atoms hold the truth?
===================================================

Twenty teachers of two neurons with 10 % label noise: the angle between each atom and the teacher's neuron,
against the half-width of its 95 % cone. Points below the line are held.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

off, cone = [], []
for seed in range(20):
    target = mf.problem.Teacher.random(2, 2, seed=seed, bias=False, min_angle=40, weight_norm=1.5)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 2))
    y = target(X)
    y = y + 0.1 * y.std() * rng.normal(size=200)
    problem = mf.Problem(X, y, activation="tanh", bias=False)
    found = mf.extract_dictionary((target.a, target.w), problem, normalisation="sum")
    unit, true = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (found.atoms, target.w))
    if len(unit) == len(true):
        off += list(np.rad2deg(np.arccos(np.minimum(np.abs(unit @ true.T).max(axis=1), 1))))
        cone += list(found.intervals.direction)
figure, ax = plt.subplots(figsize=(5, 4))
ax.loglog(cone, np.maximum(off, 1e-3), "o")
ax.loglog(sorted(cone), sorted(cone), "k-")
ax.set(xlabel="95 % cone, degrees", ylabel="angle to the truth, degrees")
print(f"held: {np.mean(np.array(off) <= np.array(cone)):.0%} of {len(off)}")
