"""Time a step with activations, losses and starts of one's own against those of the table.

    python scripts/benchmarks/own.py [--out FILE.json]

Each pair computes the same, once from the table and once from a function of Python; those without a
twin stand beside a function of the table of about the same cost. Nanoseconds per particle, datum
and step: medians of runs in turns.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from functools import partial
from pathlib import Path

import numpy as np

import meanfield as mf

N, DATA, FEATURES, STEPS, REPEATS = 4096, 256, 10, 60, 7


def swirl(z: float) -> float:
    """Return z exp(−z²)."""
    return z * math.exp(-z * z)


def leaky_softplus(z: float) -> float:
    """Return a softplus that falls to a slope of 0.1 instead of 0."""
    return 0.1 * z + 0.9 * math.log1p(math.exp(-abs(z))) + 0.9 * max(z, 0.0)


def huber(f: float, y: float) -> float:
    """Return Huber's loss with its bend at 1."""
    r = abs(f - y)
    return 0.5 * r * r if r <= 1 else r - 0.5


def gaussian(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw rows (a, w, b) of the law ``"gaussian"``."""
    return rng.standard_normal((count, 1 + FEATURES + 1))


def pairs() -> list[tuple[str, dict[str, object], dict[str, object]]]:
    """Return what is timed: its name, that of the table, one's own."""
    own = mf.Activation.from_function
    loss = mf.Loss.from_function(huber, name="my huber")
    return [
        ("tanh", {"activation": "tanh"}, {"activation": own(math.tanh, name="my tanh")}),
        ("erf", {"activation": "erf"}, {"activation": own(math.erf, name="my erf")}),
        ("relu", {"activation": "relu"}, {"activation": own(lambda z: max(z, 0.0), name="mine")}),
        ("z exp(-z²) beside silu", {"activation": "silu"}, {"activation": own(swirl)}),
        ("leaky softplus beside softplus", {"activation": "softplus"},
         {"activation": own(leaky_softplus)}),
        ("huber(1)", {"loss": "huber(1)"}, {"loss": loss}),
        ("a sampler beside gaussian", {"init": "gaussian"}, {"init": gaussian}),
    ]  # fmt: skip


def step(settings: dict[str, object]) -> float:
    """Return the time of a run in nanoseconds per particle, datum and step."""
    settings = {"activation": "tanh", "loss": "squared", "init": "gaussian", **settings}
    init = settings.pop("init")
    X = np.random.default_rng(0).standard_normal((DATA, FEATURES)) / math.sqrt(FEATURES)
    problem = mf.Problem(X, np.sin(3 * X[:, 0]), l2=0.01, temperature=0.0, **settings)
    run = partial(mf.simulate, problem, N, 0.1, init=init, every_loss=False)
    run(n_steps=1)  # compiles
    begin = time.perf_counter()
    run(n_steps=STEPS)
    return (time.perf_counter() - begin) * 1e9 / (N * DATA * STEPS)


def main() -> None:
    """Time each pair in turns and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name, table, own in pairs():
        times = [(step(table), step(own)) for _ in range(REPEATS)]
        known, mine = (statistics.median(side) for side in zip(*times, strict=True))
        rows.append({"what": name, "table_ns": known, "own_ns": mine, "ratio": mine / known})
        print("{what:32} {table_ns:7.3f} {own_ns:7.3f} {ratio:6.2f}".format(**rows[-1]), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
