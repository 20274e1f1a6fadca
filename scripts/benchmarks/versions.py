"""Time jobs and steps of an earlier checkout against this one, in turns.

    git worktree add ../before 90ce217
    python -m scripts.benchmarks.versions --before ../before --out results/benchmarks/versions.json

Both run with this Python, so it must have what either of them imports. Each job is a process of its
own and does the same work in both, with the words that both understand. Compiled code is kept, but
for the job that is about compiling; without a folder of compiled code the first run of each is not
counted. Per job: the median seconds of the clock and of the processor, which say together how much
of the cores was used, or a step's nanoseconds for each pair of particle and datum; and the ratio of
today's time to the earlier one, pair by pair: its median, and the order statistics that hold it
with 95 % confidence, of a few pairs the least and the largest.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.stats import binom

from meanfield.studies.bench.study import processor_name

_HERE = Path(__file__).parents[2]

_FIRST = """
import numpy as np, meanfield as mf
X = np.random.default_rng(0).normal(size=(100, 3))
mf.simulate(mf.Problem(X, np.tanh(X[:, 0]), activation="tanh"), 256, 0.1, 50)
"""

_BUDGET = """
import numpy as np, meanfield as mf
from sklearn.datasets import make_friedman1
X, y = make_friedman1(400, 5, noise=1.0, random_state=0)
X, y = (X - 0.5) * np.sqrt(12), (y - y.mean()) / y.std()
held_out = dict(X_test=X[320:], y_test=y[320:])
mf.decompose_error(
    mf.Problem(X[:320], y[:320], **held_out, l2=0.005, temperature=0.0005), n_particles=64)
"""

#: Two others keep the cores busy meanwhile, and BLAS has as many threads as it takes by itself.
_BESIDE_OTHERS = """
import subprocess, sys, time, numpy as np, meanfield as mf
rng = np.random.default_rng(0)
X, others = rng.standard_normal((1000, 20)), []
teacher = mf.problem.Teacher.random(20, 3, seed=0)
problem = mf.Problem(X, teacher(X), l2=0.001, temperature=0.0002)
cooling = mf.schedule.Geometric(2e-4, 1e-6)
particles = mf.simulate(problem, 400, 1.0, 2000, temperature=cooling, dtype="float32").particles
try:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    begin, used = time.perf_counter(), time.process_time()
    mf.extract_dictionary(particles, problem)
    print(time.perf_counter() - begin, time.process_time() - used)
finally:
    for other in others:
        other.kill()
"""

#: Seconds of one step of a large job: the difference of runs of three steps and of one.
_FULL_STEP = """
import time, numpy as np, meanfield as mf
rng = np.random.default_rng(0)
X = rng.standard_normal((60000, 784), dtype=np.float32) / 28
problem = mf.Problem(X, np.tanh(X[:, 0]), l2=0.001, temperature=0.001)
times = []
for n_steps in (1, 3):
    begin, used = time.perf_counter(), time.process_time()
    mf.simulate(problem, 2000, 0.1, n_steps, dtype="{dtype}")
    times.append((time.perf_counter() - begin, time.process_time() - used))
print(*((b - a) / 2 for a, b in zip(*times)))
"""

_TABLE = """
study = "atoms"
[data]
source = "npz"
path = "{folder}/table.npz"
[problem]
l2 = 0.001
temperature = 0.001
[run]
step_size = 0.5
n_steps = 500
dtype = "float64"
[atoms]
n_particles = 256
n_replicas = 5
cool_steps = 2000
cool_to = 1e-5
looks = 4
"""

#: Of as many replicas intervals are half as wide as they were: several small systems in each.
_FEWER = 24

#: Nanoseconds of one core for a pair of particle and datum: the difference of long and short runs.
_STEP = """
import os, time
os.environ["NUMBA_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np, meanfield as mf
rng = np.random.default_rng(0)
X = rng.standard_normal(({n}, {d})) / {d} ** 0.5
problem = mf.Problem(X, np.tanh(X[:, 0]), activation="tanh", l2=0.001, temperature=0.001)
def run(n_steps):
    begin = time.process_time()
    mf.simulate(problem, {N}, 0.1, n_steps, dtype="{dtype}")
    return time.process_time() - begin
run(2)
took = np.median([run({steps}) - run(2) for _ in range(7)])
print(took / ({steps} - 2) / ({N} * {n}) * 1e9)
"""

#: Particles, data, inputs, steps and precision.
_STEPS = {
    f"d = {d}, {dtype}": {"N": N, "n": n, "d": d, "steps": steps, "dtype": dtype}
    for d, N, n, steps in (
        (2, 2048, 512, 80),
        (10, 2048, 512, 60),
        (32, 2048, 512, 40),
        (256, 1024, 512, 20),
        (784, 512, 256, 20),
        (3072, 512, 256, 8),
    )
    for dtype in ("float64", "float32")
}


def _made_table(folder: Path) -> None:
    """Write 600 rows of seven numbers, of which one decides with another."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 7))
    y = np.tanh(X[:, 0] + X[:, 1]) - np.tanh(X[:, 2]) + 0.3 * rng.standard_normal(600)
    held_out = np.arange(600) % 5 == 0
    parts = {"X": X[~held_out], "y": y[~held_out], "X_test": X[held_out], "y_test": y[held_out]}
    np.savez(folder / "table.npz", **parts)
    (folder / "table.toml").write_text(_TABLE.format(folder=folder))


def _jobs(before: Path, folder: Path) -> dict[str, Sequence[str]]:
    """Return the arguments of Python for each job."""
    _made_table(folder)
    old = before / "scripts/quickstart"
    return {
        "first mf.simulate, empty caches": ("-c", _FIRST),
        "rates on digits, 96 replicas": _study("chaos", old / "digits.toml"),
        f"rates on digits, {_FEWER} replicas now": _study("chaos", old / "digits.toml"),
        f"rates on a teacher, {_FEWER} replicas now": _study("chaos", old / "teacher.toml"),
        "atoms of digits": _study("atoms", old / "digits-atoms.toml"),
        "atoms of a teacher": _study("atoms", old / "teacher-atoms.toml"),
        "errors of a teacher": _study("errors", old / "teacher-errors.toml"),
        "decompose_error, 320 x 5, N = 64": ("-c", _BUDGET),
        "atoms of a table of 600 x 7": _study("atoms", folder / "table.toml"),
        "dictionary of 400 neurons, 1000 x 20, beside two": ("-c", _BESIDE_OTHERS),
        "step of 60000 x 784, N = 2000, float64": ("-c", _FULL_STEP.format(dtype="float64")),
        "step of 60000 x 784, N = 2000, float32": ("-c", _FULL_STEP.format(dtype="float32")),
        **{f"ns a pair, {name}": ("-c", _STEP.format(**sizes)) for name, sizes in _STEPS.items()},
    }


def _study(name: str, config: Path) -> Sequence[str]:
    return ("-m", "meanfield", name, str(config), "--out", "OUT")


@dataclass(frozen=True)
class Turns:
    """Two checkouts whose jobs run in turns, and where each keeps its compiled code."""

    checkouts: dict[str, Path]
    caches: Path
    compiled: bool

    def compare(self, name: str, arguments: Sequence[str], pairs: int) -> dict[str, object]:
        """Run a job in both."""
        empty, fewer = "empty caches" in name, ["--set", f"chaos.n_replicas={_FEWER}"]
        more = {"before": [], "after": fewer if name.endswith("replicas now") else []}
        times: dict[str, list[tuple[float, ...]]] = {who: [] for who in self.checkouts}
        uncounted = not (self.compiled or empty)
        for k in range(pairs + uncounted):
            for who in sorted(self.checkouts, reverse=bool(k % 2)):
                with tempfile.TemporaryDirectory() as nothing:
                    cache = nothing if empty else str(self.caches / who)
                    took = _timed([*arguments, *more[who]], self.checkouts[who], cache)
                if k or not uncounted:
                    times[who].append(took)
        medians = {who: np.median(of_kind, axis=0) for who, of_kind in times.items()}
        pairwise = zip(times["after"], times["before"], strict=True)
        ratios = np.sort([after[0] / before[0] for after, before in pairwise])
        # Order statistics hold the median with 95 %, of a few pairs the least and the largest.
        low = max(int(binom.ppf(0.025, pairs, 0.5)), 1)
        return {
            **{who: _named(median) for who, median in medians.items()},
            "ratio": [
                round(float(r), 3) for r in (np.median(ratios), ratios[low - 1], ratios[-low])
            ],
            "pairs": pairs,
        }


def _timed(arguments: Sequence[str], checkout: Path, cache: str) -> tuple[float, ...]:
    """Return the numbers that a job prints, or its seconds of the clock and of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *(a if a != "OUT" else f"{folder}/out" for a in arguments)]
        env = {**os.environ, "PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": cache}
        begin, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
        clock, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        numbers = Path(folder, "out/summary.json")
        found = json.loads(numbers.read_text())["numbers"] if numbers.exists() else {}
    if done.returncode:
        raise SystemExit(f"{command} in {checkout} failed:\n{done.stdout}\n{done.stderr}")
    if arguments[0] == "-c" and done.stdout:
        return tuple(map(float, done.stdout.split()))
    processor = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    if "function_slope" not in found:
        return clock, processor
    low, high = found["function_slope"]["interval"]
    return clock, processor, (high - low) / 2


def _named(numbers: Sequence[float]) -> dict[str, float]:
    """Name seconds, with the part of the cores that they used; or nanoseconds."""
    if len(numbers) == 1:
        return {"ns_a_pair": round(float(numbers[0]), 3)}
    clock, processor, *half_width = map(float, numbers)
    named = {"clock": round(clock, 2), "processor": round(processor, 2)}
    named["percent"] = round(100 * processor / clock)
    if half_width:
        named["half_width_of_the_slope"] = round(half_width[0], 3)
    return named


def _setup(checkouts: dict[str, Path]) -> dict[str, object]:
    """Return the machine, the libraries and the commits of what was measured last."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commits = {
        who: subprocess.run(
            command, cwd=checkout, check=True, capture_output=True, text=True
        ).stdout.strip()
        for who, checkout in checkouts.items()
    }
    libraries = {name: version(name) for name in ("numpy", "numba", "scipy", "POT")}
    return {"machine": processor_name(), "cores": os.cpu_count(), **libraries, "commits": commits}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the earlier code")
    parser.add_argument("--pairs", type=int, default=3, help="of jobs; four times as many of steps")
    parser.add_argument("--cache", type=Path, help="where compiled code lies that is there already")
    parser.add_argument("--only", nargs="+", help="words in the names of what is run")
    parser.add_argument("--out", type=Path, required=True, help="what is there stays")
    options = parser.parse_args()
    table = json.loads(options.out.read_text()) if options.out.exists() else {}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    checkouts = {"before": options.before.resolve(), "after": _HERE}
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        turns = Turns(checkouts, (options.cache or folder).resolve(), options.cache is not None)
        for name, arguments in _jobs(checkouts["before"], folder).items():
            if not options.only or any(word in name for word in options.only):
                pairs = options.pairs * (4 if name.startswith("ns a pair") else 1)
                table[name] = turns.compare(name, arguments, pairs)
                table["setup"] = _setup(checkouts)
                print(name, json.dumps(table[name]), flush=True)
                options.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
