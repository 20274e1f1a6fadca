"""The command line: read a configuration, run its study, say in one sentence what went wrong."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meanfield.errors import CheckpointError, ConfigError, DivergenceError, WorkerError
from meanfield.studies import PARTS, STUDIES, get_study
from meanfield.system.streams import open_streams
from meanfield.system.version import VERSION
from meanfield.workbench.cache_command import as_notes, cache, note

if TYPE_CHECKING:
    from meanfield.workbench.config import StudyConfig
    from meanfield.workbench.executors.calls import Executor
    from meanfield.workbench.study import Plan, Study

#: Exit statuses: the input cannot be used; the user stopped the run (128 + SIGINT).
BAD_INPUT, INTERRUPTED = 2, 130

_HELP = """Mean-field theory of two-layer neural networks under µP.

Your own table, in two commands:

\b
  meanfield init mine.csv --target price > mine.toml     looks at the table, tries settings
  meanfield run mine.toml --out results                  one report: has it learned, how wide is
                                                         wide, what does it consist of, what errs

A study is one configuration in, and one folder of results out:

\b
  meanfield new chaos > study.toml                complete, commented, runs as it stands
  meanfield chaos study.toml --out results        report.html, figures, summary.json, result.nc
  meanfield chaos study.toml --out results --resume     go on after any stop: the same bits
  meanfield sweep study.toml --over problem.l2=1e-4:1e-1:7:log --out phases      a study on a grid

The file of `init` serves every study: chaos (the rate at which N neurons approach their limit),
atoms (how many features the network really has), errors (where its error comes from). A function
of your own goes where a name goes: activation = "mine:f" is f in mine.py beside the file.
"""

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Config = Annotated[
    Path, typer.Argument(metavar="CONFIG.toml", help="The configuration; see `meanfield new`.")
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue what DIR holds; finished work is not redone.")
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Where to compute: local or dask.",
        autocompletion=lambda: ["local", "dask"],
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Address of the Dask scheduler; without one, --executor dask starts a cluster here.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Processes on this machine, one unit each; by default one per core, once several "
        "units wait that take longer than to start them.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a key of the file: --set problem.l2=0.01."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"meanfield {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _study_command(name: str | None, about: str) -> Callable[..., None]:
    """Make the command that runs one kind of study, or the one that its file names."""

    def command(
        config: Config,
        out: Out,
        resume: Resume = False,
        executor: ExecutorName = "local",
        scheduler: Scheduler = None,
        workers: Workers = None,
        changes: Changes = None,
        quiet: Quiet = False,
    ) -> None:
        from meanfield.workbench.executors import get_executor

        place = get_executor(executor, scheduler=scheduler, workers=workers)
        study, content = _read(name, config, changes or [])
        _run(study, content, out, resume=resume, place=place, quiet=quiet)

    command.__doc__ = about
    return command


for _name, _entry in STUDIES.items():
    _about = (
        f"{_entry.purpose}\n\n"
        "DIR receives config.toml (complete), summary.json (headline numbers with their "
        "intervals), result.nc (everything, for xarray), data.json (rows, columns and scales of "
        "the data), the figures as PNG and PDF, and report.html. A run that was stopped, in "
        "whatever way, goes on with --resume and ends with the same numbers."
        f"\n\nFor a first configuration: meanfield new {_name} > study.toml"
    )
    app.command(_name)(_study_command(_name, _about))

_RUN = """Run what a file describes: of `init`, the whole experiment.

An experiment answers in one report, of the same networks, whether they have learned, how far they
are from infinite width, what they consist of, and where their error comes from.
"""
app.command("run")(_study_command(None, _RUN))


@app.command()
def sweep(
    config: Config,
    out: Out,
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="KEY=VALUES",
            help="An axis of the grid: lo:hi:n, lo:hi:n:log or a list a,b,c; repeat it for more.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="NAME",
            help="What is done at every point; by default what the file describes.",
            autocompletion=lambda: list(STUDIES),
        ),
    ] = None,
    resume: Resume = False,
    executor: ExecutorName = "local",
    scheduler: Scheduler = None,
    workers: Workers = None,
    changes: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Do a study at every point of a grid.

    \b
    meanfield sweep mine.toml --study atoms --out DIR \\
        --over problem.l2=1e-4:1e-1:7:log --over problem.temperature=1e-4,1e-3

    CONFIG.toml is that of a study, of an experiment (`meanfield init`), or of a sweep. All points
    are checked before any work; then the units of all of them are one heap of work, in which those
    that several points share occur once. DIR receives sweep.nc (every headline number over the
    grid, with its interval), summary.json, figures, config.toml and report.html. A point that fails
    is named, and the others go on. A stopped sweep goes on with --resume; with more values, axes
    or replicas, --resume does only what is new.
    """
    from meanfield.workbench.executors import get_executor

    place = get_executor(executor, scheduler=scheduler, workers=workers)
    kind, content = _swept(config, changes or [], over or [], study)
    _run(kind, content, out, resume=resume, place=place, quiet=quiet)


@app.command()
def init(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="A csv file, or an npz archive of X and y.")
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="COLUMN",
            help="The column to predict, by name or position; the last one by default.",
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option("--task", metavar="TASK", help="auto, regression or classification."),
    ] = "auto",
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed of all that is drawn.")
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Look at a table and print the file of an experiment on it.

    Save it with:  meanfield init mine.csv --target price > mine.toml

    The columns decide the loss and what is standardized, left out or filled in; short runs the step
    size, penalty and temperature; and a model of the cost the sizes. The comments say why.
    """
    from meanfield.studies.experiment.proposal import propose
    from meanfield.system.progress import progress_bar

    try:
        with as_notes(quiet), progress_bar("short runs", quiet=quiet) as bar:
            found = propose(table, target, task=task, seed=seed, progress=bar)  # type: ignore[arg-type]
    except (ValueError, TypeError, FileNotFoundError, ImportError) as error:
        argument = getattr(error, "argument", None)
        option = f"--{argument}: " if argument in ("target", "task", "seed") else ""
        raise ConfigError(f"{option}{error}") from None
    typer.echo(found.toml(), nl=False)


@app.command()
def new(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY", help=", ".join(STUDIES), autocompletion=lambda: list(STUDIES)
        ),
    ],
    changes: Changes = None,
) -> None:
    """Print a complete, commented configuration.

    It runs as it stands. Save it with:  meanfield new chaos > study.toml
    """
    from meanfield.workbench.config import change, parse
    from meanfield.workbench.toml import to_toml

    kind = get_study(study)
    typer.echo(f"# Study: {study}. Run it with:  meanfield {study} THIS_FILE --out FOLDER\n")
    typer.echo(to_toml(parse(kind.config, change(dict(kind.example), changes or []))), nl=False)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished study.")],
) -> None:
    """Draw the figures and report.html again from saved results."""
    from meanfield.workbench.outputs import refresh_report

    with _finished(folder):
        page = refresh_report(folder, get_study)
    typer.echo(f"Wrote {page}")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished study.")],
) -> None:
    """Check the files of a finished study against their SHA-256."""
    from meanfield.system import manifest

    with _finished(folder):
        names = manifest.verify(folder)
    typer.echo(f"All {len(names)} files of {folder} are whole.")


app.add_typer(cache, name="cache")


@contextmanager
def _finished(folder: Path) -> Iterator[None]:
    """Say in words that a folder holds no finished study."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            f"{folder} holds no finished study; give the --out folder of one, or finish it: "
            "`meanfield STUDY CONFIG.toml --out DIR --resume`."
        ) from None


def _read(name: str | None, path: Path, changes: list[str]) -> tuple[Study, StudyConfig]:
    """Return the study of that name, or the one that its file names, and what the file says."""
    from meanfield.workbench.config import change, load_config, read_toml

    name = name or change(read_toml(path), changes).get("study", "experiment")
    if name == "sweep":
        return _swept(path, changes, [], None)
    study = _naming(get_study(name), path)
    shared = {"experiment": get_study("experiment").config.model_fields} if name in PARTS else {}
    return study, load_config(study.config, name, path, changes=changes, shared=shared)


def _swept(
    path: Path, changes: list[str], over: list[str], of: str | None
) -> tuple[Study, StudyConfig]:
    """Return a sweep, and what its file and its axes say."""
    from meanfield.studies.sweep.axes import axes_of
    from meanfield.studies.sweep.config import read_sweep
    from meanfield.studies.sweep.study import sweep_of
    from meanfield.workbench.config import change, read_toml

    content = change(read_toml(path), changes)
    config = read_sweep(content, axes_of(over), of, path=path, folder=path.parent)
    return _naming(sweep_of(config.of), path), config


def _run(
    study: Study,
    config: StudyConfig,
    out: Path,
    *,
    resume: bool,
    place: AbstractContextManager[Executor],
    quiet: bool,
) -> None:
    from meanfield.statistics.estimate import Estimate
    from meanfield.system.progress import progress_bar
    from meanfield.workbench.report.formatting import format_estimate
    from meanfield.workbench.runner import run_study

    again = shlex.join(["meanfield", *sys.argv[1:], *([] if resume else ["--resume"])])
    stopped = f"Stopped; nothing finished is lost. Go on with:  {again}"
    try:
        with (
            _interruptible(stopped),
            as_notes(quiet),
            place as executor,
            progress_bar(study.name, quiet=quiet) as bar,
        ):
            summary = run_study(
                study,
                config,
                out,
                resume=resume,
                executor=executor,
                progress=bar,
                note=None if quiet else note,
            )
    except KeyboardInterrupt:
        typer.echo(stopped, err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        numbers = [Estimate.from_summary(saved) for saved in summary["numbers"].values()]
        for number in numbers[: 2 if study.name == "sweep" else None]:
            typer.echo(f"{number.label}: {format_estimate(number)}")
        for headline in numbers[:2]:  # a single width, for one, has no exponent
            for caution in headline.notes:
                typer.echo(f"Note: {caution.text}")
        typer.echo(f"Report: {out / 'report.html'}")


@contextmanager
def _interruptible(stopped: str) -> Iterator[None]:
    """Let a first Ctrl-C break off the work, and a second one what is being put away."""

    def second(number: int, frame: object) -> None:
        with suppress(OSError):
            os.write(2, f"\n{stopped}\n".encode())
        os._exit(INTERRUPTED)

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, second)  # for good: what ends a process can be slow too
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # a job in the background ignores it
        yield
        return
    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is first:
            signal.signal(signal.SIGINT, before)


def _naming(study: Study, path: Path) -> Study:
    """Return the study with the file named in what it finds wrong with the configuration."""

    def prepare(config: Any) -> Plan:
        try:
            return study.prepare(config)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    return replace(study, prepare=prepare)


def main() -> None:
    """Run the command line; an expected error is one sentence and exit status 2."""
    open_streams()
    try:
        app()
    except (ConfigError, CheckpointError, DivergenceError, WorkerError) as error:
        message = str(error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except MemoryError as error:
        own = type(error) is MemoryError and str(error)  # NumPy's is of a class of its own
        message = own or "The run does not fit into memory; make it smaller."
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        message = (
            f"Cannot use{where}: {error.strerror or error}; check the path, the permissions and "
            "the space left, then run again with --resume."
        )
    typer.echo(f"Error: {message}", err=True)
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
