r"""
9. Atoms, their certificate, and their error bars
=================================================

**Statement.** At low temperature the long-time law sits on the minimisers of its own potential; where these
are finitely many, on *atoms*. A certificate says whether one is missing, and a covariance how well each is known.
**S\* is an operational definition, after the abstract of [ISD]** ("the depth at which the target function is
realizable"): the size of the sparsest dictionary that the data accept.

Derivation
----------

1. :math:`µ_∞ ∝ e^{−V[µ_∞]/τ}` (page 3) concentrates, as τ → 0, on the minimisers of :math:`V[µ_∞]`. At a minimum
   over a, :math:`V(w, b) = −\frac{1}{2λ} \bigl(\frac1n \sum_j r_j σ(⟨w, x_j⟩ + b)\bigr)^2 + \frac λ2 |(w, b)|^2`: its least
   value is at most 0, the value of the dead neuron. *Finitely many* is assumed, not proved: so it is for
   bounded σ where every minimum is nondegenerate, for V grows like :math:`|(w, b)|^2`. At τ = 0 the predictions
   on n data are n numbers (nk for k outputs): if there is an optimal law, there is one of at most nk + 1 atoms
   (Carathéodory).
2. *Certificate.* At the optimum :math:`V ≥ V(\text{atom})` everywhere: a search for the minimum of V away from
   the atoms finds either nothing, or the place of one that is missing. It is the dual certificate of a
   sparse optimisation over measures.
3. *Extraction.* Neurons modulo the symmetry (page 7), grouped by the distance of their features, seed
   dictionaries of every size S; atoms and coefficients are refit together; the number is that of least BIC.
4. *Error bars.* With the Jacobian J (no free energy here) of the refit in the canonical chart, the curvature H of its weak prior,
   and the noise level s of the residuals,

   .. math:: \operatorname{Cov} = s^2\, (J^⊤ J + H)^{−1},

   and directions and amplitudes by the delta method. For relu, leaky relu and abs only direction, offset and
   the product of lengths are identified: there is no interval of a length.
5. *S against S + 1.* Under S the gain of one more atom is the supremum of a Gaussian process over its place,
   whose covariance is known: not a χ². It is simulated. ``n_atoms_set`` holds the sizes that this test does not
   reject at 5 %, those that the BIC gives a twentieth of the weight of S or more, and further ones where
   neurons do not crowd: a rule, not a confidence set with a proof.

6. *At rest.* The objective :math:`J(µ) = R(f_µ) + \frac12 \int λ_a a^2 + λ_w |(w, b)|^2 \, dµ` is convex in µ and
   depends on R only through :math:`f_µ`, so that all its minimisers have the same function where the loss is strictly
   convex; in general there is one, of finitely many atoms. It is what the long-time limit tends to as τ → 0 (page 3),
   so that its number of atoms belongs to the problem, not to a run. For a few atoms and their masses J is descended
   directly; a new atom is added where the potential V is lowest; and

   .. math:: J(µ) − \min J ≤ \int V \, dµ − \min V ,

   the *duality gap*, says when to stop (:math:`J(ν) ≥ J(µ) + \int V\, d(ν − µ)` for convex J). It is exact but for the
   search of :math:`\min V`. Where V has no least value, as for relu, whose V is quadratic along rays, take
   :math:`V_ε`, with (1 + ε) times the penalty: the gap is at most :math:`\int V \, dµ − \min V_ε + ε J(µ)`, for the
   penalty of the minimiser is at most J(µ). ``target="rest"`` counts these atoms: those of half a percent of the network or more. A
   larger penalty leaves fewer. Labels may determine fewer than a network at rest has: where the penalty is small,
   some fit noise.

The oracle
----------

A teacher of three neurons with label noise: number, directions within their intervals, and a certificate
that has nothing to add.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 2))
angles = np.deg2rad([0.0, 60.0, 120.0])
teacher = 1.5 * np.column_stack([np.cos(angles), np.sin(angles)])
y = np.tanh(X @ teacher.T) @ [2.0, -1.5, 1.0] + 0.05 * rng.normal(size=300)
problem = mf.Problem(X, y, activation="tanh", bias=False, l2=0.001, temperature=1e-5)
run = mf.simulate(problem, 400, step_size=1.0, n_steps=4000)
found = mf.extract_dictionary(run.particles, problem)
print(found.statement)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
w = run.particles.w[0]
left.plot(*w.T, ".", color="gray", markersize=3, label="neurons")
left.plot(*teacher.T, "k+", markersize=14, label="teacher")
left.plot(*(-teacher).T, "k+", markersize=14)
left.plot(*found.atoms.T, "o", fillstyle="none", markersize=12, label="atoms")
left.set_aspect("equal")
left.legend(fontsize=8)
right.semilogy(found.sizes, found.residual, "o-")
right.set_xlabel("S")
right.set_ylabel("relative residual")
assert found.n_atoms == 3

# %%
# Directions against the teacher's, in degrees (w and −w are the same), beside the half-widths of their
# 95 % cones.

unit = found.atoms / np.linalg.norm(found.atoms, axis=1, keepdims=True)
cosine = np.abs(unit @ (teacher / 1.5).T).max(axis=1)
off = np.rad2deg(np.arccos(np.minimum(cosine, 1)))
assert off.max() < 5
off.round(2), found.intervals.direction.round(2), found.n_atoms_set

# %%
# At rest, under a larger penalty: two searches from different places end with the same atoms, and no network
# that was trained is lower. The gap is relative to what is learned.

problem = problem.replace(l2=0.03)
rest, again = (mf.dictionary.sparse_minimiser(problem, seed=seed) for seed in (0, 1))
trained = mf.simulate(problem, 400, step_size=0.5, n_steps=2000, temperature=0.0)
assert rest.reached
assert rest.n_atoms == again.n_atoms
assert rest.objective < trained.regularised_risk[0, -1] + 1e-6
rest.n_atoms, rest.objective, float(trained.regularised_risk[0, -1]), rest.duality_gap
