r"""
2. Propagation of chaos: what falls like 1/N
============================================

**Statement.** Let :math:`{\bar θ}_i` be independent :term:`McKean–Vlasov copies <McKean–Vlasov copy>`: start and noise of particle i,
but driven by the predictions :math:`{\bar f}_t` of the infinitely wide network. For a smooth activation, at
every fixed t and N → ∞,

.. math:: E\,D_N(t) = E\,\frac1N \sum_i |θ_i − {\bar θ}_i|^2 = O(1/N),

.. math:: W_2^2(µ_t^N, {\bar µ}_t^N) ≤ D_N(t), \qquad E\,\frac1n \sum_j |f_N − {\bar f}_t|^2(x_j) = O(1/N).

The constant may grow with t; in one well of the potential it does not.

Derivation
----------

1. Particle and copy have the same noise: it drops out of the difference of two steps,
   :math:`θ_i^{t+1} − {\bar θ}_i^{t+1} = (θ_i − {\bar θ}_i) − η\,(∇V[µ^N](θ_i) − ∇V[{\bar µ}]({\bar θ}_i))`.
2. Split the difference of drifts: the same potential at two places, which the Lipschitz constant L of
   :math:`∇V` bounds by :math:`L|θ_i − {\bar θ}_i|`; and two potentials at the same place, which differ by
   :math:`\frac1n \sum_j (r_j − {\bar r}_j) ∇ψ_j`, hence by a multiple of :math:`|f_N − {\bar f}|`.
3. :math:`f_N − {\bar f} = \frac1N \sum_i (ψ(θ_i) − ψ({\bar θ}_i)) + \frac1N \sum_i (ψ({\bar θ}_i) − E ψ)`. The
   first term is at most :math:`C \sqrt{D_N}`; the second is a mean of N *independent* terms, of variance
   :math:`\operatorname{Var} ψ({\bar θ})/N`. This is where 1/N comes from.
4. Grönwall: :math:`E\,D_N(t) ≤ e^{Ct}/N`, one well or several: first N → ∞, t fixed. Contraction in one well
   (λ against the curvature) replaces the exponential by a constant: the rate is *uniform in time*. In
   several wells N has to be large against :math:`e^{Ct}`: :doc:`05_several_wells`.
5. Matching i with i is one transport plan between the two clouds: hence :math:`W_2^2 ≤ D_N`.

What does *not* fall like 1/N is :math:`W_2^2(µ_t^N, µ_t)`: for :math:`p > 4` it is the sampling error
:math:`N^{−2/p}` of any cloud, interacting or not, and for p = 3 and 4 it is slower than 1/N too. The :math:`W_2` of the theorem is an infimum over
couplings; this is the synchronous one.

The oracle
----------

Identity activation, :math:`a ≡ 1`, squared loss: everything is Gaussian. With :math:`\hatΣ = X^⊤X/n` and the
initial covariance :math:`C_0`, for *every* N and t

.. math:: E[N D_N(t)] = \operatorname{tr} P_{δδ}(t), \qquad P_0 = \operatorname{diag}(0, C_0),

.. math:: P_{t+1} = A P_t A^⊤ + \operatorname{diag}(0, 2ητ I),

.. math:: A = \begin{pmatrix} (1−ηλ) I & −η\hatΣ \\ 0 & I − η(\hatΣ + λI) \end{pmatrix}.

Subtract the two recursions, and average over particles: δ is the displacement of a particle from its copy,
e the fluctuation of the particles' mean about that of the limit, both times :math:`\sqrt N`.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rng = np.random.default_rng(1)
X = rng.normal(size=(30, 2))
l2, tau, eta, steps = 0.2, 0.1, 0.1, 150
problem = mf.Problem(
    X, X @ [1.0, -1.0], activation="identity", bias=False, train=("w",), l2=l2, temperature=tau
)
limit = mf.mean_field(problem, "gaussian", step_size=eta, n_steps=steps)
times = list(range(10, steps + 1, 10))
rates = mf.chaos_rates(
    problem, [8, 16, 32], n_replicas=120, step_size=eta, n_steps=steps, times=times,
    reference=limit, cloud_replicas=0, seed=0,
)  # fmt: skip

S, unit, zero = X.T @ X / len(X), np.eye(2), np.zeros((2, 2))
A = np.block([[(1 - eta * l2) * unit, -eta * S], [zero, unit - eta * (S + l2 * unit)]])
P = np.block([[zero, zero], [zero, unit]])  # the start is standard normal
exact = [0.0]
for _ in range(steps):
    P = A @ P @ A.T + np.block([[zero, zero], [zero, 2 * eta * tau * unit]])
    exact.append(np.trace(P[:2, :2]))
exact = np.array(exact)

# %%
# Measured, for three sizes, on the closed form; bars are 95 % intervals over replicas.

figure, ax = plt.subplots(figsize=(6.5, 3.6))
ax.plot(np.arange(steps + 1) * eta, exact, color="black", label="closed form, every N")
inside = []
for N, marker in ((8, "o"), (16, "s"), (32, "^")):
    scaled = N * rates.dataset["coupling"].sel(particles=N)
    mean, bar = (
        scaled.mean("replica").values,
        1.98 * scaled.std("replica", ddof=1).values / 120**0.5,
    )
    at = np.array(times) * eta + 0.03 * N / 8
    ax.errorbar(at, mean, bar, fmt=marker, markersize=4, label=f"N = {N}, measured")
    inside += list(np.abs(mean - exact[times]) <= 1.5 * bar)
ax.set_xlabel("time")
ax.set_ylabel(r"$N\,E\,D_N$")
ax.legend()
assert np.mean(inside) > 0.9
rates

# %%
# What else one has to know
# -------------------------
#
# - *The law's bias*, the squared mean of :math:`f_N − \bar f` over replicas, falls like :math:`1/N^2`: what
#   averaging networks cannot remove (:doc:`/made/validation/ensembles`).
# - *Next order.* A distance is :math:`N^{−1}(C + C_2/N + …)`. Small systems are known best and bend a
#   straight line; a slope that the term :math:`C_2/N` explains as well is called *pre-asymptotic*.
# - *Uniform in time* is shown by :math:`N D_N(t)` over a horizon long past relaxation, and its late-time
#   growth with an interval: ``rates.trends``.
# - *Kinks* (relu, leaky relu, abs) kick pairs apart at a fixed step size: :doc:`04_linear_response`;
#   *several wells*: :doc:`05_several_wells`.
# - *Minibatches:* all of this holds given the batches, which particles of every size, their copies and the
#   limit share: neurons become independent in the same random environment.
# - *Noise* is a function of seed, replica, step, particle and coordinate alone: a system of N and one of
#   M > N share the first N paths, and results depend neither on threads nor on restarts.
#
# Going on: ``meanfield chaos`` (:doc:`/made/studies/chaos`), :doc:`/made/validation/references` with three
# ways to the limit, and the constant for other networks: :doc:`04_linear_response`.
