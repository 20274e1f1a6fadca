r"""
4. Linear response: the constant in front of 1/N
================================================

**Statement.** The limits of :math:`N\,E\,D_N(t)` and :math:`N\,E\,|f_N − {\bar f}_t|^2` are computable without
any network of N neurons: fluctuations obey a central limit theorem and, to leading order, a linear
recursion. `mf.predict_chaos` computes them.

Derivation
----------

1. Let :math:`e_i^t = \sqrt N (θ_i^t − {\bar θ}_i^t)` and :math:`g_j^t = \sqrt N (f_N − {\bar f}_t)(x_j)`. The noise
   drops out of the difference of two Euler steps, and to first order

   .. math:: e_i^{t+1} = Φ_i^t e_i^t − \frac ηn \sum_j ℓ''_j\, g_j^t\, ∇ψ_j({\bar θ}_i^t), \qquad e_i^0 = 0,

   .. math:: Φ_i^t = (1 − ηλ) I − \frac ηn \sum_j ℓ'_j\, ∇^2 ψ_j({\bar θ}_i^t),

   with :math:`ℓ'_j, ℓ''_j` at :math:`{\bar f}_t(x_j)`.
2. The output is a mean over particles: what independent copies would fluctuate by, and the mean of
   what the displacements add,

   .. math:: g_j^t = \underbrace{\frac{1}{\sqrt N} \sum_i \bigl(ψ_j({\bar θ}_i^t) − {\bar f}_t(x_j)\bigr)}_{→\; G_j^t}
             + \underbrace{\frac1N \sum_i ∇ψ_j({\bar θ}_i^t) · e_i^t}_{→\; E[∇ψ_j({\bar θ}^t) · e^t]} .

3. Central limit theorem: G is Gaussian, with the covariance of :math:`ψ({\bar θ})` over data *and steps*.
   Law of large numbers: the second term is an expectation over one copy, given g.
4. Put 1 into 2: :math:`g^t = G^t + \sum_{s<t} K^{t,s} g^s` with

   .. math:: K^{t,s}_{jk} = −\frac ηn\, ℓ''_k\, E\bigl[∇ψ_j({\bar θ}^t)^⊤ Φ^{t−1} ⋯ Φ^{s+1} ∇ψ_k({\bar θ}^s)\bigr],

   a kernel that looks back in time: it is solved forward, step by step.
5. Hence :math:`N\,E\,D_N(t) → E|e^t|^2` and :math:`N\,E\,\frac1n \sum_j |f_N − {\bar f}_t|^2 → \frac1n \operatorname{tr}
   \operatorname{Cov}(g^t)`, with g independent of the single particle. Two neurons of one network have
   :math:`N \operatorname{Cov}(ψ_j(θ_1), ψ_k(θ_2)) → \operatorname{Cov}(g)_{jk} − \operatorname{Cov}(G)_{jk}`.

**Where it holds.** *Kinks:* for relu, leaky relu and abs :math:`∇^2 ψ` holds a delta; a pair that straddles a
kink, a share of about :math:`N^{−1/2}`, is kicked apart by O(η), so that :math:`N\,E\,D_N` has no limit at a
fixed step size, and the prediction of ``coupling`` is NaN; that of ``function`` exists. *Several wells:*
:doc:`05_several_wells`. *Minibatches* have another noise and are refused.

**How it is computed.** A large system drives itself; the response of some hundred of its particles is
followed step by step. G enters through about a hundred combinations of the particles' own paths; the
data space is reduced to the directions that hold 99.5 % of the fluctuations (98 % where a neuron has
more than 16 parameters, each of which is dear). Independent systems give the error.

**Where it is used.** ``mf.predict_chaos(inputs=X)`` reads g at other inputs, such as held-out ones;
``mf.chaos_rates(predict=True)`` and ``mf.decompose_error(predict=True)`` set what they measure beside it.

The oracle
----------

Networks of N = 64 neurons beside the prediction, nothing fitted. (For the identity activation the constant
is known in closed form, page 2; forty more comparisons: :doc:`/made/validation/predictions`.)
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

X = np.random.default_rng(7).normal(size=(24, 2))
y = np.tanh(1.5 * X[:, 0]) - 0.5 * X[:, 1]
problem = mf.Problem(X, y, activation="tanh", l2=0.2, temperature=0.1)
times = [5, 10, 20, 30, 40, 60, 80]
settings = {"step_size": 0.2, "n_steps": 80}
prediction = mf.predict_chaos(problem, times=times, n_systems=8, **settings)
limit = mf.mean_field(problem, n_particles=2**15, seed=3, **settings)
rates = mf.chaos_rates(
    problem, [16, 32, 64], n_replicas=200, times=times, reference=limit, cloud_replicas=0,
    seed=5, **settings,
)  # fmt: skip

figure, ax = plt.subplots(figsize=(6.5, 3.6))
worst = 0.0
for metric, color in (("coupling", "C0"), ("function", "C1")):
    predicted = prediction.dataset[metric].values
    measured = 64 * rates.dataset[metric].sel(particles=64)
    mean = measured.mean("replica").values
    bar = 1.97 * measured.std("replica", ddof=1).values / 200**0.5
    ax.plot(np.array(times) * 0.2, predicted, color=color, label=f"{metric}, predicted")
    ax.errorbar(np.array(times) * 0.2, mean, bar, fmt="o", color=color, label=f"{metric}, N = 64")
    worst = max(worst, float(np.abs(mean / predicted - 1).max()))
ax.set_yscale("log")
ax.set_xlabel("time")
ax.set_ylabel("N × mean square")
ax.legend()
assert worst < 0.25  # a limit, measured at N = 64 with bars of about ten percent
worst, prediction.neurons(0.05)
