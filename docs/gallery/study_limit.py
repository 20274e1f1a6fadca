"""
limit: an infinitely wide deep network
======================================

Two tanh layers under µP: outputs of the infinitely wide network on six inputs (lines, with the error of
the simulation), and of one network of width 512 (dots).
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rng = np.random.default_rng(0)
X, y = rng.normal(size=(6, 10)) / np.sqrt(10), rng.choice([-1.0, 1.0], size=6)
settings = {"depth": 2, "activation": "tanh", "step_size": 0.05, "n_steps": 60}
limit = mf.deep.infinite_width(X, y, n_samples=2048, n_replicas=2, **settings)
wide = mf.deep.train(X, y, width=512, **settings)
figure, ax = plt.subplots(figsize=(6, 3.4))
for i in range(6):
    line = limit.predictions[:, i]
    ax.plot(limit.steps, line, color=f"C{i}")
    off = wide.predictions[0, :, i] - wide.predictions[0, 0, i]
    ax.plot(wide.steps[::6], off[::6], "o", markersize=3, color=f"C{i}")
ax.set(xlabel="step", ylabel="output")
