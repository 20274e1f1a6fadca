r"""
12. The learning cell
=====================

**Operational definition, after the abstract of [ISD]** ("the natural learning cell of the architecture–data
pair"): the triple :math:`(w^*, D^*_{orb}, S^*)` of an activation σ and a target on inputs of law ρ.

- :math:`w^*`: where the flow lives, from the moments of the start (page 8);
- :math:`S^*`: how many atoms the trained network has (page 9), beside the count from the target (page 10);
- :math:`D^*_{orb}`: the Hermite degree that determines a network of that many atoms (page 7).

The oracle
----------

A teacher whose cell is known: Gaussian start, order 2; two neurons in the plane; and for tanh, d = 2, S = 2
the depth 3 of independent algebra.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

target = mf.problem.Teacher([2.0, -2.0], [[1.5, 0.0], [0.0, 1.5]], activation="tanh")
cell = mf.learning_cell("tanh", target, n_data=300, n_particles=200, n_steps=2000, step_size=0.5)
print(cell.statement)
assert (cell.w_star.order.value, cell.orbit_depth, cell.n_atoms) == (2.0, 3, 2)

k = np.arange(1, cell.w_star.max_order + 1)
figure, ax = plt.subplots(figsize=(6, 3))
ax.plot(k, cell.w_star.log_w_star)
ax.set_xlabel("k")
ax.set_ylabel(r"$\log w^*_k$")
