"""
chaos: how fast do N neurons become infinitely many?
====================================================

Sixty images of two handwritten digits; networks of 16 to 128 neurons beside their McKean–Vlasov copies.
Every slope has its interval; the verdict says whether partners stay in the same well.
"""

import meanfield as mf

data = mf.problem.digits(classes=[3, 8], n_samples=60)
problem = data.problem(activation="tanh", l2=0.02, temperature=0.002)
rates = mf.chaos_rates(
    problem, [16, 32, 64, 128], n_replicas=16, step_size=0.5, n_steps=150, cloud_replicas=0
)
rates.plot()
print(rates.verdict)
