"""
widths: which parametrization keeps features moving?
====================================================

Three tanh layers, trained under SP, NTP and µP at growing width: how far training moves the features of
the last layer. Under µP it is the same at every width; under the other two it vanishes.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rng = np.random.default_rng(0)
X, y = rng.normal(size=(8, 6)) / np.sqrt(6), rng.choice([-1.0, 1.0], size=8)
widths = [32, 64, 128, 256, 512]
figure, ax = plt.subplots(figsize=(6, 3.4))
for name, marker in (("sp", "o"), ("ntp", "s"), ("mup", "^")):
    weight_variance, rate_scale = mf.deep.experiment_scales(name, n_features=6)
    moved = []
    for width in widths:
        run = mf.deep.train(
            X, y, width=width, depth=3, parametrization=name, activation="tanh", n_steps=60,
            step_size=0.02 if name != "sp" else 0.02 / width, n_replicas=3,
        )  # fmt: skip
        moved.append(run.feature_change[:, -1, -1].mean())
    ax.loglog(widths, moved, marker + "-", label=name)
ax.set(xlabel="width", ylabel="feature change, last layer")
ax.set_xticks(widths, widths)
ax.minorticks_off()
ax.legend()
