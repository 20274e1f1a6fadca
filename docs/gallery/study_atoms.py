"""
atoms: which few features does a network consist of?
====================================================

A teacher of three relu neurons, 5 % label noise, and a trained network of 300. Neurons gather in the
directions of the teacher's (dotted); the dictionary says how many there are and how sure that is.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

data = mf.problem.teacher(
    n_features=2, n_atoms=3, activation="relu", bias=False, min_angle=40, noise=0.05, n_train=300
)
problem = data.problem(activation="relu", bias=False, l2=0.002, temperature=2e-5)
run = mf.simulate(problem, 300, step_size=0.5, n_steps=3000)
found = mf.extract_dictionary(run.particles, problem)

places = (np.abs(run.particles.a[0])[:, None] * run.particles.w[0]).T
figure, ax = plt.subplots(figsize=(5, 4))
ax.plot(*places, ".", color="gray", label="neurons, |a| w")
for i, w in enumerate(data.target.w):
    ax.plot([0, 40 * w[0]], [0, 40 * w[1]], "k:", label=None if i else "teacher")
size = np.abs(places).max()
ax.set(xlim=(-size, size), ylim=(-size, size))
ax.legend()
print(found.statement)
