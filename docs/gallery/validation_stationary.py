"""
stationary: long runs end in the Gibbs law
==========================================

The law of one weight at three temperatures, solved by quadrature, and particles that ran for long.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

data = mf.problem.single_index(n_features=1, link="tanh", n_train=16)
points = np.linspace(-6, 6, 81)
middles = (points[1:] + points[:-1]) / 2
figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for ax, tau in zip(axes, (0.02, 0.1, 0.5), strict=True):
    problem = data.problem(bias=False, train=["w"], l2=0.1, temperature=tau)
    run = mf.simulate(problem, 2048, 0.25, 240, n_replicas=8)
    ax.hist(run.particles.w.ravel(), points, density=True, alpha=0.4)
    ax.plot(middles, mf.stationary(problem).density(middles[:, None]), color="black")
    ax.set(title=f"temperature {tau}", xlabel="weight")
