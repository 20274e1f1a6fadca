"""Whether the count of atoms can be relied on elsewhere: tried before it is advised."""

from __future__ import annotations

from typing import Any

import numpy as np

from meanfield.flow.particles import particles_at
from meanfield.flow.run import score
from meanfield.problem import Problem
from meanfield.statistics.estimate import Estimate
from meanfield.studies.atoms.study import train_and_extract
from meanfield.studies.experiment.count import candidates
from meanfield.system.progress import Progress, SharedProgress
from meanfield.workbench.study import Arrays

#: Networks at a penalty before it is advised, and penalties that are tried at most.
NETWORKS, MOST = 3, 2


def score_at_end(problem: Problem, network: Arrays) -> Estimate:
    """Return the score of a network at the end of its training, before it was cooled."""
    return score(problem, particles_at(problem, network["particle_trained"][None]))


def try_penalties(
    problem: Problem,
    factors: list[float],
    settings: list[dict[str, Any]],
    progress: Progress,
    **found: Arrays,
) -> Arrays:
    """Train further networks where one of another penalty has a count that can be relied on.

    `found` holds the networks of the experiment, ``network_0000`` and on, and one for every factor,
    ``penalty_00`` and on, whose arguments of `train_and_extract` are `settings`. Nothing is done
    where all of the experiment can be relied on. Returned are the ``factor`` (T,) of each penalty,
    and of the networks there ``n_atoms`` and ``confident`` (T, networks).
    """
    networks = [found[key] for key in sorted(found) if key.startswith("network")]
    if all(network["confident"][-1] for network in networks):
        return {}
    tried = [found[key] for key in sorted(found) if key.startswith("penalty")]
    at = [networks[0], *tried]
    order = candidates(
        np.array([1.0, *factors]),
        np.array([network["confident"][-1] > 0 for network in at]),
        np.array([network["n_atoms"][-1] for network in at]),
        Estimate.stack([score_at_end(problem, network) for network in at]),
        here=0,
    )
    shared, rows = SharedProgress(progress, MOST * (NETWORKS - 1)), []
    for chosen in order[:MOST]:
        group = [at[chosen]]
        for replica in range(1, NETWORKS):
            arguments = settings[chosen - 1] | {"replica": replica}
            group.append(train_and_extract(**arguments, checkpoint=None, progress=shared.part(1)))
        counts, sure = ([network[key][-1] for network in group] for key in ("n_atoms", "confident"))
        rows.append((factors[chosen - 1], counts, sure))
        if all(sure):
            break
    if not rows:
        return {}
    factor, n_atoms, confident = (
        np.array(column, dtype=float) for column in zip(*rows, strict=True)
    )
    return {"factor": factor, "n_atoms": n_atoms, "confident": confident}
