"""python -m scripts.check_results: make committed results again and compare their numbers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meanfield.system import manifest
from scripts.validation import NAMES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"

_CHEAP_SECONDS = 150.0  # as their manifests say, some of them from a busy machine
_COMPARED = ("value", "interval", "level", "expected")


def configuration(name: str) -> Path:
    """Return the file from which ``scripts/study NAME`` makes a result."""
    return ROOT / "scripts" / "studies" / f"{name}.toml"


def seconds_taken() -> dict[str, float]:
    """Return what each study and each validation took, as their manifests say, least first."""
    taken = {
        path.parent.name: manifest.read_manifest(path.parent)[1]["seconds"]
        for path in RESULTS.glob("*/manifest.json")
        if path.parent.name in NAMES or configuration(path.parent.name).exists()
    }
    return dict(sorted(taken.items(), key=lambda item: item[1]))


def make_again(name: str, folder: Path) -> Mapping[str, Any]:
    """Return the numbers of a result that is made anew in a folder.

    Raises
    ------
    RuntimeError
        The command fails; the last line that it says is told.
    """
    if name in NAMES:
        command = ["scripts.validation", name, "--out", str(folder), "--workers", "1"]
    else:
        config = configuration(name)
        study = tomllib.loads(config.read_text())["study"]
        command = ["meanfield", study, str(config), "--out", str(folder / name)]
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RuntimeError(said[-1] if said else f"exit status {done.returncode}")
    return read_numbers(folder / name)


def read_numbers(folder: Path) -> dict[str, Any]:
    """Return the headline numbers of a result."""
    return json.loads((folder / "summary.json").read_bytes())["numbers"]


def drifts(committed: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """Return what differs in any bit between two sets of headline numbers; words do not count."""
    found = [f"{key} is no longer made" for key in committed if key not in made]
    found += [f"{key} is new" for key in made if key not in committed]
    for key in committed:
        for field in _COMPARED if key in made else ():
            before, now = committed[key][field], made[key][field]
            if before != now:
                found.append(f"{key}, {field}: {before} → {now}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Check the named results; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/check_results", description=__doc__)
    taken = seconds_taken()
    parser.add_argument("names", nargs="*", metavar="NAME", help="a folder of results/")
    parser.add_argument("--all", action="store_true", help="also what took longer")
    parser.add_argument("--list", action="store_true", help="only list them with their seconds")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - taken.keys()):
        parser.error(f"there is no result {unknown[0]!r}; choose from {', '.join(sorted(taken))}")
    cheap = [name for name in taken if taken[name] <= _CHEAP_SECONDS]
    names = given.names or (list(taken) if given.all else cheap)
    failed = 0
    for name in names:
        if given.list:
            print(f"{name:<20} {taken[name]:>6.0f} s")
            continue
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = drifts(read_numbers(RESULTS / name), make_again(name, Path(folder)))
            except RuntimeError as error:
                found = [str(error)]
        said = "has drifted" if found else "the same numbers"
        print(f"{name:<20} {time.perf_counter() - start:>6.0f} s  {said}", flush=True)
        for line in found:
            print(f"  {line}", flush=True)
        failed += bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
