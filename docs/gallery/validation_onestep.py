"""
onestep: the best learning rate transfers across widths
=======================================================

One step of the hidden matrices of linear networks under µP, with many rates: the best one tends to that of
the infinitely wide network, which is known in closed form, as the width grows.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

data = mf.problem.single_index(n_features=12, n_train=8)
X, y = data.X / np.linalg.norm(data.X, axis=1, keepdims=True), data.y
kernel, matrices = X @ X.T, 2
exact = y @ kernel @ y / np.sum((kernel @ y) ** 2) / (2 * matrices)
rates = exact * np.linspace(0.3, 1.7, 57)
step = {"depth": matrices + 1, "activation": "identity", "n_steps": 1, "rate_scale": (0, 1, 0)}
figure, ax = plt.subplots(figsize=(6, 3.4))
for width in (64, 256, 1024):
    runs = [mf.deep.train(X, y, width=width, n_replicas=4, step_size=r, **step) for r in rates[::4]]
    loss = [run.loss[:, -1].mean() for run in runs]
    ax.plot(rates[::4] / exact, loss, "o-", markersize=3, label=f"width {width}")
ax.axvline(1, color="black", linestyle=":", label="best rate of the limit")
ax.set(xlabel="rate / best rate of the limit", ylabel="loss after one step")
ax.legend()
