r"""
1. Particles, their limit, and the rate
=======================================

A problem, the neurons that learn it, the infinitely wide network that they approach, how fast they
do, and the constant in front, which theory predicts.

A problem
---------

Inputs, labels, and a network :math:`f_N(x) = \frac1N \sum_i a_i\, σ(⟨w_i, x⟩ + b_i)` to learn them.
Here a teacher of two neurons makes the labels, so that we know what there is to find. The penalty
``l2`` (λ) and the ``temperature`` (τ) belong to the problem: they say *which* network is sought.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

X = np.random.default_rng(0).normal(size=(64, 2))
y = np.tanh(1.5 * X[:, 0]) - np.tanh(1.5 * X[:, 1])
problem = mf.Problem(X, y, activation="tanh", bias=False, l2=0.1, temperature=0.05)
problem

# %%
# Particles
# ---------
#
# Noisy gradient descent moves the neurons. A :term:`replica` is an independent network; all of them are
# trained at once. Time is ``step × step_size``, and a run should last several times ``1 / l2``.

run = mf.simulate(
    problem, n_particles=256, step_size=0.2, n_steps=300, n_replicas=4, save_at=range(0, 301, 10)
)
run.plot()
run

# %%
# The same seed gives the same bits, for any number of threads. ``run.particles`` has the neurons of
# the last saved step, of every replica:

run.particles.a.shape, run.particles.w.shape

# %%
# The limit
# ---------
#
# As N grows, the neurons become independent of each other, each driven by the predictions
# :math:`\bar f_t` of the infinitely wide network. Those are all one has to know of it: an array
# (steps + 1, data). Here a large system stands for it; where an exact method exists it can be
# named (``method="gaussian"``, ``"chain"``, ``"fokker-planck"``).

limit = mf.mean_field(problem, n_particles=16384, step_size=0.2, n_steps=300)
figure, ax = plt.subplots(figsize=(6, 3.5))
ax.plot(limit.times, limit.predictions[:, 0], color="black", label="infinitely many neurons")
time = run.steps * 0.2
for replica in run.predictions[:, :, 0]:
    ax.plot(time, replica, "o", markersize=3)
ax.set_xlabel("time")
ax.set_ylabel("prediction of the first datum")
ax.legend()

# %%
# The rate
# --------
#
# Every particle is compared with its :term:`copy <McKean–Vlasov copy>`: the same start and the same noise, but driven by the
# limit. ``function`` is the mean squared error of the outputs, ``w1_squared`` the squared mean
# distance of particle and copy; both should fall like 1/N. Every slope carries its 95 % interval,
# over replicas. "One well" in the verdict means that particles and copies stay together; the potential
# may have further minima that do not part them, here (a, w) and its mirror image (−a, −w).

rates = mf.chaos_rates(
    problem, [16, 32, 64, 128], n_replicas=32, step_size=0.2, n_steps=200, reference=limit, seed=1
)
rates.plot()
rates

# %%
# The constant in front
# ---------------------
#
# Theory says it without a run of N neurons: the fluctuations around the limit obey a linear response
# (:doc:`/made/theory/04_linear_response`). So it also says how many neurons an error of 0.05 takes.

prediction = mf.predict_chaos(
    problem, step_size=0.2, n_steps=200, times=[50, 100, 200], n_systems=8
)
prediction

# %%
prediction.neurons(0.05)

# %%
# Measured beside predicted, at the last step: N times the mean of ``function`` over replicas.

measured = rates.dataset["function"].isel(time=-1).mean("replica") * rates.dataset["particles"]
measured.values.round(3), float(prediction.dataset["function"][-1])
