"""`meanfield cache`, and what the library says as notes of the command line."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer


def note(text: str) -> None:
    """Say something beside the results, on the standard error."""
    typer.echo(f"Note: {text}", err=True)


@contextmanager
def as_notes(quiet: bool) -> Iterator[None]:
    """Show what the library warns of, or says to who waits, as the other notes are shown."""
    from meanfield.system.progress import heard

    with warnings.catch_warnings(), heard(lambda text: None if quiet else note(text)):
        otherwise = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if category is not UserWarning:
                otherwise(message, category, *place, **more)
            elif not quiet:
                note(str(message))

        warnings.showwarning = show
        yield


_CACHE = """What is compiled, and where it is kept.

numba compiles the particle step at its first use, which takes some seconds, and keeps the code
beside the package or, where it cannot write there, in a folder of the user's; NUMBA_CACHE_DIR names
another one.
"""
cache = typer.Typer(help=_CACHE, no_args_is_help=True, rich_markup_mode=None)


@cache.command()
def warm(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Compile now what studies use, so that no job has to.

    All built-in activations and losses, in float64 and float32, within a minute; what is there
    already is only looked at. On a cluster, set NUMBA_CACHE_DIR to a folder that every machine
    sees, run this once on one of the machines that will compute (code is kept by kind of
    processor), and set NUMBA_CACHE_DIR for the jobs too.
    """
    from meanfield.system.progress import progress_bar
    from meanfield.workbench import warm as compiled

    with as_notes(quiet), progress_bar("compiling", quiet=quiet) as bar:
        sizes = compiled.warm(bar)
    if not quiet:
        for folder, size in sizes.items():
            typer.echo(f"{size / 1e6:.1f} MB in {folder}")
