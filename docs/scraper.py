"""What sphinx-gallery is told: to take in animations, and to keep labels within figures."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst


def animations(block: Any, variables: dict[str, Any], conf: dict[str, Any]) -> str:
    """Move the GIF of its name that a script has written to its pictures; return the markup."""
    found = []
    path = Path(variables["src_file"]).with_suffix(".gif")
    if path.exists():
        place = Path(next(variables["image_path_iterator"])).with_suffix(".gif")
        shutil.move(path, place)
        found.append(str(place))
    return figure_rst(found, conf["src_dir"])


def layout(conf: dict[str, Any], script: str) -> None:
    """Have figures of the next script laid out so that no label is cut off, and nothing logged."""
    import matplotlib as mpl

    for name in ("matplotlib", "fontTools"):
        logging.getLogger(name).setLevel(logging.WARNING)

    mpl.rcParams["figure.constrained_layout.use"] = True
