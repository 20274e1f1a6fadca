r"""
3. Your own table
=================

From a table of real data to settings at which a network learns, its rate, and a model for scikit-learn.
On the command line the same is ``meanfield init`` and ``meanfield run`` (:doc:`/howto/table`).
"""

from sklearn.model_selection import cross_val_score

import meanfield as mf

# %%
# Mean-field networks expect inputs of variance 1/d: ``standardize="unit"``. Here the diabetes data of
# scikit-learn, 442 rows, 10 columns; a file of yours is ``mf.problem.csv(path="mine.csv", target="price")``.

data = mf.problem.diabetes(n_samples=200, test_fraction=0.2)
data.X.shape, data.X_test.shape

# %%
# Settings
# --------
#
# Short runs choose the step size, the penalty and the temperature by cross-validation on the training rows; the
# held-out rows are kept for the score below.

found = mf.pilot(data.problem(activation="tanh"), n_particles=128)
found.step_size, found.l2, found.temperature

# %%
# Has it learned?
# ---------------

problem = data.problem(activation="tanh", l2=found.l2, temperature=found.temperature)
run = mf.simulate(problem, 256, found.step_size, found.n_steps, n_replicas=4)
run.score()

# %%
# How wide is wide enough?
# ------------------------

rates = mf.chaos_rates(
    problem, [16, 32, 64], n_replicas=16, step_size=found.step_size, n_steps=100, cloud_replicas=0
)
rates.plot()
print(rates.verdict)

# %%
# Which features does it use?
# ---------------------------
#
# With real labels the count may not be reliable; the statement then says so, and why.

dictionary = mf.extract_dictionary(run.particles, problem)
print(dictionary.statement)

# %%
# In scikit-learn
# ---------------

model = mf.MeanFieldRegressor(n_particles=100, random_state=0)
cross_val_score(model, data.X, data.y, cv=4).round(2)

# %%
# Elsewhere
# ---------
#
# Weights go to PyTorch and come back (:doc:`/howto/exchange`); results are plain xarray.

state = run.particles[0].to_state_dict()
{name: array.shape for name, array in state.items()}, mf.Particles.from_state_dict(state)
