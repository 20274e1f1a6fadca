"""
transfer: is the best rate of a narrow network that of a wide one?
==================================================================

Training loss after 20 steps against the learning rate, one curve per width, under µP (left) and under
the standard parametrization (right), where the best rate falls with the width.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rng = np.random.default_rng(0)
X, y = rng.normal(size=(6, 10)) / np.sqrt(10), rng.choice([-1.0, 1.0], size=6)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
for ax, scheme in zip(axes, ("mup", "sp"), strict=True):
    for width in (32, 64, 128, 256):
        curve = mf.deep.rate_curve(
            X, y, width=width, start=0.1 if scheme == "mup" else 3 / width, parametrization=scheme,
            depth=2, activation="tanh", n_steps=20,
        )  # fmt: skip
        ax.loglog(curve.rates, curve.losses, "o-", markersize=3, label=f"n = {width}")
    ax.set(title=mf.deep.PARAMETRIZATIONS[scheme].title, xlabel="learning rate", ylim=(None, 20))
axes[0].set_ylabel("training loss")
axes[0].legend()
