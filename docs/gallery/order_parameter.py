"""
Follow an order parameter over a run
====================================

The overlap of neurons with a teacher's direction: how much of the network points where the target
varies. It is computed on the way, for every replica; no particles are kept. Neurons turn to the
direction within the first tenth of the run, and slowly lose the rest.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

direction = np.eye(5)[0]
X = np.random.default_rng(0).normal(size=(300, 5))
problem = mf.Problem(X, np.tanh(3 * X @ direction), activation="tanh", l2=0.003, temperature=1e-4)


def overlap(particles):
    """Return the share of the weights, by output weight, along the teacher's direction."""
    size = np.square(particles.w) * np.square(particles.a)[..., None]
    return size[..., 0].sum() / size.sum()


run = mf.simulate(problem, 400, 0.5, 400, n_replicas=4, observe={"overlap": overlap})
fig, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
run.plot(axes[0])
axes[1].plot(
    run.scheme.elapsed(run.observed_steps), run.observed["overlap"].T, color="tab:blue", alpha=0.6
)
axes[1].set(xlabel="time", ylabel="overlap with the teacher", ylim=(0, 1))
plt.show()
