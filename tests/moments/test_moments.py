"""Moment orders: exact laws against quadrature, samples against the laws they are drawn from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import gammaln

import meanfield as mf
from meanfield.moments import admissible_weight, moment_propagation, tails
from meanfield.moments.exact import log_moments
from meanfield.statistics.intervals import normal_quantile

LAWS = [
    (mf.InitialLaw("gaussian"), 2.0),
    (mf.InitialLaw("laplace"), 1.0),
    (mf.InitialLaw("uniform-ball"), np.inf),
    (mf.InitialLaw("stretched-exponential", rho=0.7), 0.7),
    (mf.InitialLaw("stretched-exponential", rho=4.0), 4.0),
]
IDS = ["gaussian", "laplace", "uniform-ball", "stretched-0.7", "stretched-4"]


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, 1))
    return mf.Problem(X, np.tanh(X[:, 0]), l2=0.05, temperature=0.02)


# Exact moments ------------------------------------------------------------------------------------


def radial_moments(log_density, p, orders, top):
    """E|θ|^k of a radial density on R^p, by quadrature."""
    weight = [
        integrate.quad(lambda r, k=k: r ** (p - 1 + k) * np.exp(log_density(r)), 0, top, limit=400)[
            0
        ]
        for k in (0, *orders)
    ]
    return np.log(np.array(weight[1:]) / weight[0])


@pytest.mark.parametrize(
    ("law", "log_density", "top"),
    [
        (mf.InitialLaw("gaussian"), lambda r: -0.5 * r**2, 30),
        (mf.InitialLaw("stretched-exponential", rho=1.5), lambda r: -(r**1.5), 60),
        (mf.InitialLaw("uniform-ball"), lambda r: 0.0, 1),
        (mf.InitialLaw("student-t", nu=12.5), lambda r: -7.75 * np.log1p(r**2 / 12.5), np.inf),
    ],
)
def test_radial_laws_against_quadrature(law, log_density, top):
    expected = radial_moments(log_density, 3, range(1, 8), top)
    np.testing.assert_allclose(log_moments(law, np.ones(3), 7), expected, atol=1e-7)
    scaled = log_moments(law, np.full(3, 0.5), 7)
    np.testing.assert_allclose(scaled, expected - np.arange(1, 8) * np.log(2), atol=1e-7)


def test_laplace_in_one_and_in_two_coordinates():
    k = np.arange(1, 65)
    law = mf.InitialLaw("laplace")
    np.testing.assert_allclose(log_moments(law, [1.0], 64), gammaln(k + 1), atol=1e-11)
    values = log_moments(law, [1.0, 0.5], 5)
    for order in (1, 2, 5):
        expected, _ = integrate.dblquad(
            lambda y, x, k=order: np.hypot(x, 0.5 * y) ** k * np.exp(-x - y), 0, 50, 0, 50
        )
        assert values[order - 1] == pytest.approx(np.log(expected), abs=1e-8)


def test_unequal_scales_against_equal_ones_and_a_frozen_coordinate():
    law = mf.InitialLaw("gaussian")
    nearly = log_moments(law, [1.0, 1.0, 1.0 - 1e-10], 64)
    np.testing.assert_allclose(nearly, log_moments(law, np.ones(3), 64), atol=1e-7)
    chi = np.log([stats.chi(2).moment(k) for k in range(1, 9)])
    np.testing.assert_allclose(log_moments(law, [0.0, 1.0, 1.0], 8), chi, atol=1e-10)
    # A coordinate of the uniform law on the ball of R^3 has density (3/4)(1 − x²).
    ball = log_moments(mf.InitialLaw("uniform-ball"), [0.0, 0.0, 1.0], 6)
    k = np.arange(1, 7)
    np.testing.assert_allclose(ball, np.log(1.5 / (k + 1) - 1.5 / (k + 3)), atol=1e-12)


def test_student_has_no_moment_from_its_tail_index_on():
    values = log_moments(mf.InitialLaw("student-t", nu=3.5), np.ones(2), 6)
    assert np.isfinite(values[:3]).all()
    assert np.isinf(values[3:]).all()
    weight = admissible_weight(mf.InitialLaw("student-t", nu=3.5), dimension=2)
    assert weight.tail_index.value == 3.5
    assert weight.order.value == 0.0
    np.testing.assert_array_equal(weight.w_star[3:], 0.0)
    assert not weight.admits(0.1)


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["gaussian", "laplace", "uniform-ball"]),
    scales=st.lists(st.floats(0.05, 20.0), min_size=1, max_size=4),
)
def test_log_moments_are_convex_and_roots_increase(name, scales):
    values = log_moments(mf.InitialLaw(name), scales, 24)
    k = np.arange(1, 25)
    assert (np.diff(values / k) >= -1e-9).all()
    assert (np.diff(values, 2) >= -1e-9).all()


@pytest.mark.parametrize(("law", "order"), LAWS, ids=IDS)
@pytest.mark.parametrize("dimension", [1, 4])
def test_order_of_a_named_law_is_that_of_its_moments(law, order, dimension):
    weight = admissible_weight(law, dimension=dimension)
    assert weight.order.value == order
    assert weight.exact
    read = weight.evidence["order_from_moments"]
    assert 1 / read == pytest.approx(1 / order, abs=5e-3)
    # The largest weight admits the law, with every sup equal to 1, and no heavier one does.
    np.testing.assert_allclose(weight.log_w_star + weight.log_moments.value, 0.0)
    assert weight.admits(order)
    if np.isfinite(order):
        assert not weight.admits(1.3 * order)
        heavier = np.log(weight.growth(1.3 * order))[31:]
        slope = np.polyfit(np.log(np.arange(32, 65)), heavier, 1)[0]
        assert slope > 0
        if dimension == 1:  # in higher dimension the exponent shows at higher orders only
            assert slope == pytest.approx(weight.growth_exponent(1.3 * order), rel=0.35)


@pytest.mark.parametrize(("law", "order"), LAWS, ids=IDS)
def test_inverse_order_of_a_named_law_is_exact(problem, law, order):
    found = admissible_weight(law, problem=problem).inverse_order()
    assert found.value == 1 / order
    assert found.interval is None


def test_moments_of_student_t_end_at_its_tail_index(problem):
    weight = admissible_weight(mf.InitialLaw("student-t", nu=4.0), problem=problem, max_order=12)
    np.testing.assert_array_equal(np.isfinite(weight.log_w_star), np.arange(1, 13) < 4)
    assert weight.inverse_order().value == np.inf


def test_noise_gives_gaussian_tails():
    ball = admissible_weight("uniform-ball", dimension=2)
    laplace = admissible_weight("laplace", dimension=2)
    assert ball.propagated_order(0.1) == 2.0
    assert ball.propagated_order(0.0) == np.inf
    assert laplace.propagated_order(0.1) == 1.0


# Samples ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("law", "order"), LAWS, ids=IDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_order_is_recovered_from_particles(problem, law, order, seed):
    run = mf.simulate(problem, 50_000, 0.1, 0, seed=seed, init=law)
    weight = admissible_weight(run.particles, problem=problem)
    inverse, error = weight.evidence["inverse_order"]
    assert weight.order.low <= weight.order.value <= weight.order.high
    assert weight.tail_index.value == np.inf
    if order == np.inf:
        assert weight.order.value == np.inf
        assert inverse < 0.02
    else:
        # Two standard errors fail one time in twenty: allow three.
        assert abs(inverse - 1 / order) < 3 * error
        assert weight.order.value == pytest.approx(order, rel=0.15)
        assert error < 0.06


def test_inverse_order_of_a_sample_has_the_interval_of_its_level(problem):
    run = mf.simulate(problem, 20_000, 0.1, 0, seed=1, init="laplace")
    weight = admissible_weight(run.particles, problem=problem)
    read, error = weight.evidence["inverse_order"]
    for level, z in ((0.95, 1.959964), (0.99, 2.575829)):
        found = weight.inverse_order(level)
        assert (found.value, found.level) == (read, level)
        assert found.high - read == pytest.approx(z * error, rel=1e-6)
        assert read - found.low == pytest.approx(z * error, rel=1e-6)
    assert 1 / weight.inverse_order().high == pytest.approx(weight.order.low)


def test_inverse_order_of_a_compact_sample_is_zero(problem):
    run = mf.simulate(problem, 20_000, 0.1, 0, seed=1, init="uniform-ball")
    found = admissible_weight(run.particles, problem=problem).inverse_order(0.99)
    assert (found.value, found.low) == (0.0, 0.0)
    assert 0 < found.high < 0.05


@pytest.mark.parametrize("nu", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_tail_index_is_recovered_from_particles(problem, nu, seed):
    law = mf.InitialLaw("student-t", nu=nu)
    run = mf.simulate(problem, 50_000, 0.1, 0, seed=seed, init=law)
    weight = admissible_weight(run.particles, problem=problem)
    low, high = weight.tail_index.low, weight.tail_index.high
    error = (2 / low - 2 / high) / (2 * normal_quantile())
    assert abs(2 / weight.tail_index.value - 2 / nu) < 3 * error
    assert high / low < 1.6
    assert weight.tail_index.value == pytest.approx(nu, rel=0.2)
    assert weight.order.value == 0.0
    assert weight.max_order < nu + 1


@pytest.mark.parametrize("nu", [1.5, 3.0, 6.0])
def test_interval_of_the_tail_index_covers_as_stated(nu):
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(40):
        radii = np.abs(rng.standard_t(nu, size=20_000))
        found = tails.read_tail(radii).tail_index
        hits += found.low < nu < found.high
    assert hits >= 34  # of 38 expected, 1 % of the time fewer


def test_interval_of_the_order_covers_as_stated():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        inverse, error = tails.inverse_order(rng.gamma(2.0, size=3000))
        hits += abs(inverse - 1.0) < normal_quantile() * error
    assert hits >= 50  # of 57 expected, 2 % of the time fewer


def test_sample_moments_lie_in_their_intervals():
    points = np.random.default_rng(3).normal(size=(4, 25_000, 3))
    weight = admissible_weight(points)
    exact = log_moments(mf.InitialLaw("gaussian"), np.ones(3), weight.max_order)
    moments = weight.log_moments
    assert ((moments.low < exact) & (exact < moments.high)).mean() > 0.8
    assert 8 <= weight.max_order <= 24
    more = admissible_weight(np.random.default_rng(3).normal(size=(400_000, 3)))
    assert more.max_order > weight.max_order


@pytest.mark.parametrize(("law", "order"), LAWS, ids=IDS)
def test_scales_of_their_own_do_not_change_the_order(problem, law, order):
    elliptical = mf.InitialLaw(law.law, (1.0, 0.4, 3.0), rho=law.rho, nu=law.nu)
    weight = admissible_weight(elliptical.sample(problem, 50_000, seed=1).T)
    inverse, error = weight.evidence["inverse_order"]
    assert inverse == pytest.approx(1 / order, abs=max(3 * error, 1e-3))
    assert (weight.order.value == np.inf) == (order == np.inf)


def test_correlation_does_not_change_the_order():
    rng = np.random.default_rng(8)
    points = rng.normal(size=(50_000, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    assert admissible_weight(points).order.value == pytest.approx(2.0, rel=0.05)
    student = points / np.sqrt(rng.chisquare(3.0, size=(50_000, 1)) / 3.0)
    found = admissible_weight(student).tail_index
    assert found.low < 3.0 < found.high
    dependent = np.column_stack([points, points[:, 0] - points[:, 1]])
    assert admissible_weight(dependent).order.value == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("seed", range(2))
def test_a_shift_does_not_change_the_order(seed):
    rng = np.random.default_rng(seed)
    for law, order in ((rng.normal, 2.0), (rng.laplace, 1.0)):
        assert admissible_weight(law(size=(20_000, 1)) + 1).order.value == pytest.approx(
            order, rel=0.12
        )
        points = law(size=(20_000, 3)) * [1.0, 0.5, 2.0] + [3.0, 0.0, -5.0]
        assert admissible_weight(points).order.value == pytest.approx(order, rel=0.12)
    assert admissible_weight(rng.uniform(-1, 1, (20_000, 1)) + 1).order.value == np.inf
    found = admissible_weight(rng.standard_t(4, size=(50_000, 1)) + 2).tail_index
    assert found.low < 4.0 < found.high
    # A law of one sign is its own radius, and has no centre but an end.
    one_sided = rng.exponential(size=(20_000, 1))
    near = admissible_weight(one_sided)
    assert near.order.value == pytest.approx(1, rel=0.12)
    for offset in (3.0, 1e4):
        for sample in (one_sided + offset, -one_sided - offset):
            assert admissible_weight(sample).order.value == pytest.approx(
                near.order.value, rel=0.02
            )


def test_atoms():
    rng = np.random.default_rng(9)
    assert admissible_weight(rng.choice([-1.0, 1.0], size=(5000, 1))).order.value == np.inf
    silent = rng.normal(size=(40_000, 1)) * (rng.random((40_000, 1)) < 0.5)
    assert admissible_weight(silent).order.value == pytest.approx(2.0, rel=0.1)
    assert not tails.read_tail(np.where(np.arange(5000) < 100, 1.0, 0.0)).is_power_law


@pytest.mark.parametrize("order", [0.0, -1.0, np.nan])
def test_a_weight_has_a_positive_order(order):
    weight = admissible_weight("gaussian", dimension=2)
    for method in (weight.growth, weight.growth_exponent, weight.admits):
        with pytest.raises(ValueError, match="order must be"):
            method(order)
    assert not weight.admits(np.inf)


def test_a_sample_of_words_is_refused():
    with pytest.raises(TypeError, match="an array of numbers, got list"):
        admissible_weight([["a", "b"]])


def test_scale_does_not_matter():
    points = np.random.default_rng(5).laplace(size=(20_000, 1))
    base = admissible_weight(points)
    for factor in (1e-150, 1e-22, 1e-6, 1e6, 1e25, 1e150):
        other = admissible_weight(factor * points)
        assert other.order.value == pytest.approx(base.order.value, rel=1e-3)
        assert other.max_order == base.max_order
        k = np.arange(1, base.max_order + 1)
        np.testing.assert_allclose(
            other.log_moments.value,
            base.log_moments.value + k * np.log(factor),
            rtol=1e-9,
            atol=1e-9,
        )


def test_frozen_coordinates_do_not_count(problem):
    frozen = problem.replace(train=("w", "b"))
    run = mf.simulate(frozen, 20_000, 0.1, 0, seed=1)
    with_problem = admissible_weight(run.particles, problem=frozen)
    without = admissible_weight(run.particles)
    np.testing.assert_array_equal(with_problem.log_moments.value, without.log_moments.value)
    exact = admissible_weight("gaussian", problem=frozen)
    np.testing.assert_allclose(
        exact.log_moments.value, log_moments(mf.InitialLaw(), np.ones(2), 64)
    )


# Propagation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian", "laplace", "uniform-ball", "student-t"])
def test_growth_stays_bounded_and_a_heavier_weight_fails(problem, name):
    law = mf.InitialLaw(name, nu=4.5 if name == "student-t" else None)
    weight = admissible_weight(law, problem=problem)
    run = mf.simulate(problem, 20_000, 0.5, 100, seed=2, init=law, save_at=[0, 1, 10, 50, 100])
    path = moment_propagation(run, weight)
    growth = path.growth.value
    assert growth[0] == pytest.approx(1.0, abs=0.05)
    assert (growth < 3.0).all()
    assert growth[-1] == pytest.approx(growth[-2], rel=0.1)
    assert (path.growth.low <= growth).all()
    assert (growth <= path.growth.high).all()
    if name in ("gaussian", "laplace"):
        heavier = path.heavier[0, : path.max_orders[0]]
        assert (np.diff(heavier) > 0).all()
        assert heavier[-1] > 2.5
    assert np.isnan(path.heavier[0, path.max_orders[0] :]).all()


def test_growth_is_that_of_plain_means():
    """With w* from the particles themselves, and no noise, G is that of plain means."""
    x = np.array([[0.5], [-1.0]])
    problem = mf.Problem(x, x[:, 0], l2=0.05, temperature=0.0)
    run = mf.simulate(problem, 2000, 0.1, 10, seed=1)
    own = admissible_weight(run.at(0), problem=problem, max_order=4)
    path = moment_propagation(run, own)
    assert path.growth[0].value == pytest.approx(1.0)
    radius = np.linalg.norm(run.particles.coordinates[0], axis=1)
    k = np.arange(1, 5)
    logs = (np.log(np.mean(radius[:, None] ** k, axis=0)) - own.log_moments.value) / k
    assert path.growth[1].value == pytest.approx(np.exp(logs.max()))
    assert path.growth.resampled == "particles"


def test_moments_that_no_order_supports_are_told(problem):
    loud = problem.replace(y=1e6 * problem.y)
    law = mf.InitialLaw("student-t", nu=5.0)
    run = mf.simulate(loud, 1000, 0.25, 40, init=law, save_at=[0, 13, 27, 40])
    with pytest.raises(ValueError, match="smaller step size"):
        moment_propagation(run, admissible_weight(law, problem=loud))


# Boundary -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "keywords", "reason"),
    [
        ("gaussian", {}, "dimension"),
        ("gauss", {"dimension": 2}, "Did you mean 'gaussian'"),
        (mf.InitialLaw(scale=(1.0, 2.0, 1.0)), {"dimension": 2}, "needs problem="),
        (mf.InitialLaw(scale=0.0), {"dimension": 2}, "every scale is 0"),
        (np.ones((5000, 2)), {}, "All points are equal"),
        (np.zeros((10, 2)), {}, "at least 1000"),
        (np.full((5000, 2), np.nan), {}, "finite"),
        (np.ones(5000), {}, "shape"),
        ("gaussian", {"dimension": 0}, "dimension"),
        ("gaussian", {"dimension": 2, "max_order": 1}, "max_order"),
    ],
)
def test_refuses_and_says_why(argument, keywords, reason):
    with pytest.raises(ValueError, match=reason):
        admissible_weight(argument, **keywords)
