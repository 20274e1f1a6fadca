"""
sweep: a phase diagram of the number of atoms
=============================================

A teacher of three neurons of different size, learned under growing penalties and label noise: how many
atoms the networks have. The penalty removes the smallest first.
"""

import matplotlib.pyplot as plt

import meanfield as mf

config = {
    "study": "atoms",
    "data": {"source": "teacher", "n_features": 2, "n_atoms": 3, "bias": False, "min_angle": 40,
             "output_norm": [0.5, 1.0, 2.0], "weight_norm": 1.5, "n_train": 100, "n_test": 50},
    "problem": {"bias": False, "temperature": 1e-4},
    "run": {"step_size": 0.5, "n_steps": 300},
    "atoms": {"n_particles": 80, "n_replicas": 2, "cool_steps": 200, "target": "network"},
}  # fmt: skip
over = {"problem.l2": [3e-3, 1e-1, 3e-1], "data.noise": [0.0, 0.5]}
found = mf.sweep(config, over)
number = found["n_atoms"].sel(bound="value")
figure, ax = plt.subplots(figsize=(6, 3))
number.plot(ax=ax, x="problem.l2", xscale="log", levels=[0.5, 1.5, 2.5, 3.5], cmap="viridis")
number.to_pandas()
