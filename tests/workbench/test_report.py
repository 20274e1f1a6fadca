"""The report: self-contained, escaped, in plain words that fit the numbers."""

from __future__ import annotations

import html.parser
import re
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from meanfield.flow.cost import duration
from meanfield.statistics.estimate import Estimate, Note
from meanfield.studies.chaos import report as chaos_report
from meanfield.studies.chaos.report import ChaosHeadline
from meanfield.system.provenance import Provenance
from meanfield.workbench.blocks import Figure, Finding, Heading, Table, Text
from meanfield.workbench.report import formatting
from meanfield.workbench.report.render import render_report
from meanfield.workbench.sections.data import DataRecord, data_blocks

PROVENANCE = Provenance({"numpy": "<2>"}, "Linux & x", 61.0)
BLOCKS = [
    Finding("a < b & c"),
    Heading("<h>"),
    Text('"quoted" <script>alert(1)</script>'),
    Table([["x<", "y"], ["1", "2>"]], "a & b"),
    Figure("loss", lambda dataset, ax: ax, 'caption "with" <marks>'),
]


class Page(html.parser.HTMLParser):
    """Collects what a page refers to, and checks that its tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "data", "action")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page():
    summary = {"study": "chaos", "title": "A <b> & C"}
    images = {"loss": b"\x89PNG"}
    return render_report(summary, BLOCKS, images, 'key = "<&>"', PROVENANCE)


def test_page_loads_nothing_from_anywhere(page):
    assert Page(page).links == ["data:image/png;base64,iVBORw=="]
    assert not re.search(r"https?:|//|url\(|@import|<script .|<link|<iframe|fetch|import\(", page)


def test_page_is_well_formed_and_escaped(page):
    parsed = Page(page)
    assert parsed.open == []
    text = "".join(parsed.words)
    for shown in ("A <b> & C", "a < b & c", "<script>alert(1)</script>", '"<&>"', "Linux & x"):
        assert shown in text
    assert "$" not in page


def test_page_fits_phones_and_the_dark(page):
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "max-width: 100%" in page


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (75, "75 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "resolution", "shown"),
    [
        (-1.0234, 0.21, "−1.02"),
        (-0.9234, 0.021, "−0.923"),
        (3.14159, None, "3.14"),
        (123.4, None, "123"),
        (1234.4, 400.0, "1234"),
        (0.0291, 8.1, "0.029"),
        (-0.0041, 0.32, "−0.0041"),
        (0.0, None, "0"),
        (0.9722222, 1e-7, "0.9722"),
        (-614e-6, 0.0022, "−0.00061"),
        (-1.5e-7, None, "−1.50 × 10⁻⁷"),
        (2.5e8, 1.0, "2.50 × 10⁸"),
        (None, None, "not measurable"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_justifies(value, resolution, shown):
    assert formatting.format_number(value, resolution) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1.27e-6, "less than 0.01%"),
        (0.0, "0%"),
        (0.000152, "0.015%"),
        (0.0371, "3.7%"),
        (0.8913, "89%"),
        (0.99962, "99.96%"),
        (1.0, "100%"),
        (-0.021, "−2.1%"),
        (float("nan"), "not measurable"),
    ],
)
def test_shares_are_percentages_of_two_digits(share, shown):
    assert formatting.format_share(share) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from -1.5 to 2 (-0.3)", "from −1.5 to 2 (−0.3)"),
        ("slope -1, x=-2", "slope −1, x=−2"),
        ("a loss of 3.29e+29, or 1e-05.", "a loss of 3.29 × 10²⁹, or 1 × 10⁻⁵."),
        # What is no sign stays: ranges, names, dates, options.
        ("95-100, replicas-0001, 2026-11-29, --set run.x", None),
        ("file a1e-3b, version 1.2e", None),
    ],
)
def test_signs_and_powers_are_set_as_in_print(text, shown):
    assert formatting.typeset(text).replace("\N{NO-BREAK SPACE}", " ") == (shown or text)


def test_a_missing_text_is_one_value_however_many_inputs_it_has():
    filled = {"age": 3, "city=Ulm": 4, "city=Kiel": 4, "city=Bonn": 4}
    record = DataRecord(
        source="csv", n_train=9, n_test=0, constant_features=[], notes=[],
        categories={"city": ["Ulm", "Kiel", "Bonn"]},
        missing={"rule": "mean", "filled": filled},
    )  # fmt: skip
    assert "by the mean of their column: 7." in data_blocks(record)[1].text


ONE_WELL = xr.Dataset(attrs={"verdict": "one well."})


def slope(value=np.nan, low=np.nan, high=np.nan, expected=-1.0):
    return Estimate(value, low, high, expected=expected, label="x")


def test_verdict_follows_the_interval():
    assert formatting.verdict(slope(-0.9, -1.1, -0.7)) == "as expected"
    assert formatting.verdict(slope(-0.9, -0.95, -0.85)) == "differs"
    assert formatting.verdict(slope()) == "–"
    assert formatting.verdict(slope(-0.3, -0.4, -0.2, expected=None)) == "–"
    assert formatting.verdict(slope(-0.9, -2.1, 0.3)) == "too wide to tell"
    assert formatting.verdict(slope(0.1, -0.1, 0.3, expected=0.0)) == "as expected"


@pytest.mark.parametrize(
    ("low", "high", "said", "unsaid"),
    [
        (-1.1, -0.95, "in agreement with the expected 1/N", "wide"),
        (-1.4, -0.8, "The interval is wide", "which is not the expected"),
        (-0.9, -0.8, "which is not the expected 1/N.", "in agreement"),
        (-2.1, 0.3, "does not show that the distance falls at all", "in agreement"),
    ],
)
def test_finding_says_what_the_interval_allows(low, high, said, unsaid):
    found = slope((low + high) / 2, low, high)
    headline = ChaosHeadline(
        slope={"function": found, "w1_squared": found},
        constant=dict.fromkeys(["function", "w1_squared"], slope(2.0, 1.5, 2.5, None)),
        trend={},
        supremum={},
    )
    text = chaos_report._finding(headline, ONE_WELL)
    assert said in text
    assert unsaid not in text


def test_notes_are_pointed_to_where_there_are_some():
    found = replace(slope(-0.5, -0.6, -0.4), notes=(Note("floor", "A floor."),))
    headline = ChaosHeadline(
        slope={"function": found, "w1_squared": found},
        constant=dict.fromkeys(["function", "w1_squared"], slope(2.0, 1.5, 2.5, None)),
        trend={},
        supremum={},
    )
    assert "see the notes below the table" in chaos_report._finding(headline, ONE_WELL)


def test_finding_without_noise_is_about_the_function():
    headline = ChaosHeadline(
        slope={
            "w1_squared": slope(-0.5, -0.6, -0.4, None),
            "matched_w2": slope(-0.5, -0.6, -0.4, None),
            "function": slope(-1.0, -1.1, -0.9),
        },
        constant={"function": slope(2.0, 1.5, 2.5, None)},
        trend={},
        supremum={},
    )
    text = chaos_report._finding(headline, ONE_WELL)
    assert "synchronous" not in text
    assert "between the network of N neurons and the limit network" in text
    assert "in agreement with the expected 1/N" in text


@pytest.mark.parametrize(
    ("trend", "said"),
    [
        (slope(0.1, 0.05, 0.15), "still grows"),
        (slope(-0.1, -0.15, -0.05), "It falls"),
        (slope(0.1, -0.1, 0.3), "growth by +30.0% of that mean cannot be excluded"),
        (slope(-4.0, -9.0, 1.0), "it changes by −400.0% of its mean there"),
        (slope(), "add late times"),
    ],
)
def test_uniformity_in_time_is_not_overclaimed(trend, said):
    assert said in chaos_report._uniform(trend, "distance", slope(-1.0, -1.1, -0.9))


def test_no_rate_lasts_that_was_not_found():
    flat = slope(-0.1, -0.3, 0.1)
    text = chaos_report._uniform(flat, "distance", slope(-0.54, -0.6, -0.5))
    assert "no growth" not in text
    assert "N times it grows with N" in text


def test_saved_numbers_read_like_estimates():
    for number in (Estimate(-0.913, -1.0, -0.8), Estimate(3.0), Estimate(0.5), Estimate(np.nan)):
        saved = Estimate.from_summary(number.to_summary())
        assert formatting.format_estimate(saved) == formatting.format_estimate(number)
        assert formatting.slope_row("x", saved) == formatting.slope_row("x", number)
    assert formatting.format_estimate(Estimate(-0.913, -1.0, -0.8)) == (
        "−0.91 (95% interval −1.00 to −0.80)"
    )
    assert formatting.format_estimate(Estimate(3.0)) == "3"
    assert formatting.format_estimate(Estimate(np.nan)) == "not measurable"
