"""Images in many more rows than are used: split by number, then taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from meanfield.problem.data import Data, from_arrays
from meanfield.problem.sources.options import RowOptions


def from_images(
    images: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    y: np.ndarray,
    info: dict[str, Any],
    options: RowOptions,
) -> Data:
    """Choose among `rows`, stratified by the labels `y`, and load the images of those in use.

    Only these become floating point. `images` maps row numbers to images, (rows, pixels).
    """
    as_they_are: RowOptions = {**options, "standardize": "none"}
    split = from_arrays(rows[:, None], y, stratify=True, info=info, **as_they_are)
    used = split.X[:, 0].astype(int)
    held_out = None if split.X_test is None else split.X_test[:, 0].astype(int)
    data = from_arrays(
        images(used),
        split.y,
        X_test=None if held_out is None else images(held_out),
        y_test=split.y_test,
        standardize=options["standardize"],
        info=info,
    )
    data.info.update(split_seed=split.info["split_seed"], train_rows=used.tolist())
    if held_out is not None:
        data.info["test_rows"] = held_out.tolist()
    return data
