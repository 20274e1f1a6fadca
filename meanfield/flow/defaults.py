"""One table of what a network is trained with where nobody says anything else.

The estimators, the tables ``[problem]`` and ``[run]`` of a configuration, and every example that
`meanfield new` prints take their numbers here, so that the same data give the same network.

They were chosen on scikit-learn's tables for inputs with ``E|x|² = 1`` and labels of variance 1:
with five times the penalty classes blur, with five times less noise is learned.
`pilot` finds better ones for data of one's own, which `meanfield init` writes into a file.
"""

from __future__ import annotations

#: The activation σ.
ACTIVATION = "tanh"
#: Whether neurons have a bias.
BIAS = True
#: Penalty λ on every neuron.
L2 = 0.002
#: Temperature τ, a tenth of the penalty: a free coordinate then has variance τ/λ = 0.1.
TEMPERATURE = 0.0002
#: Step size η.
STEP_SIZE = 0.5
#: Steps of a run: one relaxation time 1/λ.
N_STEPS = 1000
