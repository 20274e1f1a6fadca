"""What an experiment's report says of the number of atoms, and which key it says to change."""

import numpy as np
import pytest
import xarray as xr

from meanfield.statistics.estimate import Estimate
from meanfield.studies.experiment.count import advice, against_penalty, count_sentence

NUMBERS = {
    "n_atoms": Estimate(3, label="Number of atoms S*"),
    **{
        name: Estimate(0.5, label=name)
        for name in ("agreement", "confident", "missing", "compression_gap")
    },
}
SUMMARY = {"numbers": {key: number.to_summary() for key, number in NUMBERS.items()}}


def networks(counts, sure, spread=0.01):
    variables = {
        "n_atoms": counts,
        "confident": sure,
        "spread": np.full(len(counts), spread),
        "null_spread": np.full(len(counts), 0.5),
    }
    return xr.Dataset(
        {
            name: (("replica", "look"), np.array(at, float)[:, None])
            for name, at in variables.items()
        }
    )


def tried(counts, sure, scores, factors=(0.1, 0.3, 1.0, 3.0, 10.0), label="accuracy"):
    score = Estimate(np.array(scores), np.array(scores) - 0.1, np.array(scores) + 0.1, label=label)
    return xr.Dataset(
        {
            "l2": ("penalty", 0.01 * np.array(factors)),
            "path_n_atoms": ("penalty", np.array(counts, float)),
            "path_confident": ("penalty", np.array(sure, float)),
            "path_score": score.to_xarray(["penalty"]),
        },
        attrs={"l2": 0.01, "temperature": 0.001},
    )


@pytest.mark.parametrize(
    ("counts", "sure", "said"),
    [
        ([3, 3], [1, 1], "consist of S* = 3 atoms. Each count can be relied on"),
        ([3, 3], [1, 0], "consist of S* = 3 atoms. The count can be relied on in 1 of 2"),
        ([3, 5], [1, 1], "consist of 3 to 5 atoms: the 2 networks do not agree"),
        ([0, 0], [1, 1], "No atoms were found"),
    ],
)
def test_how_many_and_how_sure(counts, sure, said):
    assert said in count_sentence(SUMMARY, networks(counts, sure))


def test_nothing_is_advised_where_every_count_can_be_relied_on():
    assert advice(networks([3, 3], [1, 1]), tried([9] * 5, [1] * 5, [0.8] * 5)) == ""


@pytest.mark.parametrize(
    ("sure", "scores", "l2", "cost"),
    [
        ([1, 1, 0, 1, 1], [0.8, 0.8, 0.8, 0.8, 0.8], 0.03, False),  # the larger of the nearest
        ([1, 1, 0, 0, 1], [0.8, 0.8, 0.8, 0.8, 0.8], 0.003, False),
        ([0, 0, 0, 0, 1], [0.8, 0.8, 0.8, 0.8, 0.79], 0.1, False),
        ([1, 0, 0, 1, 0], [0.8, 0.8, 0.8, 0.7, 0.6], 0.001, False),  # that of 0.03 costs too much
        ([0, 0, 0, 1, 1], [0.8, 0.8, 0.8, 0.7, 0.6], 0.03, True),
    ],
)
def test_a_penalty_that_was_tried_is_advised(sure, scores, l2, cost):
    text = advice(networks([7, 7], [0, 0]), tried([9, 8, 7, 2, 1], sure, scores))
    assert f"problem.l2 = {l2:g} with problem.temperature = {l2 / 10:g}." in text
    assert ("at the price of a lower accuracy" in text) == cost
    where = [0.001, 0.003, 0.01, 0.03, 0.1].index(l2)
    assert f"accuracy {scores[where]:.3f}; that of the same seed has 0.800" in text
    assert "1 atom," in text or "atoms," in text


@pytest.mark.parametrize(
    ("spread", "key"), [(0.45, "atoms.cool_steps"), (0.01, "penalties.factors = [3.0, 10.0]")]
)
def test_without_one_the_doubt_names_the_key(spread, key):
    text = advice(
        networks([7, 7], [0, 0], spread), tried([9, 8, 7, 2, 0], [0, 0, 0, 0, 1], [0.8] * 5)
    )
    assert key in text


@pytest.mark.parametrize(
    ("counts", "sure", "said", "unsaid"),
    [
        ([9, 8, 7, 2, 1], [1, 1, 1, 1, 1], "atoms are merged that a smaller", "keeps no more"),
        ([7, 7, 7, 2, 1], [1, 1, 1, 1, 1], "A smaller one keeps no more", "are merged that"),
        ([9, 8, 7, 2, 1], [0, 0, 1, 1, 1], "do not tell reliably", "keeps no more"),
        ([9, 8, 7, 2, 1], [1, 1, 0, 1, 1], "7 at l2 = 0.01 (not to be relied on)", "merge"),
    ],
)
def test_only_counts_to_rely_on_say_what_the_penalty_does(counts, sure, said, unsaid):
    text = against_penalty(tried(counts, sure, [0.8] * 5))
    assert said in text
    assert unsaid not in text
    assert text.count("(not to be relied on)") == sure.count(0)
