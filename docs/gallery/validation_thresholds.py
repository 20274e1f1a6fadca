"""
thresholds: how atoms branch as the penalty falls
=================================================

A teacher of three neurons in the plane, learned at one penalty after another: the angle of each atom of the
network, and how many the count S_up of parts above the threshold allows.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

turn = np.radians([20, 65, 130])
target = mf.problem.Teacher(
    [1.0, -0.8, 0.6], 1.5 * np.column_stack([np.cos(turn), np.sin(turn)]), activation="tanh"
)
X = np.random.default_rng(0).normal(size=(300, 2))
figure, ax = plt.subplots(figsize=(5, 4))
start = "gaussian"
for l2 in np.geomspace(1e-3, 0.3, 8):
    problem = mf.Problem(X, target(X), "tanh", bias=False, l2=l2, temperature=1e-6 * l2)
    start = mf.simulate(problem, 100, step_size=0.5, n_steps=600, init=start).particles
    found = mf.extract_dictionary(start, problem, target="network", max_atoms=8)
    ax.semilogx(
        np.full(found.n_atoms, l2), np.degrees(np.arctan2(*found.function.w.T[::-1])) % 180, "o"
    )
    count = mf.coefficient_threshold_number(target, "tanh", l2=l2, d=2, bias=False)
    print(f"penalty {l2:.3g}: {found.n_atoms} atoms, S_up = {count.number}")
ax.set(xlabel="penalty", ylabel="angle of an atom's line, degrees")
