"""Studies draw hundreds of figures here; cutting fonts to size took a third of their time."""

import pytest

from meanfield.plots import style


@pytest.fixture(autouse=True, scope="module")
def fonts_as_outlines():
    """Put letters into PDFs as outlines; `tests/test_plots.py` has them as users do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(style.STYLE, "pdf.fonttype", 3)
        yield
