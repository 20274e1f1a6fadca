"""What an experiment's report says of the number of atoms, and which key it says to change."""

import numpy as np
import pytest
import xarray as xr

from meanfield.statistics.estimate import Estimate
from meanfield.studies.experiment import trial
from meanfield.studies.experiment.count import (
    advice,
    against_penalty,
    candidates,
    count_sentence,
)
from meanfield.studies.experiment.trial import try_penalties
from meanfield.system.progress import no_progress

NUMBERS = {
    "n_atoms": Estimate(3, label="Number of atoms S*"),
    **{
        name: Estimate(0.5, label=name)
        for name in ("agreement", "confident", "missing", "compression_gap")
    },
}
SUMMARY = {"numbers": {key: number.to_summary() for key, number in NUMBERS.items()}}


def networks(counts, sure, spread=0.01, most=7, at_rest=0):
    variables = {
        "n_atoms": counts,
        "confident": sure,
        "spread": np.full(len(counts), spread),
        "null_spread": np.full(len(counts), 0.5),
        "least": np.full(len(counts), 7),
        "most": np.full(len(counts), most),
        "from_rest": np.full(len(counts), at_rest),
        "network_gap": np.full(len(counts), 0.05),
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
    assert said in count_sentence(SUMMARY, networks(counts, sure), tried([3], [1], [0.8], [1.0]))


@pytest.mark.parametrize(
    ("counts", "sure", "said"),
    [
        ([3, 3], [1, 1], "3 atoms at rest, where the training objective is least; they differ from "
         "that by 5%. The count can be relied on: a duality gap certifies it."),
        ([8, 9], [0, 0], "the networks consist of 7 to 9 atoms: some are too faint"),
        ([0, 0], [1, 1], "No atoms were found"),
    ],
)  # fmt: skip
def test_at_rest_the_count_is_that_of_the_objective(counts, sure, said):
    found = networks(counts, sure, most=9, at_rest=1)
    assert said in count_sentence(SUMMARY, found, tried([3], [1], [0.8], [1.0]))


def test_the_question_that_has_an_answer_is_named_where_the_labels_leave_several():
    found = networks([7, 7], [0, 0])
    overview = tried([9] * 5, [0] * 5, [0.8] * 5)
    assert "atoms.target" not in advice(found, overview)
    found["statement"] = (
        ("replica", "look"),
        np.array([[""], ["… (atoms.target) …"]]),
    )
    assert "With target = 'rest' (atoms.target)" in advice(found, overview)


def test_nothing_is_advised_where_every_count_can_be_relied_on():
    assert advice(networks([3, 3], [1, 1]), tried([9] * 5, [1] * 5, [0.8] * 5)) == ""


@pytest.mark.parametrize(
    ("sure", "scores", "order"),
    [
        ([1, 1, 0, 1, 1], [0.8] * 5, [3, 1, 4, 0]),  # the larger of the nearest
        ([1, 1, 0, 0, 1], [0.8] * 5, [1, 4, 0]),
        ([1, 0, 0, 1, 0], [0.8, 0.8, 0.8, 0.7, 0.6], [0, 3]),  # that of 0.03 costs too much
        ([0, 0, 1, 0, 0], [0.8] * 5, []),  # another than its own
    ],
)
def test_penalties_are_tried_in_this_order(sure, scores, order):
    overview = tried([9, 8, 7, 2, 1], sure, scores)
    score = Estimate.from_xarray(overview["path_score"])
    counts = overview["path_n_atoms"].values
    assert candidates(overview["l2"].values, np.array(sure) > 0, counts, score, 2) == order


def with_trials(overview, l2, confident, n_atoms):
    dims = ("trial", "trial_network")
    return overview.assign(
        trial_l2=("trial", l2), trial_confident=(dims, confident), trial_n_atoms=(dims, n_atoms)
    )


@pytest.mark.parametrize(("low", "cost"), [(0.79, False), (0.7, True)])
def test_a_penalty_at_which_three_networks_were_tried_is_advised(low, cost):
    overview = tried([9, 8, 7, 2, 1], [0, 0, 0, 1, 1], [0.8, 0.8, 0.8, 0.8, low])
    overview = with_trials(overview, [0.03, 0.1], [[1, 1, 0], [1, 1, 1]], [[2, 2, 3], [1, 1, 1]])
    text = advice(networks([7, 7], [0, 0]), overview)
    headline = count_sentence(SUMMARY, networks([7, 7], [0, 0]), overview)
    assert "what makes it reliable is said below." in headline
    assert "problem.l2 = 0.1 with problem.temperature = 0.01." in text
    assert "All 3 networks that were tried there have 1 atom, each a count" in text
    assert f"accuracy {low:.3f}, and that of the same seed 0.800" in text
    assert ("at the price of a lower accuracy" in text) == cost


def test_nothing_is_advised_that_failed_in_a_trial():
    overview = tried([9, 8, 7, 2, 1], [0, 0, 0, 1, 0], [0.8] * 5)
    overview = with_trials(overview, [0.03], [[1.0, 1, 0]], [[2.0, 2, 3]])
    text = advice(networks([7, 7], [0, 0]), overview)
    # The headline promises no more than what is said below it.
    headline = count_sentence(SUMMARY, networks([7, 7], [0, 0]), overview)
    assert "what was tried to make it so is said below." in headline
    assert "What makes it reliable" not in text
    assert "No key of this file is known to make it reliable" in text
    assert "at which all networks that were tried have a count" in text
    assert "(2 of 3 at l2 = 0.03)" in text


@pytest.mark.parametrize(
    ("spread", "most", "said"),
    [
        (0.45, 7, "Neurons have not gathered"),
        (0.01, 9, "Several numbers of atoms explain the networks equally well"),
        (0.01, 7, "too many, or too faint"),
    ],
)
def test_without_one_the_first_doubt_is_named(spread, most, said):
    text = advice(
        networks([7, 7], [0, 0], spread, most), tried([9, 8, 7, 2, 0], [0, 0, 0, 0, 0], [0.8] * 5)
    )
    assert "of the other penalties, l2 = 0.001, 0.003, 0.03, 0.1, none has a network" in text
    assert said in text


def network(n_atoms, confident):
    return {"n_atoms": np.array([0.0, n_atoms]), "confident": np.array([0.0, confident])}


def test_nothing_is_tried_where_all_can_be_relied_on():
    sure = network(3, 1)
    assert try_penalties(None, [2.0], [{}], no_progress, network_0000=sure, penalty_00={}) == {}


def test_networks_are_trained_where_one_can_be_relied_on_until_all_can(monkeypatch):
    asked = []

    def train(replica, l2, checkpoint, progress):
        asked.append((l2, replica))
        return network(2, l2 == 10 or replica == 1)

    monkeypatch.setattr(trial, "train_and_extract", train)
    score = Estimate(0.8, 0.7, 0.9, label="accuracy")
    monkeypatch.setattr(trial, "score_at_end", lambda problem, network: score)
    found = try_penalties(
        None,
        [3.0, 10.0, 0.1],
        [{"l2": 3}, {"l2": 10}, {"l2": 0.1}],
        no_progress,
        network_0000=network(7, 0),
        network_0001=network(7, 1),
        penalty_00=network(4, 1),
        penalty_01=network(2, 1),
        penalty_02=network(9, 0),
    )
    assert asked == [(3, 1), (3, 2), (10, 1), (10, 2)]
    np.testing.assert_array_equal(found["factor"], [3.0, 10.0])
    np.testing.assert_array_equal(found["confident"], [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(found["n_atoms"], [[4, 2, 2], [2, 2, 2]])


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
