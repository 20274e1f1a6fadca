"""
integrators: orders on shared Brownian paths
============================================

The strong error of three integrators at a fixed time, against the smallest step size; the fitted orders
have intervals over replicas.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

x = np.linspace(-1, 1, 8)[:, None]
problem = mf.Problem(x, 3 * np.tanh(2 * x[:, 0]), bias=False, train=("w",), l2=0.5, temperature=1.0)
steps = [0.05, 0.1, 0.2, 0.4]
found = mf.limit.integrator_errors(
    problem, ["euler", "leimkuhler-matthews", "kinetic"], step_sizes=[0.2, 0.4, 0.8],
    reference_step=0.1, n_particles=256, n_replicas=12, burn_in=4, duration=12,
    path_step_sizes=steps, path_time=1.6,
)  # fmt: skip
figure, ax = plt.subplots(figsize=(6, 3.4))
for name, errors in found.items():
    order = errors.strong_order().value
    ax.loglog(steps, errors.strong_error.value, "o-", label=f"{name}, order {order:.2f}")
ax.set(xlabel="step size", ylabel="strong error")
ax.legend()
