r"""
13. Deep networks under µP and their infinite-width limit
=========================================================

**Statement** ([RFL], Section 3 and Appendix B). Under µP the coordinates of features and error vectors of an
L-layer network tend to independent copies of random variables that are causal in (step, layer): they can be
sampled forward. One engine computes the limit and, exactly, networks of finite width.

Derivation
----------

1. With :math:`x_i^s` the features of layer l − 1 and :math:`dh_i^s` the error vector (the gradient of the output by the
   preactivations) of layer l at input i and step s, and :math:`χ_i^s = ℓ'(f^s(ξ_i), y_i)` the error signal: after t
   gradient steps :math:`W_t = W_0 − η \sum_s \sum_i χ_i^s\, dh_i^s\, (x_i^s)^⊤` up to scales: *every action of*
   :math:`W_t` *needs* :math:`W_0` *only on directions that it has met.*
2. Keep orthonormal bases U of the features and E of the error vectors met so far, with their images V, G, and
   a small matrix M. With K the number of units (samples, in the limit) and :math:`⟨a, b⟩ = a·b/K`,

   .. math:: W_t x = \sum_j V_j b_j + \sum_k E_k (⟨G_k, x⟩ + (Mb)_k), \qquad b = ⟨U, x⟩,

   .. math:: W_t^⊤ h = \sum_k G_k a_k + \sum_j U_j (⟨V_j, h⟩ + (M^⊤ a)_j), \qquad a = ⟨E, h⟩,

   .. math:: M ← M − η \sum_i χ_i\, a_i b_i^⊤ .

3. *Finite width:* :math:`V = W_0 u − E⟨G, u⟩` and :math:`G = W_0^⊤ e − U⟨V, e⟩` from a real :math:`W_0`. This is ordinary
   training, to rounding, at the cost of the rank.
4. *Infinite width:* a new direction gets a fresh Gaussian image, projected: :math:`V ← z − E⟨E, z⟩`. The terms
   :math:`⟨G_k, x⟩` are the corrections :math:`\dot Z` that Gaussian integration by parts gives. All stored directions
   enter, those of the current step included.
5. With one hidden layer this is the particle system of page 1 at λ = τ = 0. With the identity activation all
   variables are Gaussian, and the limit is exact without samples (``n_samples=None``).

**What it does not hold.** Adam: it divides every entry of a gradient by a number of its own, so that steps no
longer lie on few directions (1). `mf.deep.infinite_width` refuses it; momentum, weight decay and minibatches keep
the form of 1, and are held.

The oracle
----------

Both engines on one tanh network of three layers; and linear networks of growing width against their exact
limit, whose distance must fall like :math:`n^{−1/2}` for one network.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rng = np.random.default_rng(0)
X, y = rng.normal(size=(6, 10)) / np.sqrt(10), rng.choice([-1.0, 1.0], size=6)
common = {
    "width": 128,
    "depth": 3,
    "activation": "tanh",
    "step_size": 0.1,
    "n_steps": 30,
    "seed": 1,
}
dense = mf.deep.train(X, y, engine="dense", **common)
low_rank = mf.deep.train(X, y, engine="low-rank", tol=1e-10, **common)
gap = np.abs(dense.predictions - low_rank.predictions).max()
assert gap < 1e-9
gap

# %%
linear = {"depth": 2, "activation": "identity", "step_size": 0.05, "n_steps": 20}
limit = mf.deep.infinite_width(X, y, n_samples=None, **linear)
widths, spread = [64, 128, 256, 512, 1024], []
for width in widths:
    nets = mf.deep.train(X, y, width=width, n_replicas=12, seed=0, **linear)
    off = nets.predictions - nets.predictions[:, :1] - limit.predictions
    spread.append(np.sqrt((off**2).mean()))
slope = np.polyfit(np.log(widths), np.log(spread), 1)[0]
figure, ax = plt.subplots(figsize=(6, 3.3))
ax.loglog(widths, spread, "o-", label=f"distance to the exact limit, slope {slope:.2f}")
ax.loglog(widths, spread[0] * (np.array(widths) / 64) ** -0.5, "k--", label=r"$n^{-1/2}$")
ax.set_xlabel("width n")
ax.legend()
assert abs(slope + 0.5) < 0.15
