"""
bench: how fast is a step on this machine?
==========================================

Updates of neurons per second in the compiled step, here on the machine that built these pages. The first
call compiles. ``meanfield bench`` measures it with care, ``scripts/benchmarks`` against JAX and PyTorch.
"""

import time

import numpy as np

import meanfield as mf

X = np.random.default_rng(0).normal(size=(256, 16))
problem = mf.Problem(X, X[:, 0], activation="tanh")
mf.simulate(problem, 1024, n_steps=2)
for n_particles in (256, 1024, 4096):
    start = time.perf_counter()
    mf.simulate(problem, n_particles, n_steps=50)
    rate = 50 * n_particles * 256 / (time.perf_counter() - start)
    print(f"N = {n_particles:5}: {rate / 1e6:.0f} million neuron-data products a second")
