"""Studies draw hundreds of figures here; `tests/test_plots.py` draws them as users do."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def drawn_fast(fonts_as_outlines):
    """Take a third less time."""
