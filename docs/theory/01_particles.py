r"""
1. Training under µP is a system of particles
=============================================

**Statement.** A two-layer network trained by gradient descent in the parametrization µP is, neuron by
neuron, an interacting particle system in the mean-field scaling; with noise and a penalty it descends a
free energy over measures.

Derivation
----------

1. In the mean-field scaling :math:`f_N(x) = \frac1N \sum_i a_i\,σ(⟨w_i, x⟩ + b_i) = ∫ ψ\,dµ^N`: the network
   is the mean of :math:`a\,σ(⟨w, x⟩ + b)` under the empirical measure :math:`µ^N` of its neurons
   :math:`θ_i = (a_i, w_i, b_i)`.
2. The risk :math:`R(f) = \frac1n \sum_j ℓ(f(x_j), y_j)` with the penalty has in direction of neuron i the
   derivative :math:`∂_{θ_i} \bigl(R(f_N) + \frac{λ}{2N} \sum_k |θ_k|^2\bigr) = \frac1N ∇_θ V[µ^N](θ_i)` with the
   potential

   .. math:: V[µ](θ) = \frac1n \sum_j r_j\, ψ_j(θ) + \frac λ2 |θ|^2, \qquad r_j = ℓ'(f_µ(x_j), y_j).

   The factor 1/N goes into the learning rate: a rate :math:`ηN` moves every neuron by order one.
3. Noise of variance :math:`2ητ` gives Langevin dynamics, and one step of Euler's scheme

   .. math:: θ_i ← θ_i − η\,∇V[µ^N](θ_i) + \sqrt{2ητ}\, ξ_i .

4. V is the first variation of :math:`R(f_µ) + \frac λ2 ∫|θ|^2 dµ`, and noise adds the entropy, so that the
   law of a neuron in the limit is the Wasserstein gradient flow of the free energy

   .. math:: J(µ) = R(f_µ) + \frac λ2 ∫ |θ|^2 dµ + τ ∫ µ \log µ .

   For convex ℓ it is convex in µ, although the loss in the weights is not; for τ > 0 strictly, so that it
   has one minimiser at most.
5. *µP.* Table 2 of [RFL] with one hidden layer: input weights of variance 1 and rate :math:`ηN`, output
   weights :math:`W^2` of variance :math:`N^{-2}` and rate :math:`η/N`. With :math:`a = N W^2` this is step 3
   at :math:`λ = τ = 0`.

The oracle
----------

A plain network of 50 neurons in NumPy, trained as Table 2 says, beside `mf.simulate`.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rng = np.random.default_rng(0)
X, N, eta, steps = rng.normal(size=(20, 3)), 50, 0.3, 200
y = np.sin(X[:, 0])
start = np.concatenate([rng.normal(size=(N, 1)), rng.normal(size=(N, 3))], axis=1)  # a, w

W1, W2 = start[:, 1:].copy(), start[:, 0] / N  # the plain network: f = W2 tanh(W1 x)
outputs = []
for _ in range(steps + 1):
    hidden = np.tanh(X @ W1.T)
    f = hidden @ W2
    outputs.append(f)
    error = (f - y) / len(y)
    slope = (error[:, None] * (1 - hidden**2) * W2).T @ X
    W2, W1 = W2 - eta / N * error @ hidden, W1 - eta * N * slope

problem = mf.Problem(X, y, activation="tanh", bias=False, l2=0, temperature=0)
run = mf.simulate(problem, N, eta, steps, init=start, save_at=range(steps + 1))
difference = np.abs(run.predictions[0] - outputs).max(axis=1)

figure, ax = plt.subplots(figsize=(6, 3.2))
ax.semilogy(run.steps, np.maximum(difference, 1e-17), label="largest difference of outputs")
ax.semilogy(run.steps, run.loss[0], "--", label="loss")
ax.set_xlabel("step")
ax.legend()
assert difference.max() < 1e-12
difference.max()
