"""Time the training of wide networks against PyTorch doing the same work.

    python scripts/benchmarks/deep.py [--widths 1024 4096 16384] [--torch-up-to 4096] [--out DIR]
    python scripts/benchmarks/deep.py --digits [--widths 1024] [--steps 1000] [--out DIR]

Three hidden layers under µP, SiLU, squared loss, 10 inputs of dimension 64, full batch, float32,
1000 steps. Both sides start from the same weights and use the same number of threads, that of
OMP_NUM_THREADS. PyTorch's time is its training loop alone; ours is the whole call, drawing the
weights included. Every width runs in a process of its own, so that the peak of memory is its own.

With `--digits`: 1000 handwritten digits of ten classes, cross-entropy, biases, momentum and weight
decay, batches of 50, and the accuracy on the other 797. The limit then trains on the same data,
whose rank budget it reports. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from meanfield import deep
from meanfield.deep.task import schedule
from meanfield.problem.sources import bundled

DEPTH = 3
RATE, DECAY = 0.05, 0.01  # of training on digits


def inputs_and_targets(n_inputs: int = 10, n_features: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian inputs of length √d with targets ±1."""
    random = np.random.default_rng(0)
    X = random.standard_normal((n_inputs, n_features))
    X *= np.sqrt(n_features) / np.linalg.norm(X, axis=1, keepdims=True)
    return X, np.resize([1.0, -1.0], n_inputs)


def ours(X: np.ndarray, y: np.ndarray, width: int, n_steps: int, dtype: str) -> tuple:
    """Train with the low-rank engine; return the seconds, the predictions and the ranks."""
    weight_variance, rate_scale = deep.experiment_scales("mup", X.shape[1])
    start = clock()
    run = deep.train(
        X,
        y,
        width=width,
        depth=DEPTH,
        activation="silu",
        step_size=0.1,
        n_steps=n_steps,
        reduction="mean",
        weight_variance=weight_variance,
        rate_scale=rate_scale,
        engine="low-rank",
        dtype=dtype,
        save_at=[],
    )
    return elapsed(start), run.predictions[0], run.ranks[0, -1].tolist()


def clock() -> tuple[float, float]:
    """Return the time on the wall and the time of the processors."""
    return time.perf_counter(), time.process_time()


def elapsed(start: tuple[float, float]) -> tuple[float, float]:
    """Return what has passed on both clocks."""
    now = clock()
    return now[0] - start[0], now[1] - start[1]


def with_torch(X: np.ndarray, y: np.ndarray, width: int, n_steps: int) -> tuple:
    """Train the same network with PyTorch; return the seconds of the loop and the predictions."""
    import torch

    mup = deep.get_parametrization("mup")
    weight_variance, rate_scale = deep.experiment_scales("mup", X.shape[1])
    rates = mup.rates(width, 0.1, rate_scale)
    *inner, last = deep.initial_weights(
        width, DEPTH, X.shape[1], weight_variance=weight_variance, dtype="float32"
    )
    layers, groups = [], []
    for l, weights in enumerate([*inner, last[None]]):
        n_out, n_in = weights.shape
        linear = torch.nn.utils.skip_init(torch.nn.Linear, n_in, n_out, bias=False)
        linear.weight.data = torch.from_numpy(weights)
        rate = rates.input if l == 0 else rates.output if l == DEPTH else rates.hidden
        groups.append({"params": [linear.weight], "lr": rate})
        layers += [linear] if l == DEPTH else [linear, torch.nn.SiLU()]
    net, descent = torch.nn.Sequential(*layers), torch.optim.SGD(groups, lr=0.0)
    inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    predictions = []
    start = clock()
    for _ in range(n_steps):
        f = net(inputs)[:, 0]
        predictions.append(f.detach().numpy().copy())
        descent.zero_grad(set_to_none=True)
        torch.mean((f - targets) ** 2).backward()
        descent.step()
    with torch.no_grad():
        predictions.append(net(inputs)[:, 0].numpy())
    return elapsed(start), np.array(predictions), torch.__version__


def measure(width: int, n_steps: int, dtype: str, torch_steps: int) -> dict:
    """Run one width, ours first, and return what it took.

    PyTorch's steps all cost the same: its time is scaled from `torch_steps` to `n_steps`.
    """
    X, y = inputs_and_targets()
    (seconds, cpu), predictions, ranks = ours(X, y, width, n_steps, dtype)
    result = {
        "width": width,
        "steps": n_steps,
        "dtype": dtype,
        "threads": os.environ.get("OMP_NUM_THREADS", f"all {os.cpu_count()}"),
        "machine": f"{platform.system()} {platform.machine()}",
        "meanfield_seconds": seconds,
        "meanfield_cpu_seconds": cpu,
        "ranks": ranks,
        "meanfield_peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    if torch_steps:
        (seconds, cpu), expected, version = with_torch(X, y, width, torch_steps)
        seconds, cpu = seconds * n_steps / torch_steps, cpu * n_steps / torch_steps
        predictions = predictions[: torch_steps + 1]
        result |= {
            "torch_steps": torch_steps,
            "torch": version,
            "torch_seconds": seconds,
            "torch_cpu_seconds": cpu,
            "ratio": seconds / result["meanfield_seconds"],
            "cpu_ratio": cpu / result["meanfield_cpu_seconds"],
            "relative_difference": float(
                np.abs(predictions - expected).max() / np.abs(expected).max()
            ),
        }
    return result


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return 1000 digits with entries of size one, their classes, and the others with theirs."""
    data = bundled.digits(standardize="none", test_fraction=0.0)
    order = np.random.default_rng(0).permutation(len(data.y))
    X, y = data.X[order], data.y[order].astype(int)
    X = X * np.sqrt(X.shape[1]) / np.linalg.norm(X, axis=1, keepdims=True)
    return X[:1000], y[:1000], X[1000:], y[1000:]


def on_digits(width: int, n_steps: int) -> tuple[dict, tuple]:
    """Train on digits, here, and in PyTorch from the same weights on the same batches.

    Returns what it took, and the data and arguments for the limit.
    """
    import torch

    X, y, X_test, y_test = digits()
    weight_variance, rate_scale = deep.experiment_scales("mup", X.shape[1])
    same = {
        "activation": "relu",
        "depth": DEPTH,
        "loss": "cross-entropy",
        "bias": True,
        "optimizer": "momentum",
        "weight_decay": DECAY,
        "step_size": RATE,
        "reduction": "mean",
        "batch_size": 50,
        "weight_variance": weight_variance,
        "rate_scale": rate_scale,
        "save_at": [],
    }
    finite = {"width": width, "dtype": "float32", "engine": "dense", **same}
    start = deep.train(X, y, n_steps=0, **finite).to_state_dict()
    begin = clock()
    run = deep.train(X, y, X_test=X_test, n_steps=n_steps, predict_every=n_steps, **finite)
    seconds, cpu = elapsed(begin)
    layers = [torch.nn.Linear(*shape) for shape in
              [(X.shape[1], width), *[(width, width)] * (DEPTH - 1), (width, 10)]]  # fmt: skip
    net = torch.nn.Sequential(
        *[part for layer in layers[:-1] for part in (layer, torch.nn.ReLU())], layers[-1]
    )
    net.load_state_dict({name: torch.from_numpy(value) for name, value in start.items()})
    mup, groups = deep.get_parametrization("mup"), []
    rates, biases = (f(width, RATE, rate_scale) for f in (mup.rates, mup.bias_rates))
    for l, layer in enumerate(layers):
        kind = 0 if l == 0 else 2 if l == DEPTH else 1
        for parameter, of in ((layer.weight, rates), (layer.bias, biases)):
            groups.append({"params": [parameter], "lr": of[kind], "share": rate_scale[kind]})
    descent = torch.optim.SGD(groups, lr=0.0, momentum=0.9)
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    batches = schedule(len(X), 50, 0, n_steps)
    begin = clock()
    for step in range(n_steps):
        rows = torch.from_numpy(batches[step])
        descent.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
        with torch.no_grad():
            for group in descent.param_groups:
                group["params"][0].mul_(1 - RATE * group["share"] * DECAY)
        descent.step()
    torch_seconds, torch_cpu = elapsed(begin)
    with torch.no_grad():
        theirs = net(torch.tensor(X_test, dtype=torch.float32)).numpy().argmax(axis=1)
    return {
        "width": width,
        "steps": n_steps,
        "epochs": 50 * n_steps / len(X),
        "threads": os.environ.get("OMP_NUM_THREADS", f"all {os.cpu_count()}"),
        "torch": torch.__version__,
        "load": os.getloadavg()[0],
        "meanfield_seconds": seconds,
        "meanfield_cpu_seconds": cpu,
        "torch_seconds": torch_seconds,
        "torch_cpu_seconds": torch_cpu,
        "accuracy": float(np.mean(run.predictions_test[0, -1].argmax(axis=-1) == y_test)),
        "torch_accuracy": float(np.mean(theirs == y_test)),
    }, (X, y, same)


def limit_on_digits(X: np.ndarray, y: np.ndarray, n_steps: int, same: dict) -> dict:
    """Train the limit for a twentieth of the steps; return its time, ranks and loss."""
    n_steps = max(1, n_steps // 20)
    begin = clock()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        limit = deep.infinite_width(
            X, y, n_samples=1024, n_replicas=1, tol=1e-2, n_steps=n_steps, predict_every=n_steps,
            **same,
        )  # fmt: skip
    seconds, cpu = elapsed(begin)
    return {
        "steps": n_steps,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "rank_budget": limit.rank_budget,
        "ranks": limit.replicas.ranks[0, -1].tolist(),
        "loss": limit.loss[[0, -1]].tolist(),
        "notes": [str(note.message) for note in caught],
    }


def table(results: list[dict]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| width | meanfield, s (CPU s) | PyTorch, s (CPU s) | ratio (CPU) "
        "| peak memory | difference |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        cells = [
            f"{r['width']}",
            f"{r['meanfield_seconds']:.1f} ({r['meanfield_cpu_seconds']:.1f})",
        ]
        if "torch" in r:
            cells += [
                f"{r['torch_seconds']:.1f} ({r['torch_cpu_seconds']:.1f})",
                f"{r['ratio']:.1f} ({r['cpu_ratio']:.1f})",
            ]
        else:
            cells += ["–", "–"]
        cells.append(f"{r['meanfield_peak_gb']:.1f} GB")
        cells.append(f"{r['relative_difference']:.1e}" if "torch" in r else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every width in a process of its own; print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--torch-up-to", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument(
        "--torch-steps", type=int, help="steps that PyTorch is timed on, scaled to all; all"
    )
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--digits", action="store_true", help="1000 digits of ten classes")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.digits:
        found, (X, y, same) = on_digits(arguments.widths[0], arguments.steps)
        print(json.dumps(found, indent=1), flush=True)
        found["limit"] = limit_on_digits(X, y, arguments.steps, same)
        print(json.dumps(found["limit"], indent=1))
        if arguments.out:
            text = json.dumps(found, indent=1) + "\n"
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / "digits.json").write_text(text, encoding="utf-8")
        return
    if arguments.torch_steps is None:
        arguments.torch_steps = arguments.steps
    if arguments.one:
        torch_steps = arguments.torch_steps if arguments.one <= arguments.torch_up_to else 0
        print(json.dumps(measure(arguments.one, arguments.steps, arguments.dtype, torch_steps)))
        return
    results = []
    for width in arguments.widths:
        command = [sys.executable, __file__, "--one", str(width), "--steps", str(arguments.steps)]
        command += ["--dtype", arguments.dtype, "--torch-up-to", str(arguments.torch_up_to)]
        command += ["--torch-steps", str(arguments.torch_steps)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout))
        print(table(results[-1:]).splitlines()[-1], flush=True)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=1) + "\n"
        (arguments.out / "timing.json").write_text(text, encoding="utf-8")
        threads = os.environ.get("OMP_NUM_THREADS")
        command = " ".join([f"OMP_NUM_THREADS={threads}"] * bool(threads) + ["python", *sys.argv])
        page = (
            f"# Training three hidden layers on 10 inputs, {arguments.steps} steps\n\n"
            f"Made by `{command}`. PyTorch was timed on {arguments.torch_steps} steps; the "
            "difference is the largest between the predictions over these steps, relative to the "
            f"largest prediction.\n\n{table(results)}\n"
        )
        (arguments.out / "timing.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
