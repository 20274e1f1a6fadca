r"""
2. Atoms, the error budget, and the learning cell
=================================================

What a trained network consists of, where its error comes from, and the three numbers that describe an
architecture and a target.

Atoms
-----

At low temperature the neurons of a trained network gather at a few *atoms*. Here we know that there are
two; `mf.extract_dictionary` is told nothing of it.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 2))
teacher = np.array([[1.5, 0.0], [0.0, 1.5]])
y = np.tanh(X @ teacher.T) @ [2.0, -2.0] + 0.05 * rng.normal(size=200)
problem = mf.Problem(X, y, activation="tanh", bias=False, l2=1e-3, temperature=1e-5)
run = mf.simulate(problem, n_particles=400, step_size=1.0, n_steps=3000)
dictionary = mf.extract_dictionary(run.particles, problem)

figure, ax = plt.subplots(figsize=(4.5, 4.5))
ax.plot(*run.particles.w[0].T, ".", color="gray", label="neurons")
ax.plot(*dictionary.atoms.T, "o", markersize=14, fillstyle="none", label="atoms")
ax.set_xlabel("first input weight")
ax.set_ylabel("second input weight")
ax.legend()
print(dictionary.statement)

# %%
# The statement rests on a :term:`certificate`: a search for a place where one more neuron would lower the loss.
# Every atom has error bars; ``n_atoms_set`` has all sizes that a test and a criterion do not exclude.

np.round(dictionary.coefficients, 2), np.round(dictionary.intervals.coefficients.interval, 2)

# %%
dictionary.n_atoms_set

# %%
# **Fewer than the teacher has?** An atom must pay for its weights. How many parts of the target, which are
# Hermite polynomials, are large enough to carry an atom alone, S_up counts. It is a rule of thumb and no bound
# (:doc:`/made/theory/10_counting_atoms`): the linear parts of both neurons are one linear function, and count as
# one; at the least penalty those of degree 3 and more come in, and a single one can count for several atoms.

target = mf.problem.Teacher([2.0, -2.0], teacher, activation="tanh")
for l2 in (1.0, 0.3, 0.1, 0.01):
    count = mf.coefficient_threshold_number(target, "tanh", l2=l2, bias=False)
    print(f"l2 = {l2:<5} S_up = {count.number}")

# %%
# The error budget
# ----------------
#
# One intermediate network per cause, so that contributions add up to the total exactly. The advice says
# what to change first.

budget = mf.decompose_error(
    mf.Problem(X[:64], y[:64], activation="tanh", bias=False, l2=0.03, temperature=0.003),
    target, n_particles=64, n_steps=60, step_size=0.5, n_atoms=2, n_replicas=6,
    n_population=512, particle_counts=[16, 32, 64], data_counts=[32, 64, 128], n_test=300,
)  # fmt: skip
budget.plot()
budget

# %%
# The learning cell
# -----------------
#
# w*: how heavy the tails of the weights may be. D*: how many Hermite degrees determine the atoms. S*: how
# many there are. (The :doc:`/glossary` has the words.)

cell = mf.learning_cell("tanh", target, n_data=200, n_particles=200, n_steps=1500, step_size=0.5)
cell.w_star.order.value, cell.orbit_depth, cell.n_atoms
