"""
cell: the learning cell of an architecture and a target
=======================================================

The triple (w*, D*, S*) with its evidence: moments of the start, Hermite degrees that determine the atoms,
and the atoms that a trained network has.
"""

import matplotlib.pyplot as plt

import meanfield as mf

target = mf.problem.Teacher([1.0, -1.0], [[2.0, 0.0], [0.0, 2.0]], activation="tanh")
cell = mf.learning_cell("tanh", target, n_data=200, n_particles=200, n_steps=1500, step_size=0.5)
print(cell.statement)

figure, ax = plt.subplots(figsize=(4.5, 3.6))
ax.plot(*cell.particles.w[0].T, ".", color="gray", label="neurons")
ax.plot(*cell.dictionary.atoms.T, "o", markersize=14, fillstyle="none", label="atoms")
ax.legend()
