r"""
6. Sharp laws: k out of N neurons
=================================

**Statement.** For the linear network in its stationary state the law of k neurons out of N is Gaussian and
known: its divergence from the product of the limit is :math:`\frac14 \sum_s x_k(s)^2 + …`, :math:`x_k(s) ∝ k/N`: one
neuron is :math:`O(1/N^2)` from its limit, all of them O(1). For interacting diffusions this order in k/N is a theorem
of Lacker (arXiv 2105.02983), uniformly in time of Lacker and Le Flem (2205.12047).

Derivation
----------

1. Identity activation, :math:`a ≡ 1`, squared loss: in an eigenvector of :math:`\hatΣ` with eigenvalue s a step
   is :math:`θ_i ← (1 − ηλ) θ_i − η s\, \bar θ + \sqrt{2ητ}\, ξ_i` about the mean, with :math:`\barθ` the mean over
   neurons.
2. It decouples into the mean, contracted by :math:`1 − η(λ+s)`, and the differences, by :math:`1 − ηλ`. Their
   stationary variances are :math:`v q/N` and, per neuron, v, with

   .. math:: v = \frac{τ}{λ(1 − ηλ/2)}, \qquad q(s) = \frac{λ(1 − ηλ/2)}{(λ+s)(1 − η(λ+s)/2)} .

3. The covariance of k neurons is :math:`v(I − \frac{1−q}{N} 1 1^⊤)`: all eigenvalues are v but one, which is
   :math:`v(1 − x_k)`, :math:`x_k(s) = \frac kN (1 − q(s))`. So, for every N,

   .. math:: N \operatorname{Cov}(θ_1, θ_2) &= −v(1−q), \\
             \mathrm{KL}_k &= \tfrac12 \sum_s \bigl(−x_k − \log(1 − x_k)\bigr), \\
             W_2^2 &= \sum_s v \bigl(1 − \sqrt{1 − x_k}\bigr)^2 .

The oracle
----------

At λ = .3, s = .9, τ = .2, η = .1, N = 16: divergence and :math:`W_2^2` of Gaussian laws whose covariance is summed up
from the recursion of all N neurons, step by step, without the eigenvectors of step 2; and the covariance of
two neurons, measured over replicas of networks that run for long.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

x = np.sqrt(0.9) * np.array([[1.0], [-1.0]])
problem = mf.Problem(
    x, 0.0 * x[:, 0], activation="identity", bias=False, train=("w",), l2=0.3, temperature=0.2
)
law = mf.limit.sharp_chaos(problem, n_particles=16, step_size=0.1)
k = np.array([1, 2, 4, 16])
divergence = np.array([law.kullback_leibler(int(one)) for one in k])
distance = np.array([law.wasserstein2(int(one)) for one in k])  # squared

step = (1 - 0.1 * 0.3) * np.eye(16) - 0.1 * 0.9 / 16  # of all 16 neurons at once
joint, one = np.zeros((16, 16)), 0.0
for _ in range(2000):
    joint = step @ joint @ step.T + 2 * 0.1 * 0.2 * np.eye(16)
    one = (1 - 0.1 * 0.3) ** 2 * one + 2 * 0.1 * 0.2  # a neuron of the limit
parts = [np.linalg.eigvalsh(joint[:size, :size]) for size in k]
known = np.array([0.5 * (part / one - 1 - np.log(part / one)).sum() for part in parts])
assert np.allclose(divergence, known, rtol=1e-6)
moved = np.array([np.square(np.sqrt(part) - np.sqrt(one)).sum() for part in parts])
assert np.allclose(distance, moved, rtol=1e-6)

# %%
# The measured covariance comes from the variance of the mean over neurons, which replicas know well.

v = 0.2 / (0.3 * (1 - 0.1 * 0.3 / 2))
q = 0.3 * (1 - 0.1 * 0.3 / 2) / (1.2 * (1 - 0.1 * 1.2 / 2))
counts, measured, bars = [4, 8, 16, 32], [], []
for N in counts:
    run = mf.simulate(problem, N, 0.1, 300, n_replicas=3000, save_at=[300], seed=N)
    w = run.particles.w[:, :, 0]
    mean, one = w.mean(axis=1).var(), w.var()
    measured.append(N * (mean - one / N) * N / (N - 1))
    bars.append(2 * np.sqrt(2 / 3000) * N * mean * N / (N - 1))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.errorbar(counts, measured, bars, fmt="o", label="measured")
left.axhline(-v * (1 - q), color="black", label="closed form")
left.set_xscale("log", base=2)
left.set_xlabel("N")
left.set_ylabel(r"$N\,\mathrm{Cov}(θ_1, θ_2)$")
left.legend()
right.loglog(k, divergence, "o-", label="divergence of k neurons")
right.loglog(k, distance, "s-", label=r"$W_2^2$ of k neurons")
right.loglog(k, known[0] * k**2, "k--", label=r"$k^2$")
right.set_xlabel("k out of 16")
right.set_ylabel("distance from the product")
right.legend()
assert np.all(np.abs(np.array(measured) + v * (1 - q)) < 1.7 * np.array(bars))
