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


# Modules are loaded on first use: listing the studies stays quick.
STUDIES: dict[str, Entry] = {
    "simulate": Entry(
        "meanfield.studies.simulate.study", "Train particle systems and follow their loss."
    ),
    "chaos": Entry(
        "meanfield.studies.chaos.study",
        "Measure how fast N particles approach the mean-field limit.",
    ),
    "errors": Entry(
        "meanfield.studies.errors.study", "Split the error of a trained network into its causes."
    ),
    "atoms": Entry(
        "meanfield.studies.atoms.study",
        "Find the few atoms that carry trained networks, and certify.",
    ),
    "identify": Entry(
        "meanfield.studies.identify.study", "Compute how many Hermite degrees determine the atoms."
    ),
    "cell": Entry(
        "meanfield.studies.cell.study", "Compute the learning cell of an architecture and a target."
    ),
    "recovery": Entry(
        "meanfield.studies.recovery.study",
        "Count how often networks give their teacher's atoms back.",
    ),
    "bench": Entry("meanfield.studies.bench.study", "Time the particle step on this machine."),
    "widths": Entry(
        "meanfield.studies.widths.study",
        "Compare four parametrizations of deep networks across widths.",
    ),
    "limit": Entry(
        "meanfield.studies.limit.study",
        "Simulate infinitely wide networks and how finite ones approach them.",
    ),
}


_SCRIPTS = (
    "ensembles",
    "integrators",
    "moments",
    "references",
    "relaxation",
    "richardson",
    "stationary",
)


def get_study(name: str) -> Study:
    """Return the study of that name.

    Parameters
    ----------
    name : str
        A key of `STUDIES`.

    Returns
    -------
    Study
        The study.

    Raises
    ------
    ConfigError
        There is no such study.
    """
    if name in _SCRIPTS:
        raise ConfigError(f"{name!r} is a script and no study: scripts/validate {name}.")
    if name not in STUDIES:
        raise ConfigError(f"There is no study {name!r}.{suggest(name, STUDIES)}")
    return importlib.import_module(STUDIES[name].module).STUDY
