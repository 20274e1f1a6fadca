r"""
10. How many atoms a penalty allows: S_up
=========================================

**Statement.** Under the penalty λ an atom can sit only where it pays for its weights: steps 1 and 2, proved. Write
the target as a sum of parts, orthonormal Hermite polynomials with coefficients :math:`c_α`; counting those that are
large enough gives :math:`S_{up}(σ, ρ, f^*, λ)`. That number is an **operational definition, after the abstract of
[ISD]**, a rule of thumb in spite of its name, and *no bound*, neither from above nor from below: parts below the
threshold can add up to an atom, one direction can take several as λ → 0, and one atom can carry many parts. Of
100 targets at four penalties, 15 had one atom more than it (:doc:`/made/validation/thresholds`).

Derivation
----------

1. At τ → 0 an atom sits where :math:`V = a\,E[r\,σ(⟨w, x⟩ + b)] + \frac λ2 (a^2 + |w|^2 + b^2) ≤ 0` (page 9), with
   the residual r.
2. The best a is :math:`−E[rσ]/λ`. Then :math:`V ≤ 0` reads :math:`|E[r\,σ(⟨w, x⟩ + b)]| ≥ λ\,|(w, b)|`.
3. For the first atom to appear :math:`r = −f^*`, squared loss. Take the part of :math:`f^*` of degree k along one direction,
   :math:`c\,h_k(⟨u, x⟩)`: by the addition formula the left side is, with :math:`t = |w|`, at most :math:`|c|\,|E[σ(tz + b) h_k(z)]|`. So
   that part, if it were all of the target, carries a first atom only if

   .. math:: |c|\, κ_k > λ, \qquad κ_k(σ) = \sup_{t, b} \frac{|E[σ(tz + b)\,h_k(z)]|}{\sqrt{t^2 + b^2}} .

4. A monomial :math:`x^α` takes :math:`\operatorname{rank}(α)` powers of linear forms (Waring): 1 for one variable,
   :math:`α_1 + α_2` for two, at most :math:`⌊\frac12 \prod (α_i + 1)⌋` for more. Coefficients depend on axes: those of
   the eigenvectors of :math:`E[∇f^* ∇f^{*⊤}]` are taken. Altogether

   .. math:: S_{up}(σ, ρ, f^*, λ) = \sum_{α ≠ 0 \,:\, |c_α| κ_{|α|} > λ} \operatorname{rank}(α), \qquad
             λ = \sqrt{λ_a λ_w}.

**Why is S\* smaller than the teacher's number?** Because of step 2: an atom that would bring less than its
weights cost is not there. Neurons that are close often share one, as a smooth V has seldom two minima closer
than σ varies: seen, not derived. Halve λ and see.

The oracle
----------

:math:`κ_k` by brute force; and the atoms of trained networks under several penalties beside the count.
"""

import matplotlib.pyplot as plt
import numpy as np
from numpy.polynomial.hermite_e import hermegauss, hermeval
from scipy.special import factorial

import meanfield as mf

z, weights = hermegauss(120)
weights = weights / weights.sum()
t, b = np.meshgrid(np.geomspace(1e-3, 30, 400), np.linspace(0, 12, 241))
capacity = []
for k in range(1, 5):
    h = hermeval(z, np.eye(k + 1)[k]) / np.sqrt(factorial(k))
    inner = sum(wi * hi * np.tanh(t * zi + b) for wi, hi, zi in zip(weights, h, z, strict=True))
    capacity.append(np.max(np.abs(inner) / np.hypot(t, b)))
target = mf.problem.Teacher([2.0, -1.0], [[1.5, 0.0], [0.0, 1.5]], activation="tanh")
count = mf.coefficient_threshold_number(target, "tanh", l2=0.01)
print(np.round(capacity, 3), count.capacities[1:5].round(3))
assert np.allclose(capacity, count.capacities[1:5], atol=2e-3)

# %%
# The teacher has two neurons. From the largest penalty on, none, one, and both are found. Here the count lies
# above them all, which is measured, not proved.

X = np.random.default_rng(1).normal(size=(300, 2))
penalties, atoms = [1.0, 0.3, 0.1, 0.03, 0.01], []
for l2 in penalties:
    problem = mf.Problem(X, target(X), activation="tanh", l2=l2, temperature=l2 / 1000)
    run = mf.simulate(problem, 200, step_size=0.5, n_steps=int(min(20 / l2, 1500)))
    atoms.append(mf.extract_dictionary(run.particles, problem, target="network").n_atoms)
grid = np.geomspace(0.005, 2, 25)
number = [mf.coefficient_threshold_number(target, "tanh", l2=float(l2)).number for l2 in grid]
figure, ax = plt.subplots(figsize=(6, 3.4))
ax.step(grid, number, color="black", label=r"$S_{up}(λ)$")
ax.plot(penalties, atoms, "o", label="atoms of trained networks")
ax.set_xscale("log")
ax.set_xlabel("λ")
ax.legend()
assert all(s <= mf.coefficient_threshold_number(target, "tanh", l2=p).number
           for s, p in zip(atoms, penalties, strict=True))  # fmt: skip
