"""The headline of a study: by name in Python, by key in ``summary.json``."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest

from meanfield.errors import CheckpointError
from meanfield.statistics.estimate import Estimate, Note
from meanfield.workbench.headline import Headline, family


@dataclass(frozen=True, kw_only=True)
class Rates(Headline):
    slope: dict[str, Estimate] = family("{}_slope")
    law_slope: dict[str, Estimate] = family("{}_law_slope")
    gain: dict[str, Estimate] = family("gain_{}")
    total: Estimate
    rate: Estimate | None = None


RATES = Rates(
    total=Estimate(0.25, 0.125, 0.5, level=0.99, resampled="replicas", label="Total error"),
    slope={
        "coupling": Estimate(-1.1, -1.25, -0.9, expected=-1.0, notes=(Note("floor", "A floor."),)),
        "w2": Estimate(math.nan, label="nothing was fitted"),
    },
    law_slope={"w2": Estimate(-2.0)},
    gain={"n": Estimate(0.5)},
)


def saved(headline):
    numbers = {key: number.to_summary() for key, number in headline.numbers().items()}
    return json.loads(json.dumps({"numbers": numbers}, allow_nan=False))


def test_numbers_stand_in_the_order_of_the_fields_under_their_keys():
    keys = ["coupling_slope", "w2_slope", "w2_law_slope", "gain_n", "total"]
    assert list(RATES.numbers()) == keys
    assert RATES.numbers()["total"] is RATES.total
    assert RATES.numbers()["w2_law_slope"] is RATES.law_slope["w2"]


def test_what_was_saved_is_read_back_by_name():
    read = Rates.read(saved(RATES))
    assert saved(read) == saved(RATES)
    assert read.rate is None
    assert list(read.slope) == ["coupling", "w2"]
    assert list(read.law_slope) == ["w2"]
    assert read.slope["coupling"].notes == RATES.slope["coupling"].notes
    assert read.slope["coupling"].agrees is True
    assert math.isnan(read.slope["w2"].value)
    assert read.total.level == 0.99


def test_a_name_that_would_be_read_as_another_is_refused():
    with pytest.raises(ValueError, match="'w2_law' in 'slope'"):
        Rates(total=RATES.total, slope={"w2_law": RATES.total}).numbers()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda numbers: numbers.pop("total"), "total"),
        (lambda numbers: numbers.update(sum=numbers["total"]), "sum"),
        (lambda numbers: numbers.update(_slope=numbers["total"]), "_slope"),
        (lambda numbers: numbers.update(slope=numbers["total"]), "slope"),
    ],
)
def test_numbers_of_another_version_are_refused(change, key):
    summary = saved(RATES)
    change(summary["numbers"])
    with pytest.raises(CheckpointError, match=f"'{key}'.*run the study again"):
        Rates.read(summary)
