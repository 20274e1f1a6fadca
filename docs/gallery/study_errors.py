"""
errors: where does the error come from?
=======================================

A network of 64 neurons on 48 data, compressed to two atoms: what each cause contributes to its distance
from the target. Contributions add up to the total; the advice is what to change first.
"""

import numpy as np

import meanfield as mf

target = mf.problem.Teacher([2.0, -2.0], [[1.5, 0.0], [0.0, 1.5]], activation="tanh")
X = np.random.default_rng(0).normal(size=(48, 2))
problem = mf.Problem(X, target(X), activation="tanh", bias=False, l2=0.02, temperature=0.002)
budget = mf.decompose_error(
    problem, target, n_particles=64, n_steps=60, step_size=0.5, n_atoms=2, n_replicas=6,
    n_population=512, particle_counts=[16, 32, 64], data_counts=[24, 48, 96], n_test=300,
)  # fmt: skip
budget.plot()
budget
