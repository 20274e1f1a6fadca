"""Whatever arrays come in: data and a problem, or one sentence of the package's own."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem import LOSSES, from_arrays

ENTRIES = st.one_of(
    st.floats(),
    st.integers(-3, 3),
    st.sampled_from([2**53 + 1, 2**63, 2**64, None, True, "a", "1", "", b"x", 1j]),
)
FOUR = {"min_size": 4, "max_size": 4}
ANYTHING = given(
    X=st.one_of(
        hnp.arrays(np.float64, (4, 2)),
        hnp.arrays(np.float64, (4, 2), elements=st.floats(-2, 2)),
        hnp.arrays(np.float32, (4, 2)),
        st.lists(st.lists(ENTRIES, min_size=2, max_size=2), **FOUR),
    ),
    y=st.one_of(
        st.lists(ENTRIES, **FOUR),
        st.lists(st.integers(0, 2), **FOUR),
        st.lists(st.sampled_from(["a", "b", None]), **FOUR),
        hnp.arrays(np.float64, 4),
    ),
    options=st.fixed_dictionaries(
        {
            "labels": st.sampled_from(["numbers", "classes", "one-hot"]),
            "missing": st.sampled_from(["refuse", "drop", "mean"]),
            "standardize": st.sampled_from(["none", "zscore", "unit"]),
            "standardize_y": st.booleans(),
            "test_fraction": st.sampled_from([0, 0.25, 0.5]),
            "n_samples": st.sampled_from([None, 1, 2]),
        }
    ),
)


@settings(max_examples=100, deadline=None)
@ANYTHING
def test_any_arrays_are_data_or_one_sentence(X, y, options):
    check(X, y, options)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@ANYTHING
def test_two_thousand_arrays_are_data_or_one_sentence(X, y, options):
    check(X, y, options)


def check(X, y, options):
    data = said(lambda: from_arrays(X, y, **options))
    if data is None:
        return
    assert np.isfinite(data.X).all()
    assert json.loads(json.dumps(data.info)) == data.info
    for loss in LOSSES:
        said(lambda loss=loss: data.problem(loss=loss))


def said(call):
    """What a call returns; None where it refuses in one sentence."""
    try:
        return call()
    except (ArgumentError, ArgumentTypeError) as error:
        sentence = str(error)
    assert re.fullmatch(r"[^\n]+\.", sentence)
    return None
