"""Small runs of the compiled step, drawn from a seed."""

from __future__ import annotations

import sys

import numpy as np

from meanfield.flow.compiled import particle_step
from meanfield.flow.compiled.structures import NoiseCounters, make_data, make_factors
from meanfield.problem.activations import ACTIVATIONS
from tests.flow import naive_flow as naive

CODES = {name: activation.code for name, activation in ACTIVATIONS.items()}
SQUARED, LOGISTIC, CROSS_ENTROPY = 0, 1, 2


def setup(*, n=37, d=3, k=1, N=100, R=2, bias=True, loss=SQUARED, dtype="float64", seed=0,
          step_size=0.1, l2=0.1, temperature=0.01, n_steps=3, frozen=""):  # fmt: skip
    """A state and the arguments of `advance`, drawn from a seed."""
    rng = np.random.default_rng(seed)
    C = k + d + bias
    targets = {
        SQUARED: rng.normal(size=(n, k)),
        LOGISTIC: rng.choice([-1.0, 1.0], size=(n, k)),
        CROSS_ENTROPY: np.eye(k)[rng.integers(k, size=n)],
    }[loss]
    decay, gain, noise = naive.euler(np.linspace(l2, 2 * l2, C), step_size, temperature)
    rows = np.array(["a"] * k + ["w"] * d + ["b"] * bias)
    still = np.isin(rows, list(frozen))
    arguments = {
        "first_step": 5,
        "seed": 2**40 + seed,
        "replica0": 3,
        "decay": np.where(still, 1.0, decay),
        "gain": np.where(still, 0.0, gain),
        "noise": np.where(still, 0.0, np.outer(np.linspace(1, 0.5, n_steps), noise)),
        "loss": loss,
    }
    theta = rng.normal(size=(R, C, N)).astype(dtype)
    return theta, rng.normal(size=(n, d)), targets, arguments


def advance(theta, X, targets, *, first_step, seed, replica0, decay, gain, noise, activation, loss,
            drive=None, weights=None, substeps=1, predictions_out=None):  # fmt: skip
    """`particle_step.advance` with loose arguments."""
    C, k = np.shape(noise)[-1], targets.shape[1]
    return particle_step.advance(
        theta,
        make_data(X, targets, C - k, theta.dtype, drive=drive, weights=weights),
        make_factors(decay, gain, noise, k),
        NoiseCounters(np.uint64(seed), first_step, replica0, substeps=substeps),
        activation=activation,
        loss=loss,
        predictions_out=predictions_out,
    )


def final_states(names, dtypes):
    """States and predictions of two steps with each activation, by its name and the float type."""
    found = {}
    for name in names:
        for dtype in dtypes:
            theta, X, targets, arguments = setup(
                N=70, n=9, k=2, R=1, n_steps=2, dtype=dtype, step_size=1e-3
            )
            predictions = np.empty((1, 2, *targets.shape))
            arguments |= {"activation": CODES[name], "predictions_out": predictions}
            theta = (0.4 * theta).astype(dtype)  # He₆ explodes from large states
            advance(theta, 0.5 * X, targets, **arguments)
            found[f"{name} {dtype}"] = theta
            found[f"{name} {dtype} predictions"] = predictions
    return found


if __name__ == "__main__":
    out, names, dtypes = sys.argv[1:]
    np.savez(out, **final_states(names.split(","), dtypes.split(",")))
