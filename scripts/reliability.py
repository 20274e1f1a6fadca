"""python -m scripts.reliability --out DIR [--only TRIAL ...] [--kills 100] [--flips 200] ...

What a study survives: SIGKILL at random moments, flipped bits at random places, a disk that fills
up, a second run into the same folder, and what `scripts.places` adds. Every trial is a run of the
command line in a process of its own; what it leaves is resumed and compared with an undisturbed
run, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from meanfield import __main__ as cli
from meanfield.errors import CheckpointError
from meanfield.flow import checkpoint
from meanfield.flow.compiled import particle_step  # noqa: F401 (compiled before the first fork)
from meanfield.studies.chaos import study as chaos  # noqa: F401
from meanfield.system import manifest, storage
from meanfield.workbench import runner  # noqa: F401
from scripts import places

STUDY = """
study = "chaos"
[data]
source = "teacher"
n_features = 3
n_atoms = 2
n_train = 40
[problem]
temperature = 0.05
[run]
n_steps = 60
[chaos]
particle_counts = [16, 32, 64]
n_replicas = 24
[chaos.reference]
n_particles = 3200
"""
TRIALS = ("kill", "flip", "limit", "disk", "rival", "craft", "threads", "clusters", "sizes")
PLACES = {
    "threads": places.threads_and_workers,
    "clusters": places.clusters,
    "sizes": places.sizes,
}
# What must come out the same to the last byte. The others hold the time that a run took.
RESULTS = ("result.nc", "summary.json", "config.toml", "rates.png")


def start(folder: Path, prepare: Callable[[], None] | None = None, log: Path | None = None) -> int:
    """Run or resume the study in `folder` in a process of its own; return its number."""
    log = log or folder.parent / f"{folder.name}.log"
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        # Write progress at every opportunity, not only every half minute.
        checkpoint.Checkpoint.__init__.__defaults__ = (0.0,)
        if prepare is not None:
            prepare()
        config = folder.parent / "study.toml"
        sys.argv = ["meanfield", "chaos", str(config), "--out", str(folder), "--resume", "-q"]
        cli.main()
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    finally:
        os._exit(status)


def finish(process: int) -> int:
    """Wait for a process; return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def complete(folder: Path) -> None:
    """Resume the study in `folder` to its end."""
    status = finish(start(folder))
    if status:
        raise RuntimeError((folder.parent / f"{folder.name}.log").read_text())


def content(folder: Path) -> dict[str, str]:
    """Return the digests of the results."""
    return {name: storage.file_digest(folder / name) for name in RESULTS}


def kill_and_resume(
    root: Path, reference: Path, kills: int, seed: int, save: Callable[[dict], None]
) -> None:
    """Kill runs at random moments, each study about six times, and resume them to the end.

    What was found is saved after every study.
    """
    rng = np.random.default_rng(seed)
    n_units = len(_units(reference))
    computing, writing = _durations(root / "timed", n_units)
    phases: Counter[str] = Counter()
    finished = same = 0
    while sum(phases.values()) < kills:
        folder = root / f"killed-{finished}"
        for _ in range(6):
            # Drawing the figures takes longest: let three kills in four come before it.
            last = computing + (rng.random() < 0.25) * writing
            process = start(folder)
            time.sleep(rng.uniform(0, last))
            os.kill(process, signal.SIGKILL)
            if finish(process) == -signal.SIGKILL:
                phases[_phase(folder, n_units)] += 1
        complete(folder)
        finished += 1
        same += content(folder) == content(reference)
        manifest.verify(folder)
        shutil.rmtree(folder)
        save({"kills": dict(sorted(phases.items())), "finished": finished, "same bits": same})


def _units(folder: Path) -> list[Path]:
    return list(folder.glob("work/*.npz"))


def _durations(folder: Path, n_units: int) -> tuple[float, float]:
    """Return the seconds until all units are done, and those until the end from there."""
    begin = time.monotonic()
    process = start(folder)
    while len(_units(folder)) < n_units:
        time.sleep(0.001)
    middle = time.monotonic()
    finish(process)
    return middle - begin, time.monotonic() - middle


def _phase(folder: Path, n_units: int) -> str:
    """Say how far a killed run had come."""
    units = len(_units(folder))
    if units == n_units:
        return "while results were written"
    under_way = any(folder.glob("work/*.running"))
    return f"with {units} of {n_units} units done" + (", one under way" if under_way else "")


def flip_bits(root: Path, reference: Path, flips: int, seed: int) -> dict:
    """Flip a random bit of a random file; see who notices."""
    rng = np.random.default_rng(seed)
    folder = root / "flipped"
    complete(folder)
    interrupted = root / "interrupted"
    _interrupt(interrupted)
    results = [*sorted(manifest.read_manifest(folder)[0]), manifest.MANIFEST]
    kept = [f"work/{path.name}" for path in sorted(folder.glob("work/*.npz"))]
    kept.append("work/stamp.json")
    # As many places in the states of the flow as in everything else of the work.
    places = [(folder, name) for name in results + kept]
    states = [(interrupted, f"work/{p.name}") for p in sorted(interrupted.glob("work/*.running"))]
    places += states * max(1, len(kept) // len(states))
    tried: Counter[str] = Counter()
    noticed: Counter[str] = Counter()
    for _ in range(flips):
        home, name = places[rng.integers(len(places))]
        path = home / name
        whole = path.read_bytes()
        altered = bytearray(whole)
        altered[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(altered)
        kind = _kind(name)
        tried[kind] += 1
        noticed[kind] += _notices(home, name)
        path.write_bytes(whole)
    complete(folder)
    complete(interrupted)
    return {
        "flips": dict(tried),
        "noticed": dict(noticed),
        "same bits afterwards": content(folder) == content(interrupted) == content(reference),
    }


def _interrupt(folder: Path) -> None:
    """Leave a study in the middle of a unit, with the state of its flow on the disk."""
    process = start(folder)
    while not any(folder.glob("work/*.running")):
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    finish(process)
    storage.remove_partial(folder / "work")


def _kind(name: str) -> str:
    if name.endswith(".running"):
        return "state of a unit under way"
    if name.endswith(".npz"):
        return "finished unit"
    return "stamp of the folder" if name.endswith("stamp.json") else "results and manifest"


def _notices(folder: Path, name: str) -> bool:
    """Whether whoever next uses the file refuses it in words."""
    if not name.startswith("work/"):
        try:
            manifest.verify(folder)
        except CheckpointError:
            return True
        return False
    status = finish(start(folder))
    words = (folder.parent / f"{folder.name}.log").read_text()
    return status == 2 and words.startswith("Error: ") and len(words.splitlines()) == 1


def limit_files(root: Path, reference: Path, limits: int) -> dict:
    """Let no file grow beyond a limit, then continue without one."""
    folder = root / "limited"
    largest = max(path.stat().st_size for path in reference.rglob("*") if path.is_file())
    sizes = np.unique(np.geomspace(300, largest - 1, limits).astype(int))
    trials = []
    for size in sizes.tolist():
        cap = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))
        trials.append(_no_room(folder, cap))
    return _survived(trials, folder, reference)


def fill_disk(root: Path, reference: Path, limits: int) -> dict | None:
    """Run on a tmpfs that is too small, a little larger each time; None where none can be had."""
    disk = root / "disk"
    disk.mkdir()
    if not _mount("-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)):
        return None
    try:
        shutil.copy(root / "study.toml", disk)
        room = sum(path.stat().st_size for path in reference.rglob("*") if path.is_file())
        trials = []
        for size in np.unique(np.geomspace(16, 0.9 * room / 1024, limits).astype(int)).tolist():
            _mount("-o", f"remount,size={size}k", str(disk))
            # The log goes beside the disk.
            trials.append(_no_room(disk / "full", log=root / "full.log"))
        _mount("-o", "remount,size=64m", str(disk))
        return _survived(trials, disk / "full", reference)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _no_room(
    folder: Path, prepare: Callable[[], None] | None = None, log: Path | None = None
) -> tuple:
    """Run where there is no room; whether that was said in a sentence, and all else was kept."""
    log = log or folder.parent / f"{folder.name}.log"
    before = _digests(folder)
    status = finish(start(folder, prepare, log))
    words = log.read_text()
    said = status == 2 and words.startswith("Error: Cannot ") and words.count("\n") == 1
    after = _digests(folder)
    kept = all(after.get(name) == digest for name, digest in before.items())
    return said, kept and not any(".partial" in name for name in after)


def _survived(trials: list[tuple], folder: Path, reference: Path) -> dict:
    complete(folder)
    return {
        "trials": len(trials),
        "said in one sentence": sum(said for said, _ in trials),
        "previous state kept": sum(kept for _, kept in trials),
        "same bits afterwards": content(folder) == content(reference),
    }


def _digests(folder: Path) -> dict[str, str]:
    """Return the digest of every finished file; a unit's own progress may move on."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".running"
    }


def rival_runs(root: Path, reference: Path, rivals: int) -> dict:
    """Start runs into a folder in use; then free it by a kill and go on."""
    folder = root / "shared"
    process = start(folder)
    while not (folder / "work" / "stamp.json").exists():
        time.sleep(0.001)
    os.kill(process, signal.SIGSTOP)
    refused = 0
    for _ in range(rivals):
        status = finish(start(folder))
        refused += status == 2 and "in use by another run" in (root / "shared.log").read_text()
    os.kill(process, signal.SIGKILL)
    finish(process)
    complete(folder)
    return {
        "rival runs": rivals,
        "refused": refused,
        "same bits afterwards": content(folder) == content(reference),
    }


def craft_files(root: Path, reference: Path) -> dict:
    """Put anything, and links out of the folder, into files, under digests that are right."""
    folder = root / "crafted"
    told = times = 0
    for name in ("summary.json", "data.json", "result.nc", manifest.MANIFEST):
        for content in (b"", b"[]", b"{}", b"[" * 10**5, b'{"numbers": 1}', None):
            shutil.copytree(reference, folder)
            path = folder / name
            path.unlink()
            if content is None:
                path.symlink_to(reference / name)
            else:
                path.write_bytes(content)
            if name != manifest.MANIFEST:
                files, about = manifest.read_manifest(folder)
                manifest.write_manifest(folder, files, about)
            command = [sys.executable, "-m", "meanfield", "report", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True)
            sentence = done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
            told += done.returncode == 2 and sentence and str(path) in done.stderr
            times += 1
            shutil.rmtree(folder)
    return {"crafted": times, "named in one sentence": told}


def table(results: dict) -> str:
    """Return what was found as Markdown."""
    rows: list[tuple] = [("trial", "times", "outcome")]
    if "kill" in results:
        kills = results["kill"]
        rows += [(f"SIGKILL {phase}", n, "resumed") for phase, n in kills["kills"].items()]
        same = f"{kills['same bits']} with the bits of an undisturbed run"
        total = f"… {sum(kills['kills'].values())} kills; studies that then finished"
        rows.append((total, kills["finished"], same))
    if "flip" in results:
        flips = results["flip"]
        for kind, count in flips["flips"].items():
            rows.append((f"bit flipped: {kind}", count, f"{flips['noticed'].get(kind, 0)} noticed"))
    for name, label in (("limit", "file-size limit"), ("disk", "full disk (tmpfs)")):
        if name in results:
            said, kept = (results[name][k] for k in ("said in one sentence", "previous state kept"))
            outcome = f"{said} refused in one sentence, {kept} with every earlier file unchanged"
            rows.append((label, results[name]["trials"], outcome))
    if "rival" in results:
        rivals = results["rival"]
        refused = f"{rivals['refused']} refused"
        rows.append(("second run into a folder in use", rivals["rival runs"], refused))
    if "craft" in results:
        craft = results["craft"]
        named = f"{craft['named in one sentence']} named in one sentence"
        rows.append(("file of another form, or a link, its digest right", craft["crafted"], named))
    for name, label, key, outcome in (
        ("threads", "1 or 2 workers, all threads of BLAS or one", "same bits", "the same bits"),
        ("clusters", "Dask without scheduler, worker or the same software", "told", "told"),
        ("sizes", "10^10 of something", "named in one sentence", "named in one sentence"),
    ):
        if name in results:
            rows.append((label, results[name]["trials"], f"{results[name][key]} {outcome}"))
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    lines.insert(1, "| --- | --- | --- |")
    later = [r["same bits afterwards"] for r in results.values() if "same bits afterwards" in r]
    lines += ["", f"Resumed after all this, the same bits: {'yes' if all(later) else 'NO'}."]
    return "\n".join(lines) + "\n"


def write(out: Path, name: str, found: dict | None) -> None:
    """Save the outcome of one trial, and the table of all that are there."""
    if found is None:
        return
    (out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    paths = (out / f"{trial}.json" for trial in TRIALS)
    results = {path.stem: json.loads(path.read_text()) for path in paths if path.exists()}
    head = "What a study survives.\n\n`python -m scripts.reliability --out results/reliability`\n\n"
    (out / "README.md").write_text(head + table(results))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.reliability")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=TRIALS)
    for name, default in (("kills", 100), ("flips", 200), ("limits", 20), ("rivals", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "study.toml").write_text(STUDY)
        complete(root / "warm")  # compiles
        reference = root / "reference"
        complete(reference)
        save = partial(write, options.out)
        if "rival" in options.only:
            save("rival", rival_runs(root, reference, options.rivals))
        if "disk" in options.only:
            save("disk", fill_disk(root, reference, options.limits))
        if "limit" in options.only:
            save("limit", limit_files(root, reference, options.limits))
        if "craft" in options.only:
            save("craft", craft_files(root, reference))
        for name, trial in PLACES.items():
            if name in options.only:
                save(name, trial(root))
        if "flip" in options.only:
            save("flip", flip_bits(root, reference, options.flips, options.seed))
        if "kill" in options.only:
            kill_and_resume(root, reference, options.kills, options.seed, partial(save, "kill"))
    print((options.out / "README.md").read_text())


if __name__ == "__main__":
    main()
