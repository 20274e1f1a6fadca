"""The compiled steps against their NumPy twins, and what must not change their bits."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from meanfield.flow.compiled import particle_step, structures
from tests.flow import naive_flow as naive
from tests.flow.compiled.small_steps import CODES, CROSS_ENTROPY, LOGISTIC, SQUARED, advance, setup

# Rounding of one step, relative to the largest entry: float64 and float32.
TOLERANCE = {"float64": 2e-13, "float32": 4e-5}


def naive_advance(theta, X, targets, *, first_step, seed, replica0, decay, gain, noise, activation,
                  loss, drive=None, substeps=1):  # fmt: skip
    """`advance` by the twin: final state and the predictions before each step."""
    theta = theta.astype(float)
    k = targets.shape[1]
    predictions = np.empty((len(theta), len(noise), *targets.shape))
    for r in range(len(theta)):
        for t in range(len(noise)):
            predictions[r, t] = naive.predict(theta[r], X, activation, k)
            theta[r] = naive.step(
                theta[r], X, targets, first_step + t, seed=seed, replica=replica0 + r,
                decay=decay, gain=gain, noise=noise[t], activation=activation, loss=loss,
                drive=None if drive is None else drive[t], substeps=substeps,
            )  # fmt: skip
    return theta, predictions


def check(theta, X, targets, arguments, **more):
    """Assert that the compiled run and the twin agree to rounding."""
    arguments = arguments | more
    want, want_f = naive_advance(theta, X, targets, **arguments)
    tolerance = TOLERANCE[theta.dtype.name]
    got, got_f = theta.copy(), np.empty(want_f.shape)
    status = advance(got, X, targets, predictions_out=got_f, **arguments)
    assert status == (-1, -1)
    assert got.dtype == theta.dtype
    assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())
    assert_allclose(got_f, want_f, rtol=0, atol=tolerance * max(1, np.abs(want_f).max()))


@pytest.mark.scalar
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CODES)
def test_every_activation_follows_its_twin(name, dtype):
    theta, X, targets, arguments = setup(N=70, R=1, dtype=dtype, step_size=1e-3)
    # He₆ explodes from large states.
    check(0.4 * theta, 0.5 * X, targets, arguments, activation=CODES[name])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("frozen", ["", "a", "w", "b", "wb", "aw", "awb"])
@pytest.mark.parametrize(
    ("loss", "k"), [(SQUARED, 1), (SQUARED, 3), (LOGISTIC, 1), (LOGISTIC, 2), (CROSS_ENTROPY, 4)]
)
def test_every_loss_and_frozen_set_follows_its_twin(loss, k, frozen, dtype):
    for bias in (True, False):
        *state, arguments = setup(
            k=k, N=30, n=9, R=1, n_steps=2, loss=loss, frozen=frozen, bias=bias, dtype=dtype
        )
        check(*state, arguments, activation=CODES["tanh"])
        if frozen:
            theta = state[0].copy()
            advance(theta, *state[1:], activation=CODES["tanh"], **arguments)
            rows = np.array(["a"] * k + ["w"] * 3 + ["b"] * bias)
            still = np.isin(rows, list(frozen))
            assert_array_equal(theta[:, still], state[0][:, still])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("N", "n", "d"),
    [(1, 1, 1), (64, 32, 1), (65, 33, 4), (600, 5, 2), (130, 70, 101), (20, 3, 200)],
)
def test_sizes_that_do_and_do_not_fill_blocks_and_tiles(N, n, d, dtype):
    *state, arguments = setup(N=N, n=n, d=d, dtype=dtype, R=1, n_steps=2, step_size=0.01)
    state[1] /= np.sqrt(d)
    for name in ("tanh", "silu"):
        check(*state, arguments, activation=CODES[name])


@pytest.mark.scalar
def test_exponential_euler_follows_its_twin():
    *state, arguments = setup()
    decay, gain, noise = naive.exponential_euler(np.linspace(0.1, 0.3, 5), 0.1, 0.01)
    arguments |= {"decay": decay, "gain": gain, "noise": np.tile(noise, (3, 1))}
    check(*state, arguments, activation=CODES["relu"])


@pytest.mark.scalar
def test_driven_particles_follow_their_twin():
    theta, X, targets, arguments = setup(k=2)
    drive = np.random.default_rng(1).normal(size=(3, *targets.shape))
    check(theta, X, targets, arguments, activation=CODES["tanh"], drive=drive)
    silent, watched = theta.copy(), theta.copy()
    out = np.empty((2, *drive.shape))
    arguments |= {"activation": CODES["tanh"], "drive": drive}
    advance(silent, X, targets, **arguments)
    advance(watched, X, targets, predictions_out=out, **arguments)
    assert_array_equal(silent, watched)


@pytest.mark.scalar
def test_substeps_sum_the_fine_increments():
    *state, arguments = setup()
    check(*state, arguments, activation=CODES["tanh"], substeps=3)
    # Without drift the coarse path is the fine one.
    theta, X, targets, arguments = setup(n_steps=6)
    arguments |= {"decay": np.ones(5), "gain": np.zeros(5), "activation": 1, "first_step": 12}
    fine, coarse = theta.copy(), theta.copy()
    advance(fine, X, targets, **arguments | {"noise": np.full((6, 5), 0.1)})
    coarse_noise = np.full((2, 5), 0.1 * np.sqrt(3))
    advance(coarse, X, targets, **arguments | {"noise": coarse_noise, "first_step": 4}, substeps=3)
    assert_allclose(coarse, fine, rtol=0, atol=1e-14)


def final_bits(threads, calls, *, drive, dtype, R, N):
    """States and predictions of one run cut into calls of these lengths."""
    theta, X, targets, arguments = setup(N=N, n=60, R=R, n_steps=sum(calls), dtype=dtype)
    out = np.empty((R, sum(calls), *targets.shape))
    path = np.random.default_rng(5).normal(size=out.shape[1:]) if drive else None
    noise = arguments.pop("noise")
    first = arguments.pop("first_step")
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        done = 0
        for length in calls:
            part = slice(done, done + length)
            buffer = np.empty((R, length, *targets.shape))
            advance(
                theta, X, targets, noise=noise[part], first_step=first + done,
                activation=CODES["tanh"], drive=None if path is None else path[part],
                predictions_out=buffer, **arguments,
            )  # fmt: skip
            out[:, part] = buffer
            done += length
    finally:
        numba.set_num_threads(before)
    return theta, out


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("R", "N"), [(1, 5000), (3, 3000), (4, 2000)])
@pytest.mark.parametrize("drive", [False, True])
def test_bits_do_not_depend_on_threads(R, N, drive, dtype, monkeypatch):
    monkeypatch.setattr(particle_step, "_WORTH_A_THREAD", 1)
    one = final_bits(1, [4], drive=drive, dtype=dtype, R=R, N=N)
    two = final_bits(2, [4], drive=drive, dtype=dtype, R=R, N=N)
    assert_array_equal(one[0], two[0])
    assert_array_equal(one[1], two[1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_bits_do_not_depend_on_how_steps_are_divided_into_calls(dtype):
    whole = final_bits(1, [6], drive=True, dtype=dtype, R=2, N=700)
    parts = final_bits(1, [1, 3, 2], drive=True, dtype=dtype, R=2, N=700)
    assert_array_equal(whole[0], parts[0])
    assert_array_equal(whole[1], parts[1])


@pytest.mark.parametrize("name", ["tanh", "silu"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kept_and_recomputed_activations_have_the_same_bits(name, dtype, monkeypatch):
    theta, X, targets, arguments = setup(N=700, dtype=dtype)
    kept, fresh = theta.copy(), theta.copy()
    advance(kept, X, targets, activation=CODES[name], **arguments)
    monkeypatch.setattr(structures, "_KEEP_BYTES", 0)
    advance(fresh, X, targets, activation=CODES[name], **arguments)
    assert_array_equal(kept, fresh)


@pytest.mark.scalar
def test_replicas_are_independent():
    theta, X, targets, arguments = setup(R=3)
    arguments |= {"activation": CODES["relu"]}
    together = theta.copy()
    advance(together, X, targets, **arguments)
    alone = theta[2:].copy()
    advance(alone, X, targets, **arguments | {"replica0": arguments["replica0"] + 2})
    assert_array_equal(alone[0], together[2])


def test_order_of_particles_does_not_matter():
    theta, X, targets, arguments = setup(N=300, R=1)
    arguments |= {"activation": CODES["tanh"], "noise": np.zeros((3, 5))}
    order = np.random.default_rng(2).permutation(300)
    straight, shuffled = theta.copy(), np.ascontiguousarray(theta[:, :, order])
    advance(straight, X, targets, **arguments)
    advance(shuffled, X, targets, **arguments)
    assert_allclose(shuffled, straight[:, :, order], rtol=0, atol=1e-14)


def test_driven_particles_do_not_see_each_other():
    theta, X, targets, arguments = setup(N=500, R=1)
    drive = np.random.default_rng(1).normal(size=(3, *targets.shape))
    arguments |= {"activation": CODES["tanh"], "drive": drive}
    many, few = theta.copy(), np.ascontiguousarray(theta[:, :, :70])
    advance(many, X, targets, **arguments)
    advance(few, X, targets, **arguments)
    assert_array_equal(few, many[:, :, :70])


@pytest.mark.scalar
@pytest.mark.parametrize("drive", [False, True])
def test_the_first_lost_state_is_reported(drive):
    theta, X, targets, arguments = setup(R=3, n_steps=4, N=1000)
    arguments |= {"activation": CODES["tanh"]}
    if drive:
        arguments["drive"] = np.zeros((4, *targets.shape))
    # The state before step 5 + 1 is lost in replica 1 when its first update overflows.
    theta[1, 1, 930] = 1.5e308
    arguments["decay"] = arguments["decay"] * 1.9
    assert advance(theta, X, targets, **arguments) == (6, 3 + 1)


@pytest.mark.scalar
def test_a_state_lost_in_the_last_step_is_reported():
    theta, X, targets, arguments = setup(R=2, n_steps=1)
    theta[0, 2, 7] = 1.7e308
    arguments["decay"] = arguments["decay"] * 2
    assert advance(theta, X, targets, activation=1, **arguments) == (6, 3)


@pytest.mark.scalar
def test_predictions_that_are_not_finite_are_reported_before_any_step():
    theta, X, targets, arguments = setup(R=2)
    theta[1, 0, 3] = np.nan
    assert advance(theta, X, targets, activation=1, **arguments) == (5, 4)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("k", [1, 3])
def test_forward_is_the_mean_over_particles(k, dtype):
    theta, _, _, _ = setup(k=k, N=1000, R=3, dtype=dtype)
    X = np.random.default_rng(3).normal(size=(5000, 3))
    got = particle_step.forward(theta, X, CODES["gelu"], k)
    want = np.array([naive.predict(t.astype(float), X, CODES["gelu"], k) for t in theta])
    assert got.shape == (3, 5000, k)
    assert_allclose(got, want, rtol=0, atol=TOLERANCE[dtype] * np.abs(want).max())


@pytest.mark.scalar
def test_arrays_that_could_not_be_changed_in_place_are_refused():
    theta, X, targets, arguments = setup()
    arguments |= {"activation": 1}
    with pytest.raises(ValueError, match="C-contiguous"):
        advance(theta[:, :, ::2], X, targets, **arguments)
    with pytest.raises(ValueError, match="float32 or float64"):
        advance(theta.astype(np.float16), X, targets, **arguments)


def test_predictions_go_into_arrays_of_any_kind_by_one_code():
    """A part of an array is of another type to numba, which would compile all of it again."""
    theta, X, targets, arguments = setup(k=2)
    whole, more = np.empty((2, 3, len(X), 2)), np.full((2, 5, 2, len(X)), np.nan).swapaxes(2, 3)
    advance(theta.copy(), X, targets, activation=1, predictions_out=whole, **arguments)
    kinds = set(particle_step._advance_share.signatures)
    advance(theta.copy(), X, targets, activation=1, predictions_out=more[:, 1:4], **arguments)
    np.testing.assert_array_equal(more[:, 1:4], whole)
    assert np.isnan(more[:, [0, 4]]).all()
    assert set(particle_step._advance_share.signatures) == kinds


def test_arrays_of_any_kind_are_served_by_one_code():
    """To numba, arrays that may not be written to are of a type of their own: compiled again."""
    kinds = set()
    for writeable, order, dtype in (True, "C", "f8"), (False, "C", "f8"), (True, "F", "f4"):
        n = np.ones((5, 2), dtype, order)
        steps, row = np.ones((3, 4), dtype, order), np.ones(4, dtype)
        drive = np.ones((3, 5, 2), dtype, order)
        for array in (n, steps, row, drive):
            array.flags.writeable = writeable
        data = structures.make_data(n, n, 2, "float64", drive=drive, weights=n[:, 0])
        factors = structures.make_factors(steps, row, steps, 2, drift=steps, l2=row)
        kinds |= {(numba.typeof(data), numba.typeof(factors))}
    data = structures.make_data(n, n, 2, "float64")
    kinds |= {(numba.typeof(data), numba.typeof(structures.make_factors(row, row, steps, 2)))}
    assert len(kinds) == 1


def test_the_cache_is_keyed_by_the_compiled_sources_and_the_mode():
    """A change of a helper, or another mode, is another signature of every cached function."""
    code = "from meanfield.flow.compiled.cache_key import DIGEST; print(DIGEST)"

    def digest(**environment):
        command = [sys.executable, "-c", code]
        own = {n: os.environ[n] for n in ("PATH", "HOME", "PYTHONPATH") if n in os.environ}
        environment = own | environment
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout

    modes = [{"MEANFIELD_SIMD": "scalar"}, {"NUMBA_BOUNDSCHECK": "1"}, {"NUMBA_OPT": "0"}]
    digests = [digest(), *(digest(**mode) for mode in modes)]
    assert len(set(digests)) == 4
    assert digests[0] == digest()


@pytest.mark.slow
def test_a_machine_without_avx512_computes_the_same():
    """The plain operations that stand for AVX-512 instructions, in a process that has none."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    limited = {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+avx,+fma,+sse4.2,+bmi,+bmi2,+lzcnt,+popcnt",
    }
    chosen = ["-k", "every_activation or sizes or same_bits or forward"]
    done = subprocess.run(
        [*command, *chosen], env=os.environ | limited, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
