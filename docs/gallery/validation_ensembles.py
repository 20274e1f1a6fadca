"""
ensembles: what averaging networks can do
=========================================

The squared bias of small networks falls like 1/N², under a variance of 1/N: averaging removes the second
and leaves the first. Two thousand networks of each size.
"""

import matplotlib.pyplot as plt

import meanfield as mf

data = mf.problem.single_index(n_features=1, link="tanh", n_train=16)
problem = data.problem(bias=False, train=("w",), l2=0.1, temperature=0.05)
found = mf.chaos.ensemble_errors(
    problem, [2, 4, 8, 16], 2048, step_size=0.2, n_steps=80, seed=0, reference="chain"
)
dataset = found.to_xarray()
figure, ax = plt.subplots(figsize=(6, 3.4))
for name in ("squared_bias", "variance"):
    values = dataset[name]
    values = values.sel(bound="value") if "bound" in values.dims else values
    ax.loglog(dataset["particles"], values, "o-", label=name)
ax.set(xlabel="N")
ax.legend()
found.bias_slope, found.variance_slope
