"""
references: three ways to the limit
===================================

One trained weight: predictions of the limit by a large system, by the exact law of the discrete chain, and
by the Fokker–Planck equation in continuous time, as differences from the chain.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

data = mf.problem.single_index(n_features=1, link="tanh", n_train=8)
problem = data.problem(bias=False, train=("w",), l2=0.2, temperature=0.1)
settings = {"step_size": 0.1, "n_steps": 60}
chain = mf.mean_field(problem, "chain", **settings)
figure, ax = plt.subplots(figsize=(6, 3.4))
for method, sizes in (("particles", {"n_particles": 2**17}), ("fokker-planck", {})):
    path = mf.mean_field(problem, method, **settings, **sizes)
    gap = np.sqrt(((path.predictions - chain.predictions) ** 2).mean(axis=1))
    ax.semilogy(path.times[1:], gap[1:], label=method)
ax.set(xlabel="time", ylabel="distance from the chain")
ax.legend()
