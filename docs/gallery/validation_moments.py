"""
moments: the flow keeps the moments of its start
================================================

G(t), the largest moment against the weight of the initial law, along runs from four laws: it stays bounded.
"""

import matplotlib.pyplot as plt

import meanfield as mf

data = mf.problem.single_index(n_features=1, link="tanh", n_train=16)
problem = data.problem(l2=0.05, temperature=0.02)
figure, ax = plt.subplots(figsize=(6, 3.4))
for name, more in (
    ("gaussian", {}),
    ("laplace", {}),
    ("uniform-ball", {}),
    ("student-t", {"nu": 6.0}),
):
    law = mf.InitialLaw(name, **more)
    run = mf.simulate(problem, 10000, 0.2, 200, init=law, save_at=range(0, 201, 40))
    weight = mf.admissible_weight(law, problem=problem, max_order=16)
    growth = mf.moments.moment_propagation(run, weight).growth
    ax.errorbar(
        run.times,
        growth.value,
        growth.arms,
        fmt="o-",
        label=f"{name}, order {weight.order.value:g}",
    )
ax.set(xlabel="time", ylabel="G(t)")
ax.legend()
