"""The scheme: what is refused, what is equal, and its first, last and next steps."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import ArgumentError
from meanfield.flow.initial import InitialLaw
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme

X = np.linspace(-1, 1, 6)[:, None]
COOLING = mf.schedule.Geometric(0.5, 0.01)


@pytest.fixture(scope="module")
def problem():
    return mf.Problem(X, np.sin(2 * X[:, 0]), temperature=0.02)


def scheme_of(problem, **settings):
    return Scheme.of(problem, **{"step_size": 0.1, "n_steps": 8} | settings)


def test_temperature_is_that_of_the_problem_by_default(problem):
    scheme = scheme_of(problem)
    assert scheme.temperature == 0.02
    assert scheme.temperatures.tolist() == [0.02] * 8
    assert scheme_of(problem, temperature=0.0).temperature == 0.0


def test_a_constant_is_one_number_however_it_was_given(problem):
    same = [0.1, [0.1] * 8, mf.schedule.Constant(0.1), mf.schedule.Piecewise([0.1], [])]
    schemes = {scheme_of(problem, step_size=size, temperature=size) for size in same}
    assert len(schemes) == 1
    (scheme,) = schemes
    assert (scheme.step_size, scheme.temperature) == (0.1, 0.1)
    assert scheme.step_sizes.tolist() == [0.1] * 8


SAME = [
    ({"init": InitialLaw(scale=2)}, {"init": InitialLaw(scale=(2.0, 2, np.float64(2)))}),
    ({"init": InitialLaw()}, {"init": InitialLaw(scale=[1, 1, 1])}),
    ({"init": InitialLaw(scale=np.array([1, 2, 3]))}, {"init": InitialLaw(scale=(1.0, 2.0, 3.0))}),
    ({"init": InitialLaw(np.str_("student-t"), nu=3)}, {"init": InitialLaw("student-t", nu=3.0)}),
    ({"step_size": 1}, {"step_size": np.float32(1.0)}),
    ({"step_size": range(1, 9)}, {"step_size": np.arange(1.0, 9.0)[::-1][::-1]}),
    ({"temperature": [-0.0] * 8}, {"temperature": 0}),
    ({"temperature": [-0.0, *[0.1] * 7]}, {"temperature": [0.0, *[0.1] * 7]}),
    ({"integrator": "kinetic(1)"}, {"integrator": "OBABO"}),
    ({"seed": np.uint64(3)}, {"seed": 3.0}),
    ({"dtype": np.dtype(">f8")}, {"dtype": float}),
    ({"batch_size": np.int32(4)}, {"batch_size": 4.0}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_means_the_same_is_equal(problem, one, other):
    one, other = scheme_of(problem, **one), scheme_of(problem, **other)
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)


@pytest.mark.parametrize(
    "value", ["0.1", ["0.1"] * 8, [True] * 8, [0.1j] * 8, None, np.ma.masked, [[0.1], [0.1, 0.2]]]
)
@pytest.mark.parametrize("name", ["step_size", "temperature"])
def test_what_is_no_number_is_not_taken_for_one(problem, name, value):
    with pytest.raises((ValueError, TypeError), match=f"^{name} ") as caught:
        Scheme(**{"n_steps": 8, "step_size": 0.1, "temperature": 0.1, name: value}, **EULER)
    assert caught.value.argument == name


@pytest.mark.parametrize("name", ["n_steps", "step_size", "temperature", "seed", "substeps"])
def test_a_huge_integer_is_refused_in_one_sentence(name):
    for value in (10**400, 10**5000):
        settings = {"n_steps": 8, "step_size": 0.1, "temperature": 0.1, name: value}
        with pytest.raises(ArgumentError, match=f"^{name} must .* got"):
            Scheme(**settings, **EULER)


EULER = {"integrator": "euler", "init": None}


def test_numbers_per_step_are_copied_and_do_not_change(problem):
    sizes = np.linspace(0.1, 0.2, 8)
    scheme = scheme_of(problem, step_size=sizes)
    sizes[0] = 7.0
    assert scheme.step_size[0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        scheme.step_size[0] = 7.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        scheme.seed = 1


CHANGES = [
    {"step_size": 0.2},
    {"step_size": mf.schedule.Geometric(0.2, 0.1)},
    {"n_steps": 9},
    {"temperature": 0.01},
    {"temperature": COOLING},
    {"integrator": "kinetic"},
    {"integrator": "kinetic(0.5)"},
    {"init": "laplace"},
    {"init": InitialLaw(scale=2.0)},
    {"seed": 1},
    {"dtype": "float32"},
    {"batch_size": 2},
    {"batch_size": 2, "anchor_period": 3},
    {"substeps": 2},
]


def test_two_are_equal_when_nothing_differs(problem):
    schemes = [scheme_of(problem), *(scheme_of(problem, **change) for change in CHANGES)]
    assert len({scheme.fingerprint for scheme in schemes}) == len(schemes)
    for i, scheme in enumerate(schemes):
        assert [scheme == other for other in schemes] == [i == j for j in range(len(schemes))]
        again = pickle.loads(pickle.dumps(scheme))
        assert again == scheme
        assert hash(again) == hash(scheme)
    assert scheme_of(problem) != "scheme"
    # An integrator that was given as such is the one of that name.
    kinetic = scheme_of(problem, integrator=mf.flow.integrators.kinetic(0.5))
    assert kinetic == scheme_of(problem, integrator="kinetic(0.5)")


@pytest.mark.parametrize(
    ("settings", "argument", "message"),
    [
        ({"step_size": 0.0}, "step_size", "must be greater than 0"),
        ({"step_size": "small"}, "step_size", "must be a number, one per step or a schedule"),
        ({"step_size": True}, "step_size", "must be a number, got True"),
        ({"step_size": [0.1] * 7}, "step_size", r"one number or one per step \(8\), got shape"),
        ({"step_size": [[0.1] * 8]}, "step_size", "got shape"),
        ({"step_size": [0.1] * 7 + [0.0]}, "step_size", "greater than 0 .* at step 7"),
        ({"temperature": -1}, "temperature", "must be finite and not negative, got -1"),
        ({"temperature": [0.1] * 7 + [np.inf]}, "temperature", "at least 0 .* got inf at step 7"),
        ({"n_steps": -1}, "n_steps", "at least 0"),
        ({"n_steps": 2**32}, "n_steps", "less than"),
        ({"n_steps": 2**31, "integrator": "kinetic"}, "n_steps", r"2 \* \(n_steps \+ 1\)"),
        ({"n_steps": 10, "substeps": 2**29}, "n_steps", "lower n_steps or substeps"),
        ({"substeps": 0}, "substeps", "at least 1"),
        ({"integrator": "eulr"}, "integrator", "Did you mean 'euler'"),
        ({"init": "gaussia"}, "init", "Did you mean 'gaussian'"),
        ({"init": 3}, "init", "a law's name, an InitialLaw, Particles, .*, got int"),
        ({"seed": -1}, "seed", "at least 0"),
        ({"dtype": "float16"}, "dtype", "float16"),
        ({"batch_size": 7}, "batch_size", "at most the 6 data, got 7"),
        ({"anchor_period": 2}, "anchor_period", "needs a batch_size"),
        ({"batch_size": 2, "anchor_period": 0}, "anchor_period", "at least 1"),
    ],
)
def test_what_cannot_be_used_is_named(problem, settings, argument, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        scheme_of(problem, **settings)
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("settings", "argument", "message"),
    [
        ({"n_steps": 2.5}, "n_steps", "must be an integer, got 2.5"),
        ({"step_size": 0.0}, "step_size", "must be greater than 0"),
        ({"step_size": [0.1, 0.2]}, "step_size", r"one number or one per step \(8\), got shape"),
        ({"temperature": np.nan}, "temperature", "must be finite and not negative"),
        ({"integrator": "eulr"}, "integrator", "Did you mean 'euler'"),
        ({"integrator": None}, "integrator", "Unknown integrator None"),
        ({"init": 3}, "init", "a law's name, an InitialLaw, Particles, .*, got int"),
        ({"seed": 2**64}, "seed", "below 2"),
        ({"dtype": "float16"}, "dtype", "float16"),
        ({"minibatch": 4}, "minibatch", "must be a Minibatch or None, got int"),
        ({"substeps": 0}, "substeps", "at least 1"),
    ],
)
def test_what_is_made_without_a_problem_is_checked_as_well(settings, argument, message):
    usable = {"n_steps": 8, "step_size": 0.1, "temperature": 0.02, "integrator": "euler"}
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        Scheme(**usable | {"init": None} | settings)
    assert caught.value.argument == argument


def test_made_from_names_it_is_the_scheme_that_a_problem_gives(problem):
    made = Scheme(8.0, [0.1] * 8, 0.02, "Euler", "gaussian", dtype=np.float64)
    assert made == scheme_of(problem)
    assert (made.n_steps, made.step_size, made.integrator.name) == (8, 0.1, "euler")


@pytest.mark.parametrize(
    "copy", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_copies_do_not_change_either(problem, copy):
    scheme = scheme_of(problem, step_size=np.linspace(0.1, 0.2, 8), temperature=COOLING)
    again = copy(scheme)
    assert again == scheme
    for values in (again.step_size, again.temperature, again.step_sizes, again.temperatures):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 7.0


def test_without_steps_the_numbers_are_those_of_a_first_step(problem):
    assert scheme_of(problem).shortened(0).steady(3) == scheme_of(problem, n_steps=3)
    piecewise = mf.schedule.Piecewise([0.2, 0.1], [3])
    for sizes in (piecewise, COOLING, mf.schedule.Logarithmic(0.5), [0.3, *[0.1] * 7]):
        scheme = scheme_of(problem, step_size=sizes, temperature=sizes)
        empty = scheme.shortened(0)
        assert (empty.step_size, empty.temperature) == (scheme.step_sizes[0],) * 2
        assert empty == scheme.shortened(1).shortened(0)
        assert empty.steady(1) == scheme.shortened(1) == empty.extended(1)
        assert empty.extended(0) == empty.steady(0) == empty.refined(1) == empty
        assert empty.step_size_label == empty.step_size
        assert empty.times.tolist() == [0.0]
        assert scheme.mismatch(empty) is None
    none = scheme_of(problem, n_steps=0, step_size=COOLING)
    assert none == scheme_of(problem, step_size=COOLING).shortened(0)
    cooled = empty.extended(8, COOLING)
    assert cooled.temperatures.tolist() == COOLING.values(8).tolist()
    for name in ("step_size", "temperature"):
        with pytest.raises(ArgumentError, match=f"{name} must be one number in a run without st"):
            scheme_of(problem, n_steps=0, **{name: []})


def test_elapsed_time_is_the_sum_of_the_step_sizes(problem):
    assert scheme_of(problem, step_size=0.5).elapsed([0, 3]).tolist() == [0.0, 1.5]
    scheme = scheme_of(problem, step_size=[0.5, 0.25, 0.125], n_steps=3)
    assert scheme.elapsed([0, 1, 3]).tolist() == [0.0, 0.5, 0.875]
    assert scheme.times.tolist() == [0.0, 0.5, 0.75, 0.875]
    assert scheme_of(problem, n_steps=0).times.tolist() == [0.0]
    assert scheme.elapsed([[1.0], [2.0]]).tolist() == [[0.5], [0.75]]
    assert scheme.elapsed([]).tolist() == []


@pytest.mark.parametrize("steps", [4, -1, 1.5, np.nan, [0, 4], [0, -1], [10**9], 10**30])
def test_no_time_is_that_of_a_step_outside_the_run(problem, steps):
    for sizes in (0.5, [0.5, 0.25, 0.125]):
        scheme = scheme_of(problem, step_size=sizes, n_steps=3)
        with pytest.raises(ArgumentError, match="steps must be a whole number between 0 and n_st"):
            scheme.elapsed(steps)
        with pytest.raises(TypeError, match="steps must hold numbers, got 'two'"):
            scheme.elapsed("two")


@pytest.mark.parametrize(("first", "last"), [(0, 9), (-1, 3), (4, 3), (0, -1), (9, None)])
def test_coefficients_are_those_of_steps_of_the_run(problem, first, last):
    with pytest.raises(ArgumentError, match=r"^(first|last) must be"):
        scheme_of(problem).coefficients(problem, first, last)


def test_saved_steps_are_steps_of_the_run(problem):
    scheme = scheme_of(problem)
    assert scheme.saved_steps(None).tolist() == [0, 8]
    assert scheme.saved_steps([5, 2, 5]).tolist() == [2, 5]
    assert scheme_of(problem, n_steps=0).saved_steps(None).tolist() == [0]
    for wrong in ([9], [], [-1]):
        with pytest.raises(ArgumentError, match="save_at must"):
            scheme.saved_steps(wrong)


def test_shortened_is_the_scheme_of_its_first_steps(problem):
    piecewise = mf.schedule.Piecewise([0.2, 0.1], [5])
    scheme = scheme_of(problem, step_size=piecewise, temperature=COOLING, seed=3)
    for n in (0, 1, 5, 8):
        shorter = scheme.shortened(n)
        assert shorter.n_steps == n
        assert shorter.step_sizes.tolist() == scheme.step_sizes[:n].tolist()
        assert shorter.temperatures.tolist() == scheme.temperatures[:n].tolist()
    assert scheme.shortened(8) == scheme
    # The first five steps are of one size.
    first = {"step_size": 0.2, "temperature": COOLING.values(8)[:5]}
    assert scheme.shortened(5) == scheme_of(problem, n_steps=5, seed=3, **first)
    with pytest.raises(ArgumentError, match="n_steps must be at most 8, got 9"):
        scheme.shortened(9)


def test_refined_makes_more_steps_over_the_same_time(problem):
    sizes = [0.2, 0.1]
    scheme = scheme_of(problem, step_size=sizes, n_steps=2, temperature=[0.3, 0.4])
    finer = scheme.refined(4)
    assert finer.step_sizes.tolist() == [0.05] * 4 + [0.025] * 4
    assert finer.temperatures.tolist() == [0.3] * 4 + [0.4] * 4
    assert finer.elapsed(8) == scheme.elapsed(2)
    assert scheme.refined(1) == scheme
    assert scheme_of(problem).refined(2) == scheme_of(problem, step_size=0.05, n_steps=16)


@pytest.mark.parametrize(
    ("settings", "change", "sentence"),
    [
        ({}, ("refined", 2**31), "factor asks for .* got 2147483648; .* lower factor or substeps"),
        ({}, ("refined", 10**12), "factor asks for"),
        ({}, ("extended", 2**32 - 2), "n_steps asks for .* lower n_steps or substeps"),
        ({}, ("extended", 2**32), "n_steps must be less than"),
        ({}, ("steady", 2**32), "n_steps must be less than"),
        ({"integrator": "kinetic"}, ("steady", 2**31), r"n_steps asks for 2 \* \(n_steps \+ 1\)"),
        ({"step_size": COOLING}, ("refined", 2**28), "factor = 268435456 makes too many .* memory"),
        ({"temperature": COOLING}, ("extended", 2**31), "n_steps = 2147483648 .* GB of memory"),
    ],
)
def test_more_steps_than_there_is_room_for_are_refused(
    problem, monkeypatch, settings, change, sentence
):
    monkeypatch.setattr("meanfield.system.memory.available", lambda: 10**9)
    name, number = change
    with pytest.raises(ArgumentError, match=sentence):
        getattr(scheme_of(problem, **settings), name)(number)


def test_constants_need_no_memory(problem, monkeypatch):
    monkeypatch.setattr("meanfield.system.memory.available", lambda: 10**6)
    long = scheme_of(problem).refined(2**28)
    assert long.extended(2**30) == long.steady(2**31 + 2**30)
    assert long.mismatch(long) is None
    assert long.elapsed(2**31) == pytest.approx(0.8)
    with pytest.raises(ArgumentError, match=r"n_steps = 2147483648 .* GB of memory"):
        _ = long.times
    with pytest.raises(ArgumentError, match=r"n_steps = 1073741824 .* GB of memory"):
        long.extended(2**30, temperature=0.5)


def test_extended_goes_on_with_the_last_step_or_other_temperatures(problem):
    sizes = mf.schedule.Piecewise([0.2, 0.1], [5])
    scheme = scheme_of(problem, step_size=sizes)
    longer = scheme.extended(4, COOLING)
    assert longer.shortened(8) == scheme
    assert longer.step_sizes[8:].tolist() == [0.1] * 4
    assert longer.temperatures[8:].tolist() == COOLING.values(4).tolist()
    assert scheme.extended(0) == scheme
    assert scheme_of(problem).extended(3) == scheme_of(problem, n_steps=11)
    assert scheme_of(problem, n_steps=0).extended(3) == scheme_of(problem, n_steps=3)
    assert scheme_of(problem, n_steps=0).extended(3, 0.5) == scheme_of(
        problem, n_steps=3, temperature=0.5
    )
    with pytest.raises(ArgumentError, match=r"temperature must be .* one per step \(2\)"):
        scheme.extended(2, [0.1])


def test_a_longer_path_serves_a_shorter_run(problem):
    scheme = scheme_of(problem, temperature=COOLING)
    assert scheme.mismatch(scheme) is None
    assert scheme.mismatch(scheme.shortened(3)) is None
    assert scheme.shortened(3).mismatch(scheme) is not None
    # Noise, precision and batches are not the limit's.
    for other in ({"seed": 5}, {"dtype": "float32"}, {"batch_size": 2}, {"substeps": 2}):
        assert scheme.mismatch(scheme_of(problem, temperature=COOLING, **other)) is None
    # Neither is rounding in the numbers.
    rounded = scheme_of(problem, step_size=0.1 + 1e-17, temperature=COOLING)
    assert scheme.mismatch(rounded) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n_steps": 9}, "only 8 steps of the 9 that are needed"),
        ({"step_size": 0.2}, "step_size=0.1 instead of 0.2"),
        ({"step_size": 0.1 + 1e-9}, "step_size=0.1 instead of 0.100000001"),
        ({"step_size": [0.1 + 1e-16, *[0.2] * 7]}, "another schedule of the step size"),
        ({"step_size": mf.schedule.Geometric(0.1, 0.05)}, "another schedule of the step size"),
        ({"integrator": "kinetic"}, "integrator='euler' instead of 'kinetic'"),
        ({"init": "laplace"}, "init=InitialLaw"),
        ({"temperature": 0.03}, "another temperature"),
        ({"temperature": [0.02] * 7 + [0.01]}, "another temperature"),
    ],
)
def test_mismatch_says_what_differs(problem, changes, sentence):
    assert sentence in scheme_of(problem).mismatch(scheme_of(problem, **changes))


@pytest.mark.parametrize("other", [None, 3, "euler"])
def test_what_is_no_scheme_is_compared_with_none(problem, other):
    scheme = scheme_of(problem)
    for compare in (scheme.mismatch, scheme.same_steps):
        with pytest.raises(TypeError, match="other must be a Scheme, got"):
            compare(other)
    with pytest.raises(TypeError, match="problem must be a Problem, got"):
        scheme.coefficients(other)
    assert scheme != other


def test_a_schedule_that_does_not_fit_is_named(problem):
    late = mf.schedule.Piecewise([0.1, 0.2], [8])
    for name in ("step_size", "temperature"):
        message = f"{name} has a schedule that does not fit: .* change earlier, or take more steps"
        with pytest.raises(ArgumentError, match=message):
            scheme_of(problem, **{name: late})
    with pytest.raises(TypeError, match=r"temperature must be a number, .* schedule to simulate"):
        problem.replace(temperature=late)


def test_two_processes_show_the_same(problem):
    assert " at 0x" not in repr(scheme_of(problem))


def test_a_narrow_schedule_is_told_by_its_ends(problem):
    scheme = scheme_of(problem, step_size=[0.1, 0.1 + 1e-9], n_steps=2)
    assert scheme.step_size_label == "0.1 to 0.100000001"
    with pytest.raises(ArgumentError, match=r"at most 1, got 1\.000000001:"):
        mf.schedule.Geometric(1.0, ratio=1 + 1e-9)


def test_simulate_is_its_scheme(problem):
    settings = {"step_size": 0.3, "temperature": COOLING, "integrator": "kinetic", "seed": 4}
    run = mf.simulate(problem, 5, n_steps=8, n_replicas=2, batch_size=3, **settings)
    scheme = scheme_of(problem, batch_size=3, **settings)
    assert run.scheme == scheme
    again = simulate_scheme(problem, scheme, 5, 2)
    np.testing.assert_array_equal(again.predictions, run.predictions)
    # From given particles there is no law.
    on = mf.simulate(problem, init=run.particles, n_steps=8, batch_size=3, **settings)
    assert on.scheme == dataclasses.replace(scheme, init=None)
    assert on.to_xarray().attrs["init"] == "particles"
    start = simulate_scheme(problem, scheme, start=run.particles)
    np.testing.assert_array_equal(start.predictions, on.predictions)


def test_a_whole_float_shortens_schedules_and_constants_alike(problem):
    for step_size in (0.1, [0.1, 0.2, 0.3, 0.4]):
        scheme = mf.Scheme.of(problem, step_size=step_size, n_steps=4)
        assert scheme.shortened(2.0) == scheme.shortened(2)


def test_a_scheme_does_not_change_with_the_particles_that_it_starts_from(problem):
    d = problem.n_features
    w = np.ones((1, 5, d))
    scheme = mf.Scheme.of(
        problem, step_size=0.1, n_steps=4, init=mf.Particles(np.ones((1, 5)), w, np.ones((1, 5)))
    )
    w[:] = 9
    same = mf.Particles(np.ones((1, 5)), np.ones((1, 5, d)), np.ones((1, 5)))
    assert scheme == mf.Scheme.of(problem, step_size=0.1, n_steps=4, init=same)
    np.testing.assert_array_equal(scheme.init.sample(problem, 3), 1)
    for law in (scheme.init, copy.deepcopy(scheme).init, pickle.loads(pickle.dumps(scheme)).init):
        with pytest.raises(ValueError, match="read-only"):
            law.particles.w[:] = 9
    assert copy.deepcopy(scheme) == scheme
