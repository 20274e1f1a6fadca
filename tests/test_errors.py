"""Errors that carry data: they survive a pickle, and name their argument."""

from __future__ import annotations

import pickle

import pytest

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError


@pytest.mark.parametrize("kind", [ArgumentError, ArgumentTypeError])
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ({"predicate": "must be 1, got 2."}, "size must be 1, got 2."),
        ({"message": "Unknown size 2."}, "Unknown size 2."),
    ],
)
def test_argument_and_sentence_survive_a_pickle(kind, text, sentence):
    error = pickle.loads(pickle.dumps(kind("size", **text)))
    assert type(error) is kind
    assert (error.argument, str(error)) == ("size", sentence)


def test_kinds_are_told_apart():
    assert issubclass(ArgumentError, ValueError)
    assert not issubclass(ArgumentError, TypeError)
    assert issubclass(ArgumentTypeError, TypeError)
    assert not issubclass(ArgumentTypeError, ValueError)


@pytest.mark.parametrize(
    ("check", "wrong_type", "wrong_value"),
    [
        (lambda value: checks.count("size", value), "a", 0),
        (lambda value: checks.counts("size", value), 3, [0]),
        (lambda value: checks.real("size", value), "a", float("inf")),
        (lambda value: checks.positive("size", value), "a", 0.0),
        (lambda value: checks.nonnegative("size", value), "a", -1.0),
        (lambda value: checks.finite("size", value), "a", [float("nan")]),
        (lambda value: checks.seed(value, "size"), "a", 2**64),
    ],
)
def test_every_check_carries_the_name(check, wrong_type, wrong_value):
    for kind, value in ((ArgumentTypeError, wrong_type), (ArgumentError, wrong_value)):
        with pytest.raises(kind, match=r"^size ") as caught:
            check(value)
        assert caught.value.argument == "size"


@pytest.mark.parametrize(
    ("check", "argument"),
    [
        (lambda: checks.choice("kind", "on", ["one"]), "kind"),
        (lambda: checks.steps(2**32), "n_steps"),
        (lambda: checks.precision("int8"), "dtype"),
    ],
)
def test_checks_of_fixed_arguments(check, argument):
    with pytest.raises(ArgumentError) as caught:
        check()
    assert caught.value.argument == argument
