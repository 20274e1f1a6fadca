r"""
8. Moments, and the largest admissible weight
=============================================

**Statement.** The flow keeps the class of laws that the moments of its start define, and no heavier class.
**Operational definition, after the abstract of [ISD]**: there w* is "the largest weight on which the
mean-field flow admits a global solution"; here it is read from the moments.

Derivation
----------

1. :math:`m_k(µ) = ∫ |θ|^k dµ`. A weight is a positive sequence :math:`w = (w_k)`, and its class is
   :math:`P_w = \{µ : \sup_k w_k m_k(µ) < ∞\}`. Factors :math:`C^k` only rescale parameter space: weights that
   differ by one are the same.
2. A weight admits the start :math:`µ_0` if and only if :math:`w_k ≤ C/m_k(µ_0)`: the largest is
   :math:`w^*_k = 1/m_k(µ_0)`.
3. Its *order* ρ is read from :math:`\log m_k = \frac kρ \log k + O(k)`: with Stirling's formula 2 for a Gaussian
   law, 1 for an exponential one, ρ for tails :math:`e^{−|θ|^ρ}`, ∞ for compact support. A law with tail index
   ν has :math:`m_k = ∞` from k ≥ ν on, so that :math:`w^*_k = 0` there.
4. *Propagation.* The drift grows at most linearly, so that :math:`(m_k)^{1/k}` grows at most exponentially in t,
   uniformly in k: :math:`G(t) = \sup_k (w^*_k m_k(µ_t))^{1/k}` stays finite. With noise the law has Gaussian
   tails at once: the order that is kept is :math:`\min(ρ, 2)`.
5. *Maximality.* For a weight of larger order :math:`(w_k m_k(µ_0))^{1/k}` grows with k.

The oracle
----------

Moments of a d-dimensional standard normal, :math:`m_k = 2^{k/2} Γ((d+k)/2)/Γ(d/2)`; and G along a run.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import gammaln

import meanfield as mf

weight = mf.admissible_weight("gaussian", dimension=3)
k = np.arange(1, weight.max_order + 1)
closed = k / 2 * np.log(2) + gammaln((3 + k) / 2) - gammaln(1.5)
assert np.allclose(weight.log_moments.value, closed)
weight

# %%
x = np.random.default_rng(0).normal(size=(16, 1))
problem = mf.Problem(x, np.tanh(2 * x[:, 0]), l2=0.05, temperature=0.02)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.plot(k, closed / k - np.log(k) / 2, label="Gaussian: level at 1/ρ = 1/2")
left.plot(k, closed / k - np.log(k) / 3, "--", label="against the heavier order 3: grows")
left.set_xlabel("k")
left.set_ylabel(r"$\frac{1}{k}\log m_k - \frac{1}{ρ}\log k$")
left.legend()
for name, marker in (("gaussian", "o"), ("uniform-ball", "s"), ("laplace", "^")):
    law = mf.InitialLaw(name)
    run = mf.simulate(problem, 20000, 0.2, 200, init=law, save_at=range(0, 201, 40))
    exact = mf.admissible_weight(law, problem=problem, max_order=16)
    growth = mf.moments.moment_propagation(run, exact).growth
    right.errorbar(run.times, growth.value, growth.arms, fmt=marker + "-", label=name)
    assert growth.value.max() < 3
right.set_xlabel("time")
right.set_ylabel("G(t)")
right.legend()
