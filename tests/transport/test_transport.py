"""Exact transport: against POT, enumeration and linear programs; identities; certificates."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from meanfield.transport import (
    assignment,
    gaussian_wasserstein2,
    matched_wasserstein2,
    matching,
    network_simplex,
    optimal_matching,
    sliced_wasserstein2,
    wasserstein2,
)
from tests.chaos.naive_chaos import (
    matching_by_enumeration,
    transport_by_linear_program,
    transport_on_the_line,
)

SIZES = [1, 2, 3, 31, 32, 33, 130, 300]


def cloud(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def pot(x, y):
    costs = cdist(x, y, "sqeuclidean")
    unit = costs.max() or 1.0  # POT's tolerances are absolute
    return unit * ot.emd2([], [], costs / unit, numItermax=10**7)


def pairs(n, p):
    """Pairs of clouds from coupled to unrelated, with ties, copies and far points."""
    x, z = cloud(1, n, p), cloud(2, n, p)
    far = z.copy()
    far[-1] = 1e5
    return {
        "coupled": (x, x + 0.02 * z),
        "loosely coupled": (x, x + 0.3 * z),
        "independent": (x, z),
        "shifted": (x, x + 3.0),
        "scaled": (x, 2.5 * x),
        "turned": (x, x[:, ::-1]),
        "reflected": (x, -x),
        "permuted": (x, x[::-1].copy()),
        "grid": (np.round(2 * x), np.round(2 * z)),
        "few points": (x, z[np.arange(n) // 8]),
        "one point": (x, np.zeros((n, p))),
        "far point": (x, far),
        "small": (1e-9 * x, 1e-9 * z),
    }


@pytest.mark.parametrize("p", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("n", SIZES)
def test_equals_pot(n, p):
    for name, (x, y) in pairs(n, p).items():
        exact = pot(x, y)
        floor = 1e-14 * (np.var(x) + np.var(y))
        for value in (wasserstein2(x, y), float(matched_wasserstein2(x, y))):
            assert value == pytest.approx(exact, rel=1e-10, abs=floor), name


@pytest.mark.parametrize("name", ["coupled", "loosely coupled", "independent", "grid", "far point"])
def test_certificate(name):
    """Value and dual bound meet, and the permutation has the value."""
    x, y = pairs(400, 4)[name]
    matching = optimal_matching(x, y)
    assert sorted(matching.permutation) == list(range(400))
    assert np.mean(np.sum((x - y[matching.permutation]) ** 2, axis=1)) == pytest.approx(
        matching.value, rel=1e-12
    )
    assert matching.lower_bound == pytest.approx(matching.value, rel=1e-11)


def keep_any(x, yt, v, permutation, most_free):
    """A solver that is wrong."""
    permutation[:] = np.arange(len(permutation))
    return True


def test_certificate_is_about_all_pairs(monkeypatch):
    """A wrong matching is refused: the check trusts neither solver."""
    monkeypatch.setattr(assignment, "solve", keep_any)
    monkeypatch.setattr(network_simplex, "transport_plan", lambda x, y: _wrong_plan(len(x)))
    with pytest.raises(ArithmeticError, match="duality gap"):
        wasserstein2(cloud(0, 50, 3), cloud(1, 50, 3))


def _wrong_plan(n):
    order = np.arange(n)
    return network_simplex.TransportPlan(order, order, np.ones(n), np.zeros(n))


def test_certificate_sends_a_wrong_matching_to_the_other_solver(monkeypatch):
    x, y = pairs(130, 3)["loosely coupled"]
    exact, solve, wrong = pot(x, y), assignment.solve, []

    def wrong_at_first(*arguments):
        if arguments[-1] < len(x):
            wrong.append(keep_any(*arguments))
            return True
        return solve(*arguments)

    monkeypatch.setattr(assignment, "solve", wrong_at_first)
    assert matched_wasserstein2(x, y) == pytest.approx(exact, rel=1e-12)
    assert len(wrong) == 1


@pytest.mark.parametrize("name", ["coupled", "independent", "grid", "few points", "far point"])
def test_both_ways_give_the_same_bits(monkeypatch, name):
    """Coupled clouds by the network simplex, others by shortest paths alone."""
    x, y = pairs(130, 3)[name]
    value = wasserstein2(x, y)
    monkeypatch.setattr(matching, "_FREE_SHARE", 0.0)  # none is taken for coupled
    by_simplex = wasserstein2(x, y)
    monkeypatch.setattr(matching.memory, "available", lambda: 0)
    by_paths = wasserstein2(x, y)
    if name in ("grid", "few points"):  # several matchings are optimal
        assert by_simplex == pytest.approx(value, rel=1e-13)
        assert by_paths == pytest.approx(value, rel=1e-13)
    else:
        assert value == by_simplex == by_paths


def test_sizes_whose_costs_do_not_fit(monkeypatch):
    monkeypatch.setattr(network_simplex.memory, "available", lambda: 1000)
    with pytest.raises(MemoryError, match="clouds of equal sizes"):
        wasserstein2(cloud(0, 400, 3), cloud(1, 500, 3))


coordinates = st.floats(-8, 8, width=16) | st.sampled_from([0.0, 1.0, -1.0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_enumeration(data):
    n, p = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    x, y = (data.draw(hnp.arrays(float, (n, p), elements=coordinates)) for _ in range(2))
    assert wasserstein2(x, y) == pytest.approx(matching_by_enumeration(x, y), rel=1e-12, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_unequal_sizes_equal_a_linear_program(data):
    n, m, p = (data.draw(st.integers(1, top)) for top in (6, 7, 3))
    x = data.draw(hnp.arrays(float, (n, p), elements=coordinates))
    y = data.draw(hnp.arrays(float, (m, p), elements=coordinates))
    exact = transport_by_linear_program(x, y)
    assert wasserstein2(x, y) == pytest.approx(exact, rel=1e-9, abs=1e-9)
    assert wasserstein2(y, x) == pytest.approx(exact, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(1, 5), (4, 6), (7, 7), (12, 8), (30, 90)])
def test_line(n, m):
    x, y = cloud(1, n), cloud(2, m) + 1
    assert wasserstein2(x, y) == pytest.approx(transport_on_the_line(x, y), rel=1e-13)


@pytest.mark.parametrize(("n", "m"), [(30, 90), (40, 400), (33, 70)])
def test_unequal_sizes_equal_pot(n, m):
    x, y = cloud(1, n, 3), cloud(2, m, 3)
    exact = ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), cdist(x, y, "sqeuclidean"))
    assert wasserstein2(x, y) == pytest.approx(exact, rel=1e-11)


class TestIdentities:
    x, y = cloud(3, 200, 4), cloud(4, 200, 4)

    @pytest.mark.parametrize("p", [1, 4])
    def test_same_cloud_is_exactly_zero(self, p):
        x = self.x[:, :p]
        assert wasserstein2(x, x) == 0.0
        assert wasserstein2(x, np.random.default_rng(0).permutation(x)) == 0.0

    def test_symmetric_and_blind_to_order(self):
        rng = np.random.default_rng(0)
        value = wasserstein2(self.x, self.y)
        assert wasserstein2(self.y, self.x) == value
        assert wasserstein2(rng.permutation(self.x), rng.permutation(self.y)) == value

    def test_translation(self):
        shift = np.array([1.0, -2.0, 0.5, 4.0])
        assert wasserstein2(self.x, self.x + shift) == pytest.approx(shift @ shift, rel=1e-12)
        apart = wasserstein2(self.x - self.x.mean(0), self.y - self.y.mean(0))
        gap = self.x.mean(0) - self.y.mean(0)
        assert wasserstein2(self.x, self.y) == pytest.approx(apart + gap @ gap, rel=1e-12)

    def test_scaling(self):
        value = wasserstein2(self.x, self.y)
        assert wasserstein2(-3 * self.x, -3 * self.y) == pytest.approx(9 * value, rel=1e-12)
        assert wasserstein2(self.x, 1.7 * self.x) == pytest.approx(
            0.7**2 * np.mean(np.sum(self.x**2, axis=1)), rel=1e-12
        )

    def test_triangle_inequality(self):
        z = cloud(5, 200, 4)
        sides = [
            np.sqrt(wasserstein2(a, b)) for a, b in ((self.x, self.y), (self.y, z), (self.x, z))
        ]
        assert 2 * max(sides) <= sum(sides)

    def test_far_from_the_origin(self):
        assert wasserstein2(self.x + 1e6, self.y + 1e6) == pytest.approx(
            wasserstein2(self.x, self.y), rel=1e-9
        )


class TestBatch:
    def test_every_pair_of_a_batch(self):
        x = cloud(6, 3, 2, 70, 3)
        y = x + 0.2 * cloud(7, 3, 2, 70, 3)
        values = matched_wasserstein2(x, y)
        assert values.shape == (3, 2)
        for index in np.ndindex(3, 2):
            assert values[index] == wasserstein2(x[index], y[index])

    def test_more_pairs_than_are_solved_at_once(self):
        x, y = cloud(8, 70, 5, 2), cloud(9, 70, 5, 2)
        values = matched_wasserstein2(x, y)
        assert [values[i] for i in (0, 63, 64, 69)] == [
            pytest.approx(pot(x[i], y[i]), rel=1e-12) for i in (0, 63, 64, 69)
        ]

    def test_bits_do_not_depend_on_threads(self):
        import numba

        x, y = cloud(10, 4, 600, 3), cloud(11, 4, 600, 3)
        values = matched_wasserstein2(x, y)
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            np.testing.assert_array_equal(matched_wasserstein2(x, y), values)
        finally:
            numba.set_num_threads(threads)

    def test_line_and_single_precision(self):
        x, y = cloud(12, 2, 50, 1), cloud(13, 2, 50, 1)
        assert matched_wasserstein2(x, y)[1] == pytest.approx(pot(x[1], y[1]), rel=1e-12)
        x32 = x[0].astype(np.float32)
        assert wasserstein2(x32, y[0]) == wasserstein2(x32.astype(float), y[0])

    def test_at_most_the_coupling_cost(self):
        x = cloud(14, 5, 100, 2)
        y = x + 0.5 * cloud(15, 5, 100, 2)
        assert np.all(matched_wasserstein2(x, y) <= np.mean(np.sum((x - y) ** 2, -1), -1) + 1e-15)


class TestSliced:
    def test_equals_pot_and_exact_on_the_line(self):
        x, y = cloud(1, 80), cloud(2, 60)
        assert sliced_wasserstein2(x, y, 7) == pytest.approx(wasserstein2(x, y), rel=1e-12)
        x, y = cloud(1, 80, 3), cloud(2, 60, 3)
        directions = np.random.default_rng(5).normal(size=(3, 4000))
        directions /= np.linalg.norm(directions, axis=0)
        exact = ot.sliced_wasserstein_distance(x, y, projections=directions) ** 2
        assert sliced_wasserstein2(x, y, 4000, seed=1) == pytest.approx(exact, rel=0.05)

    def test_translation(self):
        """The mean of <θ, s>² over the sphere is |s|²/p."""
        x, shift = cloud(1, 50, 5), np.array([3.0, 0, 0, 4.0, 0])
        assert sliced_wasserstein2(x, x + shift, 40000) == pytest.approx(5.0, rel=0.03)

    def test_seed(self):
        x, y = cloud(1, 50, 3), cloud(2, 50, 3)
        assert sliced_wasserstein2(x, y, seed=4) == sliced_wasserstein2(x, y, seed=4)
        assert sliced_wasserstein2(x, y, seed=4) != sliced_wasserstein2(x, y, seed=5)
        with pytest.raises(ValueError, match="n_projections"):
            sliced_wasserstein2(x, y, 0)
        with pytest.raises(TypeError, match="n_projections must be an integer"):
            sliced_wasserstein2(x, y, 2.5)
        with pytest.raises(ValueError, match="seed must be"):
            sliced_wasserstein2(x, y, seed=-1)


def test_coordinates_that_all_points_share_cost_nothing():
    x, y = cloud(1, 3, 30, 2), cloud(2, 3, 30, 2)
    padded = [np.insert(z, 1, 7.5, axis=-1) for z in (x, y)]
    np.testing.assert_array_equal(matched_wasserstein2(*padded), matched_wasserstein2(x, y))
    line = [np.insert(z[0, :, :1], 1, 1.0, axis=-1) for z in (x, y)]
    assert wasserstein2(*line) == pytest.approx(wasserstein2(x[0, :, 0], y[0, :, 0]), rel=1e-14)
    assert wasserstein2(np.ones((5, 2)), np.ones((5, 2))) == 0
    # A coordinate that is constant in each cloud, but not the same, counts.
    assert wasserstein2(np.ones((5, 2)), np.array([[1.0, 3.0]] * 5)) == pytest.approx(4)


class TestGaussian:
    def test_equals_pot(self):
        a, b = cloud(1, 4, 6), cloud(2, 4, 6)
        args = np.arange(4.0), a @ a.T, np.ones(4), b @ b.T
        exact = ot.gaussian.bures_wasserstein_distance(args[0], args[2], args[1], args[3]) ** 2
        assert gaussian_wasserstein2(*args) == pytest.approx(exact, rel=1e-10)

    def test_closed_forms(self):
        assert gaussian_wasserstein2(1.0, 4.0, 3.0, 1.0) == pytest.approx(4 + 1)
        singular = np.diag([1.0, 0.0])
        assert gaussian_wasserstein2([0, 0], singular, [0, 0], np.eye(2)) == pytest.approx(1)
        cov = np.cov(cloud(3, 3, 50))
        assert gaussian_wasserstein2(np.ones(3), cov, np.ones(3), cov) == pytest.approx(
            0, abs=1e-14
        )

    def test_bounds_the_cloud_distance(self):
        """Gelbrich: the Gaussian laws of the same moments are never farther apart."""
        x, y = cloud(1, 300, 3) ** 3, cloud(2, 300, 3) + 1
        lower = gaussian_wasserstein2(
            x.mean(0), np.cov(x.T, bias=True), y.mean(0), np.cov(y.T, bias=True)
        )
        assert 0 < lower < wasserstein2(x, y)

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (([0, 0], np.eye(3), [0, 0], np.eye(2)), "shapes"),
            (([0, 0], [[1, 2], [0, 1]], [0, 0], np.eye(2)), "cov1 is not symmetric"),
            (([0, 0], np.eye(2), [0, 0], -np.eye(2)), "cov2 has the negative eigenvalue"),
            (([0, np.nan], np.eye(2), [0, 0], np.eye(2)), "mean1 must be finite"),
        ],
    )
    def test_bad_input(self, args, message):
        with pytest.raises(ValueError, match=message):
            gaussian_wasserstein2(*args)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1.0, np.nan]], [[1.0, 2.0]], "x must be finite, but holds NaN or infinity in 1 of 2"),
        ([[1.0, 2.0]], [[np.inf, 2.0]], "y must be finite, but holds NaN or infinity in 1 of 2"),
        ([], [1.0], "x must be a cloud"),
        (np.ones((2, 0)), np.ones((2, 0)), "x must be a cloud"),
        (np.ones((2, 3, 4)), np.ones((2, 3)), "x must be a cloud"),
        (np.ones((5, 2)), np.ones((5, 3)), "dimension 2 but y of 3"),
    ],
)
def test_bad_clouds(x, y, message):
    for function in (wasserstein2, optimal_matching, sliced_wasserstein2):
        with pytest.raises(ValueError, match=message):
            function(x, y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((2, 5, 3)), np.ones((2, 4, 3)), "share one shape"),
        (np.ones(5), np.ones(5), "share one shape"),
        (np.ones((2, 0, 3)), np.ones((2, 0, 3)), "share one shape"),
        (np.ones((2, 3)), np.full((2, 3), np.nan), "y must be finite"),
    ],
)
def test_bad_batches(x, y, message):
    with pytest.raises(ValueError, match=message):
        matched_wasserstein2(x, y)


def test_matching_needs_equal_sizes():
    with pytest.raises(ValueError, match="equal sizes"):
        optimal_matching(np.ones((3, 2)), np.ones((4, 2)))
