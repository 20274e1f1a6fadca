"""CIFAR-10 from the user's own copy of the binary version."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np

from meanfield.errors import ArgumentError, suggest
from meanfield.problem.data import Data, from_arrays
from meanfield.problem.labels import class_labels, class_meanings
from meanfield.problem.sources.images import from_images
from meanfield.problem.sources.options import RowOptions, takes

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
"""Names of the labels 0 to 9."""

_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS
_UNPACKED = "cifar-10-batches-bin"
_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_HELP = (
    'download "CIFAR-10 binary version (suitable for C programs)" from '
    "https://www.cs.toronto.edu/~kriz/cifar.html, unpack it, and pass the folder that holds "
    "data_batch_1.bin to data_batch_5.bin"
)


@takes(RowOptions, of=from_arrays, standardize="unit", test_fraction=0.2)
def cifar10(
    *, folder: str | Path, classes: list[str] | None = None, **options: Unpack[RowOptions]
) -> Data:
    """Load 32 × 32 colour images: 50000 training images, 3072 pixels from 0 to 255.

    `folder` holds ``data_batch_1.bin`` to ``data_batch_5.bin`` of the binary version, or is the
    one where its archive was unpacked; the Python version is a pickle and is not read. `classes`
    are the names to keep, all ten by default. Two give labels −1 (the first) and +1, for the
    squared and the logistic loss; more give 0..K−1 in this order, for cross-entropy. Rows are
    stratified by class; the other options are those of `from_arrays`.
    """
    # A record is one byte for the label and 3072 for the image: red, green, blue, row by row.
    chosen = _check_classes(classes)
    folder = Path(folder).expanduser()
    if (folder / _UNPACKED / _FILES[0]).exists():  # where the archive was unpacked
        folder /= _UNPACKED
    batches = [_read_batch(folder, name) for name in _FILES]
    labels = np.concatenate([batch[:, 0] for batch in batches]).astype(np.int64)
    images = np.concatenate([batch[:, 1:] for batch in batches])
    rows = np.flatnonzero(np.isin(labels, chosen))
    y = class_labels(labels[rows], chosen)
    info = {
        "source": "cifar10",
        "classes": class_meanings(chosen, [CLASSES[label] for label in chosen]),
    }
    return from_images(images.__getitem__, rows, y, info, options)


def _check_classes(classes: list[str] | None) -> list[int]:
    """Return the labels of the classes."""
    if classes is None:
        return list(range(10))
    for name in classes:
        if name not in CLASSES:
            raise ArgumentError(
                "classes", message=f"Unknown class {name!r}.{suggest(name, CLASSES)}"
            )
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ArgumentError("classes", f"must be at least two distinct names, got {classes}.")
    return [CLASSES.index(name) for name in classes]


def _read_batch(folder: Path, name: str) -> np.ndarray:
    """Return the records of one file, shape (images, 3073), as bytes."""
    path = folder / name
    if not path.is_file():
        if (folder / path.stem).exists():
            raise FileNotFoundError(
                f"{folder} holds the Python version of CIFAR-10, which is pickled and could run "
                f"any code; {_HELP}."
            )
        raise FileNotFoundError(f"There is no {path}; {_HELP}.")
    records = np.fromfile(path, dtype=np.uint8)
    if len(records) == 0 or len(records) % _RECORD:
        raise ArgumentError(
            "folder",
            message=f"{path} has {len(records)} bytes, not a multiple of {_RECORD}; it is "
            f"truncated or not in the binary format: {_HELP}.",
        )
    records = records.reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise ArgumentError(
            "folder", message=f"{path} has labels above 9; it is not the binary CIFAR-10: {_HELP}."
        )
    return records
