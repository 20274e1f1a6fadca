"""
richardson: step size and number of neurons, apart
==================================================

The same Brownian paths at several step sizes: what the step size costs falls like η², what the number of
neurons costs like 1/N, and the extrapolation 2 f(η/2) − f(η) takes off the first order.
"""

import meanfield as mf

data = mf.problem.single_index(n_features=1, link="tanh", n_train=16)
problem = data.problem(bias=False, train=("w",), l2=0.2, temperature=0.1)
found = mf.chaos.step_size_errors(
    problem, [64, 256, 1024], 64, step_size=0.5, n_steps=8, levels=4, seed=0
)
for name in ("step_slope", "own_slope", "total_slope", "extrapolated_slope"):
    estimate = getattr(found, name)
    print(f"{name:20} {estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}]")
