r"""
11. The error budget
====================

**Statement.** The error of the network that is kept splits into six signed differences, one per cause, that
add up exactly; each falls with its own control. **The decomposition is an operational definition, after the
abstract of [ISD].**

Derivation
----------

1. From the target to the S atoms there is one intermediate a cause,

   .. math:: f^* → f^*_ε → f_∞ → f_{n,∞} → f_{n,t} → f_{n,t,N} → f_S :

   the tail of the target beyond its kept Hermite part; the bias of λ and τ; n data; finite time; N neurons;
   S atoms. Their differences :math:`Δ_k` telescope: :math:`\sum_k Δ_k = f^* − f_S =: Δ`.
2. Norms only bound: :math:`‖Δ‖ ≤ \sum_k ‖Δ_k‖`. *Contributions* :math:`⟨Δ_k, Δ⟩/‖Δ‖` add up to :math:`‖Δ‖`, exactly.
3. Laws: ``statistical`` is a mean over n data: squared norm of slope −1 in n; ``chaos``: slope −1 in N (page 2);
   ``optimisation`` exponential in t (page 3); ``sparse`` decreasing in S, nearly 0 at S*.
4. Neighbouring networks have the same start and the same noise, so that their difference is not hidden by
   the noise of either.

The oracle
----------

Closure to rounding, and the law in N.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

target = mf.problem.Teacher([2.0, -2.0], [[1.5, 0.0], [0.0, 1.5]], activation="tanh")
X = np.random.default_rng(0).normal(size=(64, 2))
problem = mf.Problem(X, target(X), activation="tanh", bias=False, l2=0.03, temperature=0.003)
budget = mf.decompose_error(
    problem, target, n_particles=64, n_steps=100, step_size=0.5, n_atoms=2, n_replicas=6,
    n_population=512, particle_counts=[16, 32, 64, 128], data_counts=[32, 64, 128], n_test=400,
)  # fmt: skip
figure, ax = plt.subplots(figsize=(7, 3.4))
budget.plot(ax=ax)
assert budget.closure < 1e-5
total = sum(part.contribution.value for part in budget.components.values())
assert abs(total / budget.total.value - 1) < 1e-5
budget
