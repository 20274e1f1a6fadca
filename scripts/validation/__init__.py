"""Experiments that hold the library against what is known exactly.

``scripts/validate`` runs them and writes their results. Each module here is one experiment, made of
public functions only, and reads as an example of them. It has

- ``TITLE``, one line;
- ``run(quick=False)``, which returns the headline numbers, a dict of `Estimate`, and the dataset
  that the picture shows; ``quick`` is a tiny version of the same;
- ``draw(figure, dataset)``, the picture, and perhaps its ``SIZE`` in inches;
- ``check(numbers)``, which raises when a headline number is not what theory says.
"""

from __future__ import annotations

#: In the order in which they are shown.
NAMES: tuple[str, ...] = (
    "references",
    "richardson",
    "ensembles",
    "integrators",
    "stationary",
    "predictions",
    "relaxation",
    "moments",
    "uncertainty",
    "thresholds",
    "onestep",
    "richness",
)
