"""
bench: how fast is a step on this machine?
==========================================

Updates of neurons per second in the compiled step, here on the machine that built these pages. The first
call compiles. ``meanfield bench`` measures it with care, ``scripts/benchmarks`` against JAX and PyTorch.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

X = np.random.default_rng(0).normal(size=(256, 16))
problem = mf.Problem(X, X[:, 0], activation="tanh")
mf.simulate(problem, 1024, n_steps=2)
sizes, speeds = [64, 256, 1024, 4096], []
for n_particles in sizes:
    start = time.perf_counter()
    mf.simulate(problem, n_particles, n_steps=50)
    speeds.append(50 * n_particles * 256 / (time.perf_counter() - start) / 1e6)
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.bar(range(4), speeds)
ax.set_xticks(range(4), sizes)
ax.set(xlabel="N", ylabel="million neuron × datum / second")
