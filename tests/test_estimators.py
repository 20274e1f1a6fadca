"""The estimators: scikit-learn's own checks, weights, batches, and their link to the flow."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import meanfield as mf
from meanfield import DivergenceError, MeanFieldClassifier, MeanFieldRegressor
from meanfield.flow import defaults

ESTIMATORS = [MeanFieldRegressor, MeanFieldClassifier]


def test_all_checks_of_scikit_learn_pass_without_exception():
    program = (
        "import meanfield as mf\n"
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "for estimator in (mf.MeanFieldRegressor(), mf.MeanFieldClassifier()):\n"
        "    checks = check_estimator(estimator, on_fail=None, on_skip=None)\n"
        "    bad = [(c['check_name'], c['status'], c['exception']) for c in checks\n"
        "           if c['status'] != 'passed']\n"
        "    assert not bad and len(checks) > 50, bad\n"
    )
    # Without this variable scikit-learn skips one of its checks.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_scikit_learn_it_says_what_to_install():
    program = "import sys, meanfield as mf; sys.modules['sklearn'] = None; mf.MeanFieldRegressor"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'meanfield[sklearn]'" in done.stderr.splitlines()[-1]


def data(kind, n=40):
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 2.0, size=(n, 3))
    score = X[:, 0] - X[:, 1] + rng.normal(size=n)
    if kind is MeanFieldRegressor:
        return X, 100 * score + 7
    return X, np.array(["no", "maybe", "yes"])[np.digitize(score, [-1.0, 1.0])]


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_weight_is_repetition(kind):
    X, y = data(kind)
    times = np.random.default_rng(1).integers(0, 4, len(X))
    settings = {"n_particles": 20, "n_steps": 50, "random_state": 3}
    weighted = kind(**settings).fit(X, y, sample_weight=0.3 * times)
    repeated = kind(**settings).fit(X.repeat(times, 0), y.repeat(times))
    evaluate = "predict" if kind is MeanFieldRegressor else "predict_proba"
    ours, theirs = (getattr(model, evaluate)(X) for model in (weighted, repeated))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-9)
    plain = getattr(kind(**settings).fit(X, y), evaluate)(X)
    assert abs(plain - ours).max() > 1e-3


#: Settings of a fit of 20 steps: some are the problem's, some the run's.
FLOWS = [
    {},
    {"bias": False, "integrator": "kinetic(0.5)"},
    {"temperature": mf.schedule.Geometric(0.1, 0.001), "integrator": "leimkuhler-matthews"},
    {"step_size": np.linspace(1.0, 0.1, 20), "temperature": 0.01, "batch_size": 7},
    {"step_size": mf.schedule.Piecewise([1.0, 0.2], [10]), "l2": (0.01, 0.1), "activation": "relu"},
]


@pytest.mark.parametrize("settings", FLOWS, ids=lambda settings: "-".join(settings) or "defaults")
def test_fit_is_the_flow_on_standardized_data(settings):
    X, y = data(MeanFieldRegressor)
    model = MeanFieldRegressor(30, n_steps=20, random_state=5, **settings).fit(X, y)
    inputs = (X - X.mean(0)) / X.std(0) / np.sqrt(3)
    labels = (y - y.mean()) / y.std()
    of_problem = {"l2": defaults.L2, "temperature": 0.0} | {
        name: settings[name] for name in ("bias", "l2", "activation") if name in settings
    }
    of_run = {"step_size": defaults.STEP_SIZE, "temperature": defaults.TEMPERATURE} | {
        name: value
        for name, value in settings.items()
        if name in ("step_size", "temperature", "integrator", "batch_size")
    }
    seed = np.random.RandomState(5).randint(np.iinfo(np.int32).max)
    problem = mf.Problem(inputs, labels, **of_problem)
    run = mf.simulate(problem, 30, n_steps=20, seed=int(seed), **of_run)
    np.testing.assert_allclose(model.particles_.w, run.particles.w, rtol=1e-9)
    np.testing.assert_allclose(
        model.predict(X), run.predict(inputs)[0] * y.std() + y.mean(), rtol=1e-9
    )
    assert model.loss_ == pytest.approx(run.loss[0, -1])


def test_networks_are_averaged():
    X, y = data(MeanFieldRegressor)
    model = MeanFieldRegressor(10, n_steps=20, n_networks=3, random_state=0).fit(X, y)
    assert model.particles_.n_replicas == 3
    pooled = mf.Particles.from_arrays(
        model.particles_.a.ravel(), model.particles_.w.reshape(-1, 3), model.particles_.b.ravel()
    )
    inputs = (X - X.mean(0)) / X.std(0) / np.sqrt(3)
    one = mf.predict(mf.Problem(inputs, y), pooled, inputs)[0]
    np.testing.assert_allclose(model.predict(X), one * y.std() + y.mean(), rtol=1e-9)


def test_several_outputs_keep_their_own_units():
    X, y = data(MeanFieldRegressor)
    both = np.stack([y, 1e-3 * X[:, 2]], axis=1)
    model = MeanFieldRegressor(n_steps=400, random_state=0).fit(X, both)
    assert model.predict(X).shape == (40, 2)
    for column in range(2):
        error = both[:, column] - model.predict(X)[:, column]
        assert error.var() < 0.3 * both[:, column].var()


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_follow_the_outputs(classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], np.array(["a", "b", "c"])[y[y < classes]]
    model = MeanFieldClassifier(random_state=0).fit(X, y)
    outputs, probabilities = model.decision_function(X), model.predict_proba(X)
    assert model.score(X, y) > 0.95
    if classes == 2:
        np.testing.assert_allclose(probabilities[:, 1], special.expit(outputs))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(1)], model.predict(X))


def test_batches_learn_and_need_not_hold_every_class():
    X, y = load_iris(return_X_y=True)
    first = np.random.default_rng(0).permutation(len(X))[:30]
    model = MeanFieldClassifier(random_state=0)
    model.partial_fit(X[first], y[first], classes=[0, 1, 2])
    for step in range(300):
        batch = y == step % 3 if step % 2 else y != step % 3
        model.partial_fit(X[batch], y[batch])
    assert model.n_iter_ == 301
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match="y holds 3, which is not among the classes"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="classes must be given at the first call"):
        clone(model).partial_fit(X, y)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("integrator", ["euler", "leimkuhler-matthews"])
def test_steps_on_all_data_are_those_of_fit_and_go_along_its_schedules(kind, integrator):
    X, y = data(kind)
    settings = {
        "n_steps": 4,
        "temperature": mf.schedule.Geometric(1.0, 0.01),
        "step_size": [0.5, 0.4, 0.3, 0.2],
        "integrator": integrator,
        "n_networks": 2,
        "random_state": 0,
    }
    more = {} if kind is MeanFieldRegressor else {"classes": np.unique(y)}
    whole = kind(**settings).fit(X, y)
    stepwise = kind(**settings)
    for _ in range(4):
        stepwise.partial_fit(X, y, **more)
    np.testing.assert_allclose(whole.particles_.w, stepwise.particles_.w, rtol=1e-12)
    # Beyond the schedule, its last numbers stay.
    longer = settings | {"n_steps": 5, "step_size": [0.5, 0.4, 0.3, 0.2, 0.2]}
    longer["temperature"] = [*settings["temperature"].values(4), 0.01]
    further = kind(**longer).fit(X, y).particles_.w
    np.testing.assert_allclose(whole.partial_fit(X, y).particles_.w, further, rtol=1e-12)


def test_single_steps_see_fresh_noise_and_refuse_velocities():
    X, y = data(MeanFieldRegressor)
    # Frozen but for the noise: equal increments would make the second step twice the first.
    noisy = MeanFieldRegressor(200, random_state=0, temperature=1.0, l2=0.0, step_size=1e-8)
    states = [noisy.partial_fit(X, y).particles_.w.copy() for _ in range(3)]
    first, second = states[1] - states[0], states[2] - states[1]
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.2
    model = MeanFieldRegressor(integrator="kinetic", n_steps=2, random_state=0)
    with pytest.raises(ValueError, match="integrator 'kinetic' has velocities"):
        model.partial_fit(X, y)
    model.fit(X, y).set_params(integrator="exponential-euler").partial_fit(X, y)


def test_data_frame_pipeline_and_search():
    frame, y = load_diabetes(return_X_y=True, as_frame=True)
    model = MeanFieldRegressor(30, n_steps=50, random_state=0).fit(frame, y)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert isinstance(frame, pd.DataFrame)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MeanFieldRegressor(30, n_steps=50, random_state=0)),
        {"meanfieldregressor__activation": ["tanh", "relu"]},
        cv=2,
    ).fit(frame, y)
    assert search.best_score_ > 0.3


def test_defaults_reach_a_good_score():
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    assert MeanFieldClassifier(random_state=0).fit(X_train, y_train).score(X_test, y_test) > 0.95


def test_dictionary_on_request():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    y = 3 * np.tanh(X[:, 0])
    settings = {"n_steps": 2000, "l2": 1e-4, "random_state": 0}
    assert not hasattr(MeanFieldRegressor(n_steps=1).fit(X, y), "dictionary_")
    model = MeanFieldRegressor(dictionary=True, **settings).fit(X, y)
    assert model.dictionary_.n_atoms == 1
    direction = model.dictionary_.atoms[0, :2] / model._scale
    assert abs(direction[0]) > 0.99 * np.linalg.norm(direction)
    assert not hasattr(model.partial_fit(X, y), "dictionary_")
    again = MeanFieldRegressor(n_steps=9, dictionary=True).fit(X, y).set_params(dictionary=False)
    assert not hasattr(again.fit(X, y), "dictionary_")


def test_data_of_no_weight_have_no_part_in_the_dictionary():
    X, y = data(MeanFieldRegressor, 60)
    weights = np.repeat([1.0, 0.0], 30)
    model = MeanFieldRegressor(20, n_steps=50, dictionary=True, random_state=0)
    few = model.fit(X[:30], y[:30]).dictionary_
    some = model.fit(X, np.where(weights, y, 1e6), weights).dictionary_
    assert some.n_atoms == few.n_atoms
    np.testing.assert_allclose(some.residual, few.residual, rtol=1e-6)
    X, y = data(MeanFieldClassifier)
    model = MeanFieldClassifier(20, n_steps=50, dictionary=True, random_state=0)
    assert model.fit(X, y, y != "no").dictionary_.function.coefficients.shape[1] == 3


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_fit_that_fails_leaves_no_fitted_model(kind):
    X, y = data(kind)
    model = kind(20, n_steps=5, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="step_size"):
        model.set_params(step_size=-1.0).fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_particles": 0}, "n_particles must be an integer of at least 1"),
        ({"n_steps": 1.5}, "n_steps must be an integer"),
        ({"n_steps": 10**18}, "n_steps must be at most"),
        ({"n_networks": 2**33}, "n_networks must be at most"),
        ({"n_networks": 0}, "n_networks must be"),
        ({"activation": "tahn"}, "Did you mean 'tanh'"),
        ({"step_size": -1.0}, "step_size must be greater than 0"),
        ({"step_size": [0.1, 0.2]}, "step_size must be one number or one per step"),
        ({"temperature": "cold"}, "temperature must be a number, one per step or a schedule"),
        ({"bias": 1}, "bias must be True or False"),
        ({"integrator": "eulr"}, "Did you mean 'euler'"),
        ({"batch_size": 41}, "batch_size must be"),
        ({"l2": -1.0}, "l2 must be"),
        ({"temperature": -1.0}, "temperature must be"),
        ({"init": "gausian"}, "Did you mean 'gaussian'"),
        ({"standardize": "yes"}, "standardize must be True or False"),
        ({"dictionary": "no"}, "dictionary must be True or False"),
        ({"random_state": "x"}, "random_state must be None, an integer"),
    ],
)
def test_bad_parameters_are_named_at_fit(settings, message):
    X, y = data(MeanFieldRegressor)
    with pytest.raises((ValueError, TypeError), match=message):
        MeanFieldRegressor(**settings).fit(X, y)


DAYS = pd.date_range("2020-01-01", periods=6)
FRAME = pd.DataFrame({"d": DAYS, "x": np.arange(6.0)})
FORMS = {  # of six days: as they are passed, and what is said of them
    "array": (DAYS.to_numpy()[:, None], "X must hold numbers, but it holds dates; "),
    "list": (list(DAYS.to_numpy()[:, None]), "X must hold numbers, but it holds dates; "),
    "frame": (FRAME, "X must hold numbers, but column 'd' holds dates; "),
    "zone": (FRAME.assign(d=DAYS.tz_localize("UTC")), "X must hold numbers, but column 'd' holds "),
    "durations": ((DAYS - DAYS[2]).to_numpy()[:, None], "X must hold numbers, but it holds dura"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_dates_are_no_inputs_and_the_remedy_counts_days(kind, form):
    X, said = FORMS[form]
    y, model = np.array([0, 1, 1, 0, 1, 0]), kind(n_particles=4, n_steps=2)
    for train in (model.fit, lambda X, y: model.partial_fit(X, y, **CLASSES[kind])):
        with pytest.raises(TypeError) as refusal:
            train(X, y)
        assert str(refusal.value).startswith(said)
    code = str(refusal.value).split("such as ")[1].removesuffix(".")
    days = np.reshape(eval(code, {"X": X, "np": np}), (-1, 1))
    np.testing.assert_array_equal(days, np.arange(6.0)[:, None])
    model.fit(days, y)
    with pytest.raises(TypeError, match="X must hold numbers, but it holds dates"):
        model.predict(DAYS.to_numpy()[:, None])


CLASSES = {MeanFieldRegressor: {}, MeanFieldClassifier: {"classes": [0, 1]}}


def test_dates_are_no_labels_but_may_be_classes():
    X = np.arange(6.0)[:, None]
    with pytest.raises(TypeError, match="y must hold numbers, but it holds dates"):
        MeanFieldRegressor().fit(X, pd.Series(DAYS))
    days = DAYS[[0, 1, 1, 0, 1, 0]].to_numpy()
    assert set(MeanFieldClassifier(n_particles=4, n_steps=2).fit(X, days).predict(X)) <= set(days)


def test_texts_are_named_with_what_encodes_them():
    X, colours = np.arange(4.0)[:, None], np.array([["red"], ["1"], ["red"], ["blue"]])
    with pytest.raises(ValueError, match="y must hold numbers, but has the text 'a'; take MeanF"):
        MeanFieldRegressor().fit(X, pd.Series(["1", "a", "1", "a"]))
    for kind, y in ((MeanFieldRegressor, X[:, 0]), (MeanFieldClassifier, list("abab"))):
        model = kind(n_particles=4, n_steps=2)
        with pytest.raises(ValueError, match="X must hold numbers, but has the text 'red'") as said:
            model.fit(colours, y)
        code = str(said.value).split("with ")[1].removesuffix(".")
        model.fit(eval(code, {"X": colours, "pandas": pd}), y)
        assert model.n_features_in_ == 3


def test_magnitudes_that_cannot_be_squared_are_told_the_option_of_estimators():
    X, y = np.arange(4.0)[:, None], np.arange(4.0)
    settings = {"n_particles": 4, "n_steps": 2}
    for inputs, labels, name in ((1e200 * X, y, "X"), (X, 1e200 * y, "y")):
        with pytest.raises(ValueError, match=rf"^{name} holds .*, or set standardize=True\.$"):
            MeanFieldRegressor(**settings, standardize=False).fit(inputs, labels)
        MeanFieldRegressor(**settings, standardize=True).fit(inputs, labels)


def test_divergence_names_a_step_size(brief_trials):
    X, y = data(MeanFieldRegressor)
    with pytest.raises(DivergenceError, match="stayed finite"):
        MeanFieldRegressor(step_size=500.0, activation="relu", random_state=0).fit(X, y)


def test_no_weight_at_all_is_refused():
    X, y = data(MeanFieldRegressor)
    with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
        MeanFieldRegressor().fit(X, y, sample_weight=np.zeros(len(X)))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_networks_may_start_from_particles(kind):
    X, y = data(kind)
    trained = kind(20, n_steps=50, random_state=0).fit(X, y)
    again = kind(30, n_steps=1, step_size=1e-9, temperature=0.0, init=trained.particles_)
    start = clone(again).set_params(random_state=1).fit(X, y).particles_.coordinates[0]
    pool = trained.particles_.coordinates[0]
    assert np.abs(start[:, None] - pool).max(axis=2).min(axis=1).max() < 1e-6


def test_minibatches_are_chosen_where_all_data_would_take_long(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1100, 4))
    y = np.sign(X[:, 0])
    settings = {"n_particles": 20, "n_steps": 3, "random_state": 0}

    def states(batch_size="auto", rows=1100):
        model = MeanFieldClassifier(**settings, batch_size=batch_size).fit(X[:rows], y[:rows])
        return model.particles_.coordinates

    np.testing.assert_array_equal(states(), states(None))
    monkeypatch.setattr("meanfield.flow.cost._WORTH_BATCHES", 1e-6)
    np.testing.assert_array_equal(states(), states(256))
    np.testing.assert_array_equal(states(rows=1000), states(None, rows=1000))  # too few for batches
    with pytest.raises(ValueError, match="a whole number, 'auto' or None, got 'most'"):
        states("most")
