"""Studies: a configuration in, a folder of results out.

To add a study, make a folder like `meanfield/studies/simulate`, whose ``study.py`` defines
``STUDY``, a `Study`:

- a configuration, derived from `LearningConfig` (data, problem and run come with it), from
  `DataConfig` (data alone), or from `StudyConfig`, with a description for every key, and an example
  that runs as it stands;
- ``prepare(config) -> Plan``, which checks everything that can be checked early and names the
  units of work: top-level functions with plain-data arguments that return arrays;
- in the plan, ``combine(results) -> Outcome``: a dataset and the headline numbers, which a
  `Headline` of its own names;
- ``report(summary, dataset)``: the report as paragraphs, tables and figures, from that headline.

Then give it one line in `STUDIES`. Checkpoints, resuming, the command line, progress, the folder
and its manifest, and the page come by themselves.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meanfield.errors import ConfigError, suggest

if TYPE_CHECKING:
    from meanfield.workbench.study import Study


@dataclass(frozen=True)
class Entry:
    """Where a study is defined, as ``STUDY`` in its module, and what it does."""

    module: str
    purpose: str


_PURPOSES = {
    "experiment": "See the same networks in every light, in one report.",
    "simulate": "Train particle systems and follow their loss.",
    "chaos": "Measure how fast N particles approach the mean-field limit.",
    "errors": "Split the error of a trained network into its causes.",
    "atoms": "Find the few atoms that carry trained networks, and certify.",
    "identify": "Compute how many Hermite degrees determine the atoms.",
    "cell": "Compute the learning cell of an architecture and a target.",
    "recovery": "Count how often networks give their teacher's atoms back.",
    "bench": "Time the particle step on this machine.",
    "widths": "Compare four parametrizations of deep networks across widths.",
    "transfer": "Find whether the best learning rate of narrow networks is that of wide ones.",
    "limit": "Follow infinitely wide networks, and finite ones towards them.",
}

# Modules are loaded on first use: listing the studies stays quick.
STUDIES = {
    name: Entry(f"meanfield.studies.{name}.study", purpose) for name, purpose in _PURPOSES.items()
}

#: Parts of an experiment, whose studies read its file too.
PARTS = ("chaos", "atoms", "errors", "cell")

#: What is done at every point of a grid; its configuration names the study.
_SWEEP = Entry("meanfield.studies.sweep.study", "Do a study at every point of a grid.")

_SCRIPTS = (
    "ensembles", "integrators", "moments", "references", "relaxation", "richardson", "stationary",
)  # fmt: skip


def get_study(name: str) -> Study:
    """Return the study of that name, a key of `STUDIES`, or ``"sweep"``."""
    if name in _SCRIPTS:
        raise ConfigError(f"{name!r} is a script and no study: scripts/validate {name}.")
    entries = {**STUDIES, "sweep": _SWEEP}
    if name not in entries:
        raise ConfigError(f"There is no study {name!r}.{suggest(name, STUDIES)}")
    study: Study = importlib.import_module(entries[name].module).STUDY
    return study
