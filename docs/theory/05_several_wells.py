r"""
5. Several wells: when the distance falls like 1/√N
===================================================

**Statement** (a heuristic, held to measurement; not a theorem). Where the potential has several minima, with
barriers of a few τ, synchronous coupling splits partners: in a run that is long against :math:`\log N` a share of
about :math:`N^{−1/2}` ends in different wells. Then :math:`D_N ∼ N^{−1/2}`, while the function, and the *squared mean
distance* :math:`(\frac1N \sum_i |θ_i − {\bar θ}_i|)^2`, keep :math:`1/N`.

Derivation
----------

1. Drifts of a particle and its copy differ by :math:`∇(V[µ^N] − V[{\bar µ}]) = O(N^{−1/2})` (page 2, step 3).
2. Near a saddle the difference decides to which side one goes. The copies within a distance of order
   :math:`N^{−1/2}` of it are decided differently from their particles; under a smooth law that is a *share*
   :math:`q = O(N^{−1/2})` of them.
3. Such a pair is O(1) apart, all others :math:`O(N^{−1/2})`. So

   .. math:: D_N &≈ q·O(1) + O(1/N) = O(N^{−1/2}), \\
             \frac1N \sum_i |θ_i − {\bar θ}_i| &≈ q·O(1) + O(N^{−1/2}) = O(N^{−1/2}).

   The square of a mean and the mean of squares part ways: the former, ``w1_squared``, which is at least
   :math:`W_1^2` of the two clouds, keeps 1/N.
4. The function sees pairs through averages of ψ: where that is Lipschitz, :math:`|f_N − \bar f|` is at most a
   multiple of the mean distance, and the sampling error of the copies: squared, 1/N.
5. *Order of limits.* This does not contradict :math:`E\,D_N(t) ≤ e^{Ct}/N` of page 2. With κ the curvature that
   drives pairs off the saddle, a difference of :math:`N^{−1/2}` is O(1) after a time of :math:`\frac{1}{2κ} \log N`. At a
   fixed t and :math:`N ≫ e^{2κt}`, :math:`D_N` falls like 1/N, with a constant that grows like :math:`e^{κt}`; what is seen at
   :math:`N ≪ e^{2κt}`, after a few relaxation times at any N that fits a computer, is :math:`N^{−1/2}`. The
   supremum of :math:`N D_N(t)` over t grows like :math:`N^{1/2}`: the rate of :math:`D_N` is not uniform in time.

Half of :math:`D_N` can be pairs in mirror wells of the same function (page 7): distances also come modulo
the symmetry, ``coupling_modulo``. A reflection coupling gives a proof of a rate that is uniform in time where
the interaction is weak (Durmus, Eberle, Guillin, Zimmer, *An elementary approach to uniform in time
propagation of chaos*, 2020); its distances are larger, not smaller.

The oracle
----------

One weight, sine activation, two frequencies to learn: many wells. The limit is exact (the law of the
discrete chain), and the squared mean distance must keep slope −1 where the coupling loses it.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

x = np.linspace(-2, 2, 16)[:, None]
y = 0.5 * (np.sin(x[:, 0]) + np.sin(4 * x[:, 0]))
problem = mf.Problem(x, y, activation="sin", bias=False, train=("w",), l2=0.02, temperature=0.05)
settings = {"step_size": 0.5, "n_steps": 500}
limit = mf.mean_field(problem, "chain", **settings)
counts = [32, 64, 128, 256, 512, 1024]
rates = mf.chaos_rates(
    problem,
    counts,
    n_replicas=16,
    times=[500],
    reference=limit,
    cloud_replicas=0,
    seed=0,
    **settings,
)

figure, ax = plt.subplots(figsize=(6.5, 3.6))
for metric, marker in (
    ("coupling", "o"),
    ("separated", "^"),
    ("w1_squared", "s"),
    ("function", "d"),
):
    values = rates.dataset[metric].isel(time=-1).mean("replica").values
    slope = rates.fits[metric].slope
    ax.loglog(counts, values, marker + "-", label=f"{metric}: slope {slope.value:.2f}")
for power, style in ((-0.5, ":"), (-1.0, "--")):
    ax.loglog(counts, 2 * np.array(counts) ** power, "k" + style, label=f"slope {power}")
ax.set_xlabel("N")
ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
assert -0.75 < rates.fits["coupling"].slope.value < -0.35
assert abs(rates.fits["w1_squared"].slope.value + 1) < 0.2
rates.verdict
