"""Philox against its published vectors; the Gaussians' law and their independence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from meanfield.flow import noise
from tests.flow import naive_flow as naive

# Random123, tests/kat_vectors, philox4x32 with ten rounds.
KNOWN = [
    ([0x00000000] * 4, [0x00000000] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_the_published_words(counter, key, words):
    assert noise.philox(counter, key).tolist() == words
    assert list(naive.philox(counter, key)) == words


def test_philox_follows_its_twin_on_arrays():
    rng = np.random.default_rng(0)
    counters = rng.integers(2**32, size=(5, 7, 4), dtype=np.uint32)
    key = rng.integers(2**32, size=2, dtype=np.uint32)
    got = noise.philox(counters, key)
    assert got.shape == counters.shape
    for index in np.ndindex(5, 7):
        assert tuple(got[index].tolist()) == naive.philox(counters[index], key)


@pytest.mark.parametrize("stream", [0, 1])
def test_gaussians_follow_their_twin(stream):
    want = naive.gaussians(2**35 + 7, 9, 2**31 + 3, 200, 3, stream)
    got = noise.gaussian(2**35 + 7, 9, 2**31 + 3, 200, 3, stream)
    assert_allclose(got, want, rtol=0, atol=2e-15 * np.abs(want).max())
    single = noise.gaussian(2**35 + 7, 9, 2**31 + 3, 200, 3, stream, dtype="float32")
    assert single.dtype == np.float32
    assert_allclose(single, want, rtol=0, atol=2e-6)


@pytest.fixture(scope="module")
def sample():
    """A million Gaussians of one call, (4, 2^18)."""
    return noise.gaussian(1, 0, 0, 2**18, 4)


def test_float32_is_float64_rounded(sample):
    single = noise.gaussian(1, 0, 0, 2**18, 4, dtype="float32")
    # Relative: a word near 2^32 makes a small radius, which must not lose its digits.
    assert_allclose(single, sample, rtol=3e-6, atol=1e-6)
    radius = np.hypot(sample[:, ::64], sample[:, 16::64])
    radius32 = np.hypot(single[:, ::64], single[:, 16::64])
    assert_allclose(radius32, radius, rtol=5e-7)


def test_words_are_the_twins():
    words = noise.words(5, 2, 3, 130, [0, 4], stream=noise.MINIBATCH)
    for row, coordinate in enumerate((0, 4)):
        for i in (0, 15, 16, 63, 64, 129):
            counter = (16 * (i // 64) + i % 16, coordinate + 3 * 2**24, 3, 2)
            assert words[row, i] == naive.philox(counter, (5, 0))[i % 64 // 16]


def test_law_is_standard_normal(sample):
    x = sample.ravel()
    m = x.size
    # Standard errors of the first eight moments; four of them is p < 1e-4 each.
    for order, value in ((1, 0), (2, 1), (3, 0), (4, 3), (5, 0), (6, 15), (8, 105)):
        spread = np.sqrt((stats.norm.moment(2 * order) - value**2) / m)
        assert abs((x**order).mean() - value) < 4 * spread, order
    assert stats.kstest(x[: 2**18], "norm").pvalue > 1e-3
    for level in (2, 3, 4, 4.5):
        expected = 2 * stats.norm.sf(level) * m
        assert abs((np.abs(x) > level).sum() - expected) < 4 * np.sqrt(expected), level
    assert np.isfinite(x).all()


def correlations(x, y):
    """Standardised correlations of x with y and of their squares."""
    for u, v in ((x, y), (x**2, y**2), (x, y**2)):
        yield np.corrcoef(u, v)[0, 1] * np.sqrt(u.size)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_neighbours_are_independent(dtype):
    m = 2**18
    base = noise.gaussian(7, 3, 11, m, 2, dtype=dtype).astype(float)
    others = {
        "seed": noise.gaussian(8, 3, 11, m, 1, dtype=dtype)[0],
        "seed, high half": noise.gaussian(7 + 2**32, 3, 11, m, 1, dtype=dtype)[0],
        "replica": noise.gaussian(7, 4, 11, m, 1, dtype=dtype)[0],
        "step": noise.gaussian(7, 3, 12, m, 1, dtype=dtype)[0],
        "coordinate": base[1],
        "stream": noise.gaussian(7, 3, 11, m, 1, stream=1, dtype=dtype)[0],
        "swapped step and replica": noise.gaussian(7, 11, 3, m, 1, dtype=dtype)[0],
        "next particle": np.roll(base[0], 1),
        "slot cos–sin": np.roll(base[0], 16),
        "slot of the other pair": np.roll(base[0], 32),
        "next block": np.roll(base[0], 64),
    }
    for name, other in others.items():
        for z in correlations(base[0], np.asarray(other, float)):
            assert abs(z) < 4.5, name
    # Negative control: the test sees a dependence when there is one.
    assert max(map(abs, correlations(base[0], base[0] + base[1]))) > 100


def test_fewer_particles_are_a_prefix():
    many = noise.gaussian(3, 1, 2, 1000, 3)
    for n_particles in (1, 63, 64, 65, 999):
        assert_array_equal(noise.gaussian(3, 1, 2, n_particles, 3), many[:, :n_particles])
    assert_array_equal(noise.gaussian(3, 1, 2, 1000, [2, 0]), many[[2, 0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "seed is"),
        ({"replica": 2**32}, "replica is"),
        ({"step": -3}, "step is -3"),
        ({"stream": 256}, "stream is 256"),
        ({"coordinates": [2**24]}, "coordinates reach"),
    ],
)
def test_numbers_that_do_not_fit_a_counter_are_refused(change, message):
    arguments = {"seed": 0, "replica": 0, "step": 0, "n_particles": 3, "coordinates": 1} | change
    with pytest.raises(ValueError, match=message):
        noise.gaussian(**arguments)
