"""
simulate: train networks and follow their loss
==============================================

Eight networks of 256 neurons learn a teacher at a falling temperature; the loss of every one, and the
R² on rows that were held out, with an interval over rows and replicas.
"""

import meanfield as mf

data = mf.problem.teacher(n_features=2, n_atoms=3, bias=False, n_train=100, n_test=200)
problem = data.problem(activation="tanh", bias=False, l2=0.003, temperature=3e-4)
cooling = mf.schedule.Geometric(0.03, 3e-4)
run = mf.simulate(
    problem, 256, 0.5, 800, n_replicas=8, temperature=cooling, save_at=range(0, 801, 20)
)
run.plot()
run.score()
