"""
richardson: step size and number of neurons, apart
==================================================

The same Brownian paths at several step sizes: what the step size costs falls like η², what the number of
neurons costs like 1/N, and the extrapolation 2 f(η/2) − f(η) takes off the first order.
"""

import matplotlib.pyplot as plt

import meanfield as mf

data = mf.problem.single_index(n_features=1, link="tanh", n_train=16)
problem = data.problem(bias=False, train=("w",), l2=0.2, temperature=0.1)
found = mf.chaos.step_size_errors(
    problem, [64, 256, 1024], 64, step_size=0.5, n_steps=8, levels=4, seed=0
)
names = ("step_slope", "own_slope", "total_slope", "extrapolated_slope")
figure, ax = plt.subplots(figsize=(6, 3))
for i, name in enumerate(names):
    slope = getattr(found, name)
    ax.errorbar([slope.value], [i], xerr=slope.arms[:, None], fmt="o")
    if slope.expected is not None:
        ax.plot(slope.expected, i, "k|", markersize=20)
ax.set_yticks(range(4), [name.replace("_", " ") for name in names])
ax.set_xlabel("slope in η or in N, with its 95 % interval; lines: expected")
