"""
identify: how many Hermite degrees determine a network?
=======================================================

The two depths of tanh and erf networks: from D_var on finitely many networks share their Hermite tensors
up to that degree, from D_orb on only those that are the same function.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

cases = (("tanh", 1, 1), ("tanh", 2, 2), ("erf", 2, 2), ("tanh", 3, 3))
depths = []
for activation, d, n_atoms in cases:
    found = mf.orbit_depth(activation, d, n_atoms, n_points=2, n_starts=8)
    depths.append((found.variety.depth, found.depth))
figure, ax = plt.subplots(figsize=(6, 3.2))
for shift, values, name in zip((-0.2, 0.2), np.transpose(depths), ("D_var", "D_orb"), strict=True):
    ax.bar(np.arange(len(cases)) + shift, values, 0.4, label=name)
ax.set_xticks(range(len(cases)), [f"{name}\nd = {d}, S = {s}" for name, d, s in cases])
ax.set_ylim(0, 4.2)
ax.legend()
print(depths)
