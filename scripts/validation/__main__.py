"""python -m scripts.validation [NAME ...]: run experiments and write their results."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from meanfield.plots.style import SIZE, render_figure
from meanfield.statistics.estimate import Estimate
from meanfield.system.provenance import Provenance
from meanfield.system.threads import cores, limit_threads
from meanfield.system.version import source_commit
from meanfield.workbench.executors.pool import threads_each
from scripts.validation import NAMES
from scripts.validation.output import ROOT, write_result


def validate(name: str, quick: bool, out: Path | None) -> tuple[str, bool]:
    """Run one experiment; return what it found, as text, and whether every claim holds.

    Results are written where `out` names a folder and, but for the quick version, the claims hold.
    """
    script = importlib.import_module(f"scripts.validation.{name}")
    commit, start = source_commit(), time.perf_counter()  # the checkout may change meanwhile
    numbers, dataset = script.run(quick)
    provenance = replace(Provenance.here(time.perf_counter() - start), commit=commit)
    lines = [f"{name}: {script.TITLE} ({provenance.seconds:.0f} s)"]
    lines += [f"  {key:<28} {described(number)}" for key, number in numbers.items()]
    try:
        if not quick:
            script.check(numbers)
    except AssertionError as failed:
        return "\n".join([*lines, f"  FAILED: {failed}"]), False
    size = getattr(script, "SIZE", SIZE)
    picture, _ = render_figure(lambda figure: script.draw(figure, dataset), size)
    if out is not None:
        write_result(out / name, script.TITLE, numbers, dataset, picture, provenance)
    return "\n".join(lines), True


def described(number: Estimate) -> str:
    """Return a number with its interval and what is expected of it."""
    text = f"{number.value:.4g}"
    if number.interval is not None:
        text += f"  [{number.low:.4g}, {number.high:.4g}]"
    if number.expected is not None:
        text += f"  expected {number.expected:.4g}"
    return text.replace("-", "−")


def main(arguments: list[str] | None = None) -> int:
    """Run the named experiments, as many at a time as there are workers; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/validate", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=", ".join(NAMES) + "; default: all"
    )
    parser.add_argument("--quick", action="store_true", help="a tiny version; claims not checked")
    parser.add_argument("--out", type=Path, help="folder of results (results; none with --quick)")
    parser.add_argument("--workers", type=int, help="experiments at a time; default: one a core")
    given = parser.parse_args(arguments)
    names = given.names or list(NAMES)
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"there is no {unknown[0]!r}; choose from {', '.join(NAMES)}")
    out = given.out or (None if given.quick else ROOT / "results")
    workers = min(len(names), given.workers or cores())
    passed = True
    for text, holds in _results(names, given.quick, out, workers):
        print(text, flush=True)
        passed &= holds
    return 0 if passed else 1


def _results(
    names: list[str], quick: bool, out: Path | None, workers: int
) -> Iterator[tuple[str, bool]]:
    """Yield what `validate` returns for every name, in their order."""
    if workers <= 1:
        yield from (validate(name, quick, out) for name in names)
        return
    from loky import ProcessPoolExecutor

    share = (threads_each(workers),)
    with ProcessPoolExecutor(workers, initializer=limit_threads, initargs=share) as pool:
        count = len(names)
        yield from pool.map(validate, names, [quick] * count, [out] * count)


if __name__ == "__main__":
    sys.exit(main())
