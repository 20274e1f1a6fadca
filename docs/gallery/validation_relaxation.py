"""
relaxation: noisy training settles exponentially
================================================

How the limit of a network approaches its end, with the rate fitted to networks of 256 neurons, and the
rate that a log-Sobolev inequality guarantees.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

data = mf.problem.single_index(n_features=1, link="tanh", n_train=16)
problem = data.problem(bias=False, train=["w"], l2=0.3, temperature=0.3)
settings = {"step_size": 0.1, "n_steps": 150, "init": mf.InitialLaw(scale=0.5)}
path = mf.mean_field(problem, "chain", **settings)
run = mf.simulate(problem, 256, n_replicas=32, save_at=range(151), **settings)
found = mf.limit.relaxation_rate(run.times, path.predictions, run.predictions)
bound = mf.limit.log_sobolev_bound(problem, path.predictions)
gap = np.sqrt(((path.predictions - path.predictions[-1]) ** 2).mean(axis=1))
figure, ax = plt.subplots(figsize=(6, 3.4))
ax.semilogy(run.times[:100], gap[:100] / gap[0], label="limit")
ax.semilogy(
    run.times[:100], np.exp(-found.rate.value / 2 * run.times[:100]), "--", label="fitted rate"
)
ax.set(xlabel="time", ylabel="distance from the end")
ax.legend()
found.rate, bound.rate
