"""What a study survives where it runs: other numbers of workers and threads, clusters that fail,
and sizes that nothing can do. Trials of `scripts.reliability`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

WIDTHS = """
study = "widths"
[data]
source = "digits"
classes = [0, 1]
standardize = "none"
n_samples = 14
[network]
activations = ["tanh"]
parametrizations = ["mup"]
widths = [256]
n_seeds = 2
n_steps = 2
[limit]
n_samples = 256
n_replicas = 2
max_rank = 128
"""
SIZES = {
    "simulate": ("simulate.n_particles", "simulate.n_replicas"),
    "chaos": ("chaos.cloud_size", "chaos.reference.n_particles", "chaos.n_replicas"),
    "errors": ("errors.n_particles", "errors.path_particles", "errors.n_population"),
    "atoms": ("atoms.n_particles", "atoms.looks"),
    "widths": ("network.n_seeds", "network.n_steps"),
    "limit": ("network.n_steps", "convergence.n_steps"),
    "cell": ("cell.n_particles",),
    "recovery": ("recovery.n_teachers", "recovery.n_data"),
    "identify": ("identify.n_starts",),
    "bench": ("bench.n_data",),
}
# Runs the command line with less patience for workers that do not come.
IMPATIENT = """
import sys
from meanfield import __main__ as cli
from meanfield.workbench.executors import dask
dask._SECONDS_TO_SAY, dask._SECONDS_TO_LAST = 1, 6
sys.argv[0] = "meanfield"
cli.main()
"""
# Makes a worker tell of another NumPy than it has.
FOREIGN = """
from meanfield.system import provenance
own = provenance.software()
provenance.software = lambda: own | {"numpy": "0.0.0"}
"""


def threads_and_workers(root: Path) -> dict:
    """Run one study with other workers and threads of BLAS; compare the results."""
    config = root / "widths.toml"
    config.write_text(WIDTHS)
    found = []
    for workers, threads in ((1, None), (2, None), (1, "1"), (2, "1")):
        out = root / f"widths-{workers}-{threads}"
        limited = {} if threads is None else {"OPENBLAS_NUM_THREADS": threads}
        command = _command("widths", config, out, "--workers", str(workers))
        subprocess.run(command, check=True, capture_output=True, env=os.environ | limited)
        found.append((out / "result.nc").read_bytes())
    return {"trials": len(found) - 1, "same bits": sum(one == found[0] for one in found[1:])}


def sizes(root: Path) -> dict:
    """Ask every study for 10^10 of something; see who says in one sentence that it cannot be."""
    named, seconds, tried = 0, [], 0
    for study, keys in SIZES.items():
        config = root / f"{study}-size.toml"
        new = [sys.executable, "-m", "meanfield", "new", study]
        config.write_text(subprocess.run(new, check=True, capture_output=True, text=True).stdout)
        for key in keys:
            begin = time.monotonic()
            command = _command(study, config, root / "size", "--set", f"{key}={10**10}")
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            seconds.append(time.monotonic() - begin)
            tried += 1
            named += _sentence(done.returncode, done.stderr) and f"key '{key}'" in done.stderr
    return {"trials": tried, "named in one sentence": named, "seconds": round(max(seconds), 1)}


def clusters(root: Path) -> dict:
    """Run on Dask without a scheduler, without workers, with a foreign one, and lose a scheduler.

    Every run must end by itself, with the sentence for its case.
    """
    config = root / "study.toml"
    preload = root / "foreign.py"
    preload.write_text(FOREIGN)
    outcome = {}
    command = _command("chaos", config, root / "none", *_at("tcp://127.0.0.1:9"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    outcome["no scheduler"] = "No Dask scheduler answers" in done.stderr
    cases = {
        "no worker": (None, "No worker of the Dask scheduler"),
        "foreign worker": (["--preload", str(preload)], "install the same versions"),
        "scheduler that dies": ([], "The connection to the scheduler was lost"),
    }
    for case, (worker, words) in cases.items():
        place = root / case.replace(" ", "-")
        place.mkdir()
        file, processes = place / "scheduler.json", []
        try:
            processes.append(_dask("scheduler", file, "--port", "0"))
            while not file.exists():
                time.sleep(0.05)
            if worker is not None:
                processes.append(_dask("worker", file, "--no-nanny", "--nthreads", "1", *worker))
            out, address = place / "out", json.loads(file.read_text())["address"]
            options = _command("chaos", config, out, *_at(address))[3:]
            driver = subprocess.Popen(
                [sys.executable, "-c", IMPATIENT, *options], stderr=subprocess.PIPE, text=True
            )
            if case == "scheduler that dies":
                while driver.poll() is None and not any(out.glob("work/*.npz")):
                    time.sleep(0.01)
                processes[0].kill()
            outcome[case] = words in driver.communicate(timeout=120)[1]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    return {"trials": len(outcome), "told": sum(outcome.values()), "cases": outcome}


def _command(study: str, config: Path, out: Path, *options: str) -> list[str]:
    program = [sys.executable, "-m", "meanfield"]
    return [*program, study, str(config), "--out", str(out), "-q", *options]


def _at(address: str) -> tuple[str, ...]:
    return "--executor", "dask", "--scheduler", address


def _dask(kind: str, file: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1"]
    command += ["--scheduler-file", str(file), "--no-dashboard", *options]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _sentence(status: int, said: str) -> bool:
    return status == 2 and said.startswith("Error: ") and said.count("\n") == 1
