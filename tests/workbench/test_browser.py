"""The report as a person sees it: in a browser, on a phone, in the dark."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from meanfield.system.provenance import Provenance
from meanfield.workbench.blocks import Figure, Finding, Heading, Table, Text
from meanfield.workbench.report.render import render_report
from tests.workbench import browser

pytestmark = pytest.mark.skipif(
    browser.CHROMIUM is None, reason="no Chromium on this machine; on Debian: apt install chromium"
)

VALUES = ["10", "9", "−1.5", "2.50 × 10⁻³", "not measurable", "1.20 × 10⁴"]
SORTED = ["−1.5", "2.50 × 10⁻³", "9", "10", "1.20 × 10⁴", "not measurable"]
LONG = "a_very_long_name_without_any_place_to_break_" * 4


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    picture = io.BytesIO()
    Image.new("RGB", (1400, 900), "white").save(picture, "png")
    rows = [["value", "name", *(f"column {i}" for i in range(9))]]
    rows += [[value, f"n{len(value)}", *["0.1234 to 0.5678"] * 9] for value in VALUES]
    blocks = [
        Finding("It fell from 1 to 0.5."),
        Heading("Numbers"),
        Text(LONG),
        Table(rows, "Some values."),
        Figure("figure", lambda dataset, ax: ax, "A figure."),
    ]
    provenance = Provenance({"numpy": "2", "scipy": "1"}, "Linux", 3.0)
    summary = {"study": "chaos", "title": LONG}
    images = {"figure": picture.getvalue()}
    page = folder / "report.html"
    page.write_text(render_report(summary, blocks, images, f'key = "{LONG}"', provenance))
    chromium = browser.Browser(folder / "profile")
    chromium.open(page)
    yield chromium
    chromium.close()


def column(opened, table=0):
    script = f"[...document.querySelectorAll('table')[{table}].tBodies[0].rows]"
    cells = opened.run(f"{script}.map(row => row.cells[0].textContent)")
    return [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in cells]


def test_everything_is_inline_and_nothing_complains(opened):
    assert {url.split(":")[0] for url in opened.requested()} == {"file", "data"}
    assert len([url for url in opened.requested() if url.startswith("file")]) == 1
    assert opened.complaints() == []
    assert opened.run("[...document.images].map(i => i.naturalWidth)") == [1400]


def test_tables_sort_by_their_headers(opened):
    assert column(opened) == VALUES
    click = "document.querySelectorAll('table')[0].tHead.rows[0].cells[{0}].firstChild.click()"
    opened.run(click.format(0))
    assert column(opened) == SORTED
    opened.run(click.format(0))
    assert column(opened) == SORTED[::-1]
    state = "[...document.querySelectorAll('th[aria-sort]')].map(h => h.ariaSort)"
    assert opened.run(state) == ["descending"]
    opened.run(click.format(1))
    assert [len(value) for value in column(opened)] == sorted(map(len, VALUES))
    assert opened.complaints() == []


def test_it_fits_a_phone(opened):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 3, "mobile": True}
    opened.call("Emulation.setDeviceMetricsOverride", **size)
    assert opened.run("document.documentElement.scrollWidth") <= 360
    assert opened.run("document.images[0].getBoundingClientRect().width") <= 360
    smallest = "Math.min(...[...document.querySelectorAll('p, td, th, figcaption')]"
    smallest += ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    assert opened.run(smallest) >= 14
    opened.call("Emulation.clearDeviceMetricsOverride")


def test_a_table_that_goes_on_says_so(opened):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    opened.call("Emulation.setDeviceMetricsOverride", **size)
    table = "document.querySelector('.wide')"
    assert opened.run(f"{table}.scrollWidth > {table}.clientWidth")
    start, middle = edges(opened, 0), edges(opened, 60)
    end = edges(opened, 10000)
    opened.run(f"{table}.scrollLeft = 0")
    opened.call("Emulation.clearDeviceMetricsOverride")
    # Left and right: darker than the paper where there is more.
    assert [dark < 250 for dark in start] == [False, True]
    assert [dark < 250 for dark in middle] == [True, True]
    assert [dark < 250 for dark in end] == [True, False]


def edges(opened, scrolled):
    """The tone of a table's left and right edge, beside the first line of its cells."""
    table = "document.querySelector('.wide')"
    opened.run(f"{table}.scrollLeft = {scrolled}")
    names = ("left", "right", "bottom")
    left, right, bottom = (
        opened.run(f"{table}.getBoundingClientRect().{name} + scroll{axis}")
        for name, axis in zip(names, "XXY", strict=True)
    )
    clip = {"x": left, "y": bottom - 6, "width": right - left, "height": 3, "scale": 1}
    taken = opened.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
    picture = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("L")
    return picture.getpixel((1, 1)), picture.getpixel((picture.width - 2, 1))


def test_figures_are_dark_in_the_dark(opened):
    tones = {}
    for scheme in ("light", "dark"):
        feature = [{"name": "prefers-color-scheme", "value": scheme}]
        opened.call("Emulation.setEmulatedMedia", features=feature)
        box = "(r => [r.x + scrollX, r.y + scrollY])(document.images[0].getBoundingClientRect())"
        x, y = opened.run(box)
        clip = {"x": x + 20, "y": y + 20, "width": 4, "height": 4, "scale": 1}
        taken = opened.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        picture = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("L")
        tones[scheme] = picture.getpixel((1, 1))
    opened.call("Emulation.setEmulatedMedia", features=[])
    assert tones["light"] > 250
    assert tones["dark"] < 40


def luminance(colour):
    """Relative luminance of ``rgb(r, g, b)``, as the guidelines for contrast define it."""
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(opened, scheme):
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.call("Emulation.setEmulatedMedia", features=feature)
    style = "getComputedStyle(document.querySelector('{0}')).{1}"
    paper = luminance(opened.run(style.format("body", "backgroundColor")))
    assert (paper < 0.1) == (scheme == "dark")
    for selector, least in (("body", 7.0), (".finding", 7.0), (".caption", 4.5)):
        ink = luminance(opened.run(style.format(selector, "color")))
        low, high = sorted((ink, paper))
        assert (high + 0.05) / (low + 0.05) >= least
