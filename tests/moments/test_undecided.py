"""A tail that a sample does not decide is flagged, one that it decides is not."""

import numpy as np

import meanfield as mf


def undecided(points):
    found = mf.admissible_weight(points[:, None])
    flagged = [note.code for note in found.tail_index.notes] == ["tail"]
    assert flagged == ("undecided" in repr(found))
    return flagged


def test_a_diluted_power_law_is_undecided_or_read():
    """Student's t(5) in Gaussian noise keeps the index 5, however late."""
    rng = np.random.default_rng(0)
    for _ in range(4):
        points = 0.5 * rng.normal(size=20_000) + 0.25 * rng.standard_t(5, size=20_000)
        assert undecided(points) or np.isfinite(
            mf.admissible_weight(points[:, None]).tail_index.value
        )


def test_light_and_compact_laws_are_decided():
    rng = np.random.default_rng(1)
    gaussian = [undecided(rng.normal(size=20_000)) for _ in range(8)]
    assert sum(gaussian) <= 1
    assert not undecided(rng.uniform(-1, 1, size=20_000))
