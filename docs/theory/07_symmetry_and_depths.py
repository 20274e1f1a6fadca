r"""
7. Identifiability: the symmetry of a network, and two depths
=============================================================

**Statement.** A function determines its active neurons up to the *realisation symmetry* of the activation;
and finitely many Hermite degrees of the function are enough. The least degree that leaves finitely many
networks is :math:`D^*_{var}`, the least that leaves a single orbit :math:`D^*_{orb} ≥ D^*_{var}`.
**Operational definitions, after the abstract of [ISD].**

Derivation
----------

1. Every activation in use satisfies :math:`σ(z) = s\,σ(−z) + q(z)` with :math:`s = ±1` and a polynomial q of low
   degree: odd (tanh, erf, sin), even (cos, abs), odd up to a constant (sigmoid), even up to a linear part
   (relu, silu, gelu, softplus). So the flip :math:`(a, w, b) → (s a, −w, −b)` changes the network by something
   of finite dimension, at most affine in x. Positively homogeneous activations also allow
   :math:`(a/c, cw, cb)`.
2. *Canonical form:* drop neurons with :math:`a = 0`, merge equal features, take one member of each orbit
   (a hemisphere; unit length for homogeneous activations), and write what is left over as an explicit
   affine part :math:`α + ⟨β, x⟩`: `mf.canonical`. Networks of one canonical form are the same function. The
   converse holds where features of different orbits and affine functions are linearly independent in
   :math:`L^2(ρ)`, for ρ that charges every open set: a theorem for tanh (Sussmann, *Uniqueness of the weights*,
   1992), taken over for the other named activations, with two exceptions. Sinusoids of equal w add up to
   one, :math:`a_1 \sin(wx + b_1) + a_2 \sin(wx + b_2) = a \sin(wx + b)`, and the canonical form makes one of them.
   Features of a *polynomial* (he2, he3, …) are dependent, and different forms may be one function.
   `mf.equivalent` therefore also computes the :math:`L^2` gap, and says so where the two disagree.
3. For Gaussian inputs the part of degree k of a network is a tensor in its neurons,

   .. math:: T_k(µ) = \frac{1}{\sqrt{k!}} ∫ a\, γ_k(|w|, b)\, \hat w^{⊗k}\, dµ, \qquad
             γ_k(t, b) = E[σ(tz + b)\, \mathrm{He}_k(z)],

   by the addition formula of Hermite polynomials, :math:`\hat w = w/|w|`.
4. :math:`Φ_D = (T_0, …, T_D)` on networks of S neurons is a smooth map between manifolds of finite dimension.
   Where its Jacobian has, at a generic point, the number of parameters less the continuous symmetries,
   fibres are finite: that degree is :math:`D^*_{var}`. A finite fibre may hold several orbits; from
   :math:`D^*_{orb}` on it holds one.

The oracle
----------

Values from independent algebra (linear elimination, crossing curves, Newton's method from many starts), and
the flip itself on a silu network: the difference of outputs is affine, and a canonical form sees none.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

known = {("tanh", 1, 1): (3, 3), ("tanh", 2, 2): (3, 3), ("silu", 1, 2): (4, 6)}
found = {}
for activation, d, n_atoms in known:
    depth = mf.orbit_depth(activation, d, n_atoms, n_points=2, n_starts=8)
    found[activation, d, n_atoms] = (depth.variety.depth, depth.depth)
assert found == known
found

# %%
# One network of silu neurons, and the same with the first neuron flipped. Outputs differ by a line:

rng = np.random.default_rng(3)
a, w, b = rng.normal(size=3), rng.normal(size=(3, 1)), rng.normal(size=3)
sign = np.array([-1.0, 1.0, 1.0])
x = np.linspace(-3, 3, 200)


def network(a, w, b):
    z = x[:, None] * w[:, 0] + b
    return (z / (1 + np.exp(-z))) @ a


first, second = network(a, w, b), network(a, w * sign[:, None], b * sign)
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(x, first, label="network")
ax.plot(x, second, "--", label="first neuron flipped")
ax.plot(x, first - second, ":", label="difference")
ax.legend()
line = np.polyval(np.polyfit(x, first - second, 1), x)
assert np.abs(line - (first - second)).max() < 1e-12

# %%
# Under tanh, whose flip leaves nothing over, the two are equal, and the library says so:

one = mf.Particles(a=a[None], w=w[None], b=b[None])
two = mf.Particles(a=(a * sign)[None], w=(w * sign[:, None])[None], b=(b * sign)[None])
verdict = mf.equivalent(one, two, "tanh")
verdict.explanation
