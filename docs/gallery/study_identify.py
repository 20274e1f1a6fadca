"""
identify: how many Hermite degrees determine a network?
=======================================================

The two depths of tanh and relu networks: from D_var on finitely many networks share their Hermite tensors
up to that degree, from D_orb on only those that are the same function.
"""

import meanfield as mf

print("activation  d  S  D_var  D_orb")
for activation, d, n_atoms in (("tanh", 1, 1), ("tanh", 2, 2), ("erf", 2, 2), ("tanh", 3, 3)):
    found = mf.orbit_depth(activation, d, n_atoms, n_points=2, n_starts=8)
    print(f"{activation:10}  {d}  {n_atoms}  {found.variety.depth:5}  {found.depth}")
