"""
richness: from lazy to rich
===========================

Infinitely wide networks whose outputs are divided by γ₀ and whose rates are multiplied by its square:
how far training moves the kernel of the features. It grows like γ₀² while training is lazy.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

data = mf.problem.single_index(n_features=6, n_train=5, labels="sign")
X = data.X / np.linalg.norm(data.X, axis=1, keepdims=True)
gammas = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
change = []
for gamma in gammas:
    limit = mf.deep.infinite_width(
        X, data.y, depth=2, activation="erf", step_size=0.02, n_steps=30, n_samples=1024,
        n_replicas=2, richness=float(gamma),
    )  # fmt: skip
    kernels = limit.kernel_h[:, -1]
    change.append(np.linalg.norm(kernels[-1] - kernels[0]) / np.linalg.norm(kernels[0]))
figure, ax = plt.subplots(figsize=(6, 3.4))
ax.loglog(gammas, change, "o-", label="last layer")
ax.loglog(gammas, change[0] * (gammas / gammas[0]) ** 2, "k--", label=r"$γ_0^2$")
ax.set_xticks(gammas, gammas)
ax.minorticks_off()
ax.set(xlabel=r"richness $γ_0$", ylabel="relative change of the kernel")
ax.legend()
