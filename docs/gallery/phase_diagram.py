"""
Sweep a grid, and draw its phase diagram
========================================

How many atoms networks consist of, by penalty and by the temperature at which they *start*: each is then
cooled to 1e-5 (``atoms.cool_to``) before atoms are looked for. A 7 × 3 grid of studies, whose units are one
heap of work. At low penalty the teacher's three atoms are found from every start; a strong one leaves
fewer, and in the end none. Each point is one short network (300 units of time; at the least penalty
relaxation takes 10000): a sketch, in which a point may be off by an atom.
"""

import matplotlib.pyplot as plt

import meanfield as mf

config = {
    "study": "atoms",
    "data": {"source": "teacher", "n_features": 2, "n_atoms": 3, "min_angle": 30.0, "n_train": 60},
    "run": {"step_size": 1.0, "n_steps": 100},
    "atoms": {"n_particles": 64, "n_replicas": 1, "cool_steps": 200, "looks": 1},
}
axes = {
    "problem.temperature": [1e-5, 3e-5, 1e-3],
    "problem.l2": [1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.2, 0.4],
}
found = mf.sweep(config, axes)
print(found["n_atoms"].sel(bound="value").astype(int).values)
mf.plots.plot_sweep(found, "n_atoms")
plt.show()
