r"""
3. The Gibbs law, relaxation, and a certificate of optimality
=============================================================

**Statement.** For a convex loss, :math:`λ > 0` and :math:`τ > 0` the free energy J (:doc:`page 1 <01_particles>`)
has at most one minimiser, the fixed point :math:`µ_∞ ∝ \exp(−V[µ_∞]/τ)`; under a log-Sobolev inequality the
limit tends to it exponentially; and n error signals certify how far the Gibbs law that they define is from this
global optimum.

Derivation
----------

1. J is convex: R is convex in f, f is linear in µ, and the entropy is strictly convex. Where its first
   variation :math:`V[µ] + τ \log µ` is constant is the minimum: :math:`µ_∞ ∝ e^{−V[µ_∞]/τ}`.
2. V depends on µ through the n numbers :math:`f(x_j)` alone: the fixed point is one in :math:`R^n`. Trained
   output weights are Gaussian given (w, b) and are integrated out, the rest by quadrature.
3. *Duality.* For any error signals r, with :math:`V_r = \frac1n \sum_j r_j ψ_j + \frac λ2 |θ|^2` and the convex
   conjugate :math:`ℓ^*`,

   .. math:: \mathcal D(r) = −\frac1n \sum_j ℓ^*_j(r_j) − τ \log ∫ e^{−V_r(θ)/τ} dθ \;≤\; \min J
             \;≤\; J(p_r), \qquad p_r ∝ e^{−V_r/τ}.

   The left side is Fenchel's inequality for ℓ and the Gibbs variational principle for the entropy. Both
   sides are quadratures, so that the gap needs no entropy of particles; it vanishes at the optimum. It
   bounds :math:`J(p_r) − \min J`, *not* :math:`J(µ_t) − \min J`: it judges the run by its predictions alone. `mf.duality_gap`
   takes up to three input parameters, none of them frozen.

   With trained a and an activation of linear growth (relu, silu, …) :math:`r\,ψ` grows like
   :math:`|θ|^2`: :math:`p_r` then exists only where the error signals are small against λ. Elsewhere the gap is
   infinite, and nothing is certified.
4. *Relaxation.* Along the flow :math:`\frac{d}{dt} J = −∫ |∇ \tfrac{δJ}{δµ}|^2 dµ_t`. If the laws :math:`p_{r}` obey
   a log-Sobolev inequality with constant α (which bounded ψ and λ > 0 give, of
   size :math:`e^{−C/τ}`), then :math:`J(µ_t) − J(µ_∞) ≤ e^{−2ατt} (J(µ_0) − J(µ_∞))`.

The oracle
----------

One trained weight: the density from the fixed point, and the histogram of particles that ran for long.
Their distance is O(η) from the step size and O(1/N). Beside it the duality gap along the run.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

x = np.random.default_rng(0).normal(size=(16, 1))
problem = mf.Problem(
    x, np.tanh(2 * x[:, 0]), activation="tanh", bias=False, train=("w",), l2=0.1, temperature=0.1
)
law = mf.stationary(problem)
run = mf.simulate(problem, 2048, 0.1, 600, n_replicas=16, save_at=range(0, 601, 60))
gap = mf.duality_gap(run)

points = np.linspace(-4, 7, 70)
middles = (points[1:] + points[:-1]) / 2
histogram = np.histogram(run.particles.w, points, density=True)[0]
density = law.density(middles[:, None])

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.stairs(histogram, points, fill=True, alpha=0.4, label="particles, time 60")
left.plot(middles, density, color="black", label="fixed point")
left.set_xlabel("weight")
left.legend()
right.semilogy(run.times, gap.dataset["gap"].mean("replica"), "o-")
right.set_xlabel("time")
right.set_ylabel("duality gap")
assert np.abs(histogram - density).max() < 0.03
law.residual, gap
