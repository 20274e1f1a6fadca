"""The check of committed results: every drift of a number is found, and nothing else."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from scripts import check_results
from scripts.validation import NAMES

COMMITTED = check_results.read_numbers(check_results.RESULTS / "errors-teacher")


def test_every_study_and_validation_is_checked():
    taken = check_results.seconds_taken()
    studies = {path.stem for path in check_results.configuration("").parent.glob("*.toml")}
    assert taken.keys() == studies | set(NAMES)
    assert list(taken.values()) == sorted(taken.values())


def test_the_last_bit_is_compared_and_words_are_not():
    made = copy.deepcopy(COMMITTED)
    assert check_results.drifts(COMMITTED, made) == []
    key = next(key for key in made if made[key]["interval"])
    made[key] |= {"label": "another", "notes": ["another"]}
    assert check_results.drifts(COMMITTED, made) == []
    value = made[key]["value"]
    made[key]["value"] = float(np.nextafter(value, 2 * value))
    low, high = made[key]["interval"]
    made[key]["interval"] = [low, None]
    assert check_results.drifts(COMMITTED, made) == [
        f"{key}, value: {value} → {made[key]['value']}",
        f"{key}, interval: {[low, high]} → {[low, None]}",
    ]
    made["more"] = made.pop(key)
    assert check_results.drifts(COMMITTED, made) == [f"{key} is no longer made", "more is new"]


@pytest.mark.parametrize(
    ("made", "status", "said"),
    [
        (COMMITTED, 0, "the same numbers"),
        ({}, 1, "has drifted"),
        (RuntimeError("The disk is full."), 1, "  The disk is full."),
    ],
)
def test_status_tells_whether_all_are_the_same(made, status, said, monkeypatch, capsys):
    def make_again(name, folder):
        if isinstance(made, Exception):
            raise made
        return made

    monkeypatch.setattr(check_results, "make_again", make_again)
    assert check_results.main(["errors-teacher"]) == status
    assert said in capsys.readouterr().out


def test_a_result_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        check_results.main(["nothing"])
    assert "there is no result 'nothing'; choose from" in capsys.readouterr().err
