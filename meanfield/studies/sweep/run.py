"""`mf.sweep`: a study over a grid, from Python."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from meanfield.errors import ArgumentTypeError
from meanfield.studies.sweep.axes import checked_axes
from meanfield.studies.sweep.config import read_sweep
from meanfield.studies.sweep.study import sweep_of
from meanfield.system import storage
from meanfield.system.progress import progress_bar
from meanfield.workbench.config import read_toml
from meanfield.workbench.executors import get_executor
from meanfield.workbench.runner import run_study

if TYPE_CHECKING:
    import xarray as xr


def sweep(
    config: str | os.PathLike[str] | Mapping[str, Any],
    over: Mapping[str, Any],
    *,
    study: str | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    executor: Literal["local", "dask"] = "local",
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Do a study at every point of a grid, as one set of units of work.

    Every point has the bits that it would have alone. What several points have in common (data,
    references, bounds) is made once. All points are checked before any work begins; one that fails
    later is named in ``failure``, and the rest goes on.

    Parameters
    ----------
    config : str, path or mapping
        A configuration file (of a study, of an experiment, of a sweep), or its content.
    over : mapping
        Dotted keys of the configuration, such as ``"problem.l2"``, each with the list of its
        values; the grid is their product.
    study : str, optional
        The study, such as ``"atoms"``; by default the one that the configuration names.
    out : str or path, optional
        Folder for results and units of work; by default nothing is kept.
    resume : bool, default: False
        Continue what `out` holds, or extend it: more values, axes or replicas.
    executor, workers, scheduler : str, int, str, optional
        Where to compute: ``"local"`` in so many processes, or ``"dask"``, on a cluster here or
        behind the address of a scheduler.
    progress : bool, default: False
        Show a bar.

    Returns
    -------
    xarray.Dataset
        Every headline number of the study with one dimension for each key of `over`, named by it,
        and ``bound`` (value, low, high); ``failure`` says what was wrong at a point.

    Raises
    ------
    ConfigError
        If a key is not known, an axis is empty, or a value is refused; the sentence names the grid
        point.

    Examples
    --------
    >>> import meanfield as mf
    >>> config = {
    ...     "study": "simulate",
    ...     "data": {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 20},
    ...     "run": {"n_steps": 5},
    ...     "simulate": {"n_particles": 16, "n_replicas": 2},
    ... }
    >>> found = mf.sweep(config, {"problem.l2": [1e-4, 1e-2], "problem.temperature": [0.0, 1e-3]})
    >>> dict(found["loss"].sizes)
    {'problem.l2': 2, 'problem.temperature': 2, 'bound': 3}
    """
    if not isinstance(over, Mapping):
        raise ArgumentTypeError(
            "over", f'must be a dictionary such as {{"problem.l2": [1e-4, 1e-3]}}, got {over!r}.'
        )
    if isinstance(config, Mapping):
        content, folder, path = {**config}, Path(), Path("config")
    elif isinstance(config, str | os.PathLike):
        path = Path(config)
        content, folder = read_toml(path), path.parent
    else:
        raise ArgumentTypeError(
            "config", f"must be the path of a configuration or its content, got {config!r}."
        )
    axes = checked_axes(over) if over else {}
    whole = read_sweep(content, axes, study, path=path, folder=folder)
    place = get_executor(executor, scheduler=scheduler, workers=workers)
    kind = sweep_of(whole.of)
    with (
        tempfile.TemporaryDirectory(prefix="meanfield-") as nowhere,
        place as units,
        progress_bar("sweep", quiet=not progress) as bar,
    ):
        folder = Path(nowhere, "sweep") if out is None else Path(out)
        keys: dict[str, Any] = {"executor": units, "progress": bar, "drawn": out is not None}
        run_study(kind, whole, folder, resume=resume, **keys)
        found = storage.read_dataset(folder / kind.result)
    return found  # type: ignore[return-value]
