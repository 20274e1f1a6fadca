"""
recovery: how often does a network find its teacher?
====================================================

Ten random teachers of two to four tanh neurons, each learned from noisy labels by a network
of 200: atoms found against the true
number, and the largest angle between them.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rows = []
for seed in range(10):
    data = mf.problem.teacher(
        n_features=3, n_atoms=2 + seed % 3, bias=False, min_angle=30, target_seed=seed,
        weight_norm=1.5, noise=0.05, n_train=300, seed=seed,
    )  # fmt: skip
    problem = data.problem(activation="tanh", bias=False, l2=1e-3, temperature=1e-6)
    run = mf.simulate(problem, 200, 1.0, 2000, seed=seed)
    found = mf.extract_dictionary(run.particles, problem)
    unit, true = (
        v / np.linalg.norm(v, axis=1, keepdims=True) for v in (found.atoms, data.target.w)
    )
    angle = np.rad2deg(np.arccos(np.minimum(np.abs(true @ unit.T).max(axis=1), 1))).max()
    rows.append((len(true), found.n_atoms, angle))
true, number, angle = np.array(rows).T
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.scatter(np.arange(10), angle, c=np.where(true == number, "C0", "C3"))
ax.set(yscale="log", xlabel="teacher", ylabel="largest angle in degrees")
print(f"number of atoms exact in {np.sum(true == number)} of 10")
