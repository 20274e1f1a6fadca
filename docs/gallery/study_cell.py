"""
cell: the learning cell of an architecture and a target
=======================================================

The triple (w*, D*, S*) with its evidence: moments of the start, Hermite degrees that determine the atoms,
and the atoms that a trained network has.
"""

import meanfield as mf

target = mf.problem.Teacher([1.0, -1.0], [[2.0, 0.0], [0.0, 2.0]], activation="tanh")
cell = mf.learning_cell("tanh", target, n_data=200, n_particles=200, n_steps=1500, step_size=0.5)
print(cell.statement)
