"""Time the training of wide networks against PyTorch doing the same work.

    python scripts/benchmarks/deep.py [--width 4096] [--steps 1000] [--out FILE.json]

Three hidden layers under µP, SiLU, squared loss, 10 inputs of dimension 64, full batch, float32
and all cores. Both sides start from the same weights. PyTorch's time is its training loop alone;
ours is the whole call, drawing the weights included. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from pathlib import Path

import numpy as np

from meanfield import deep
from meanfield.deep.dense import draw_matrix

DEPTH = 3


def inputs_and_targets(n_inputs: int = 10, n_features: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian inputs of length √d with targets ±1."""
    random = np.random.default_rng(0)
    X = random.standard_normal((n_inputs, n_features))
    X *= np.sqrt(n_features) / np.linalg.norm(X, axis=1, keepdims=True)
    return X, np.resize([1.0, -1.0], n_inputs)


def ours(X: np.ndarray, y: np.ndarray, width: int, n_steps: int, dtype: str) -> tuple:
    """Train with the low-rank engine; return the seconds, the predictions and the ranks."""
    weight_variance, rate_scale = deep.experiment_scales("mup", X.shape[1])
    start = time.perf_counter()
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
    return time.perf_counter() - start, run.predictions[0], run.ranks[0, -1].tolist()


def with_torch(X: np.ndarray, y: np.ndarray, width: int, n_steps: int) -> tuple:
    """Train the same network with PyTorch; return the seconds of the loop and the predictions."""
    import torch

    mup = deep.get_parametrization("mup")
    weight_variance, rate_scale = deep.experiment_scales("mup", X.shape[1])
    variance, rates = mup.variances(width, weight_variance), mup.rates(width, 0.1, rate_scale)
    sizes = [X.shape[1]] + [width] * DEPTH + [1]
    variances = [variance.input] + [variance.hidden] * (DEPTH - 1) + [variance.output]
    layers, groups = [], []
    for l in range(DEPTH + 1):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, sizes[l], sizes[l + 1], bias=False)
        weights = draw_matrix(0, l, (sizes[l + 1], sizes[l]), variances[l], np.dtype(np.float32))
        linear.weight.data = torch.from_numpy(weights)
        rate = rates.input if l == 0 else rates.output if l == DEPTH else rates.hidden
        groups.append({"params": [linear.weight], "lr": rate})
        layers += [linear] if l == DEPTH else [linear, torch.nn.SiLU()]
    net, descent = torch.nn.Sequential(*layers), torch.optim.SGD(groups, lr=0.0)
    inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    predictions = []
    start = time.perf_counter()
    for _ in range(n_steps):
        f = net(inputs)[:, 0]
        predictions.append(f.detach().numpy().copy())
        descent.zero_grad(set_to_none=True)
        torch.mean((f - targets) ** 2).backward()
        descent.step()
    with torch.no_grad():
        predictions.append(net(inputs)[:, 0].numpy())
    return time.perf_counter() - start, np.array(predictions), torch.__version__


def main() -> None:
    """Run both and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    X, y = inputs_and_targets()
    seconds, predictions, ranks = ours(X, y, arguments.width, arguments.steps, arguments.dtype)
    result = {
        "width": arguments.width,
        "steps": arguments.steps,
        "dtype": arguments.dtype,
        "machine": platform.processor() or platform.machine(),
        "meanfield_seconds": seconds,
        "ranks": ranks,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    if not arguments.no_torch:
        torch_seconds, expected, version = with_torch(X, y, arguments.width, arguments.steps)
        result |= {
            "torch": version,
            "torch_seconds": torch_seconds,
            "ratio": torch_seconds / seconds,
            "relative_difference": float(
                np.abs(predictions - expected).max() / np.abs(expected).max()
            ),
        }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
