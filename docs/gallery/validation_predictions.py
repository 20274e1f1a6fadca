"""
predictions: constants of chaos, without a run of N neurons
===========================================================

Predicted limits of N times the mean squared error of the outputs, for several activations and losses, and
the same measured on networks of 128 neurons.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

X = np.random.default_rng(7).normal(size=(24, 2))
y = np.tanh(1.5 * X[:, 0]) - 0.5 * X[:, 1]
cases = [("tanh", "squared", y), ("silu", "squared", y), ("erf", "logistic", np.sign(y))]
common = {"step_size": 0.2, "n_steps": 60, "times": [10, 30, 60]}
figure, ax = plt.subplots(figsize=(5, 4))
for activation, loss, labels in cases:
    problem = mf.Problem(X, labels, activation=activation, loss=loss, l2=0.2, temperature=0.1)
    predicted = mf.predict_chaos(problem, n_systems=4, **common).dataset["function"]
    rates = mf.chaos_rates(problem, [32, 64, 128], 100, cloud_replicas=0, **common)
    measured = 128 * rates.dataset["function"].sel(particles=128).mean("replica")
    ax.loglog(predicted, measured, "o", label=f"{activation}, {loss}")
ends = np.array(ax.get_xlim())
ax.plot(ends, ends, "k-", linewidth=0.8)
ax.set(xlabel="predicted", ylabel="measured")
ax.legend()
