"""
Animate neurons as they learn
=============================

Neurons of one network in the plane of their input weights, from the start to the end of training;
their size is that of the output weight, their colour its sign. Rings mark the atoms that they gather
at: as tanh is odd, a neuron at −w with the other sign is the same as one at w, and gets no second ring.
"""

import numpy as np

import meanfield as mf

X = np.random.default_rng(0).normal(size=(100, 2))
teacher = np.tanh(X @ [1.5, 0.0]) - np.tanh(X @ [0.0, 1.5])
problem = mf.Problem(X, teacher, activation="tanh", bias=False, l2=0.003, temperature=3e-5)

run = mf.simulate(problem, 200, step_size=1.0, n_steps=1000, save_at=range(0, 1001, 50))
atoms = mf.extract_dictionary(run.particles, problem)
_ = run.animate("animation.gif", atoms=atoms)
