"""The stationary law against closed forms and against brute quadrature."""

import numpy as np
import pytest
from scipy.optimize import brentq

import meanfield as mf
from meanfield.limit import cubature, growth
from meanfield.problem import get_activation
from tests.limit import naive_limit as naive

X1 = np.array([[-0.9], [-0.3], [0.4], [1.1]])
Y1 = np.array([-1.2, 0.1, 0.8, 0.6])


def test_linear_network_is_gaussian():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 1)), rng.normal(size=8)
    problem = mf.Problem(X, y, "identity", train=("w", "b"), l2=0.3, temperature=0.05)
    law = mf.stationary(problem, n_starts=1)
    inputs = np.hstack([X, np.ones((8, 1))])
    mean = np.linalg.solve(inputs.T @ inputs / 8 + 0.3 * np.eye(2), inputs.T @ y / 8)
    np.testing.assert_allclose(law.predictions, inputs @ mean, atol=1e-11)
    np.testing.assert_allclose(law.mean(), mean, atol=1e-11)
    np.testing.assert_allclose(law.covariance(), 0.05 / 0.3 * np.eye(2), atol=1e-10)
    points = rng.normal(size=(5, 2))
    log_density = -0.5 * 0.3 / 0.05 * np.square(points - mean).sum(1)
    log_density += np.log(0.3 / 0.05 / (2 * np.pi))
    np.testing.assert_allclose(law.log_density(points), log_density, atol=1e-9)
    entropy = np.log(2 * np.pi * np.e * 0.05 / 0.3)
    energy = law.loss + 0.15 * (mean @ mean + 2 * 0.05 / 0.3) - 0.05 * entropy
    assert law.free_energy == pytest.approx(energy, abs=1e-11)


def test_relu_without_bias_is_two_half_gaussians():
    problem = mf.Problem(X1, Y1, "relu", bias=False, l2=(0.2, 0.1), temperature=0.02)
    law = mf.stationary(problem)
    x = X1[:, 0]
    slopes = [np.mean((law.predictions - Y1) * np.maximum(s * x, 0)) for s in (1, -1)]
    variances = [0.02 / (0.1 - slope**2 / 0.2) for slope in slopes]
    roots = np.sqrt(variances)
    outputs = np.zeros(4)
    for sign, slope, variance, root in zip((1, -1), slopes, variances, roots, strict=True):
        outputs += np.maximum(sign * x, 0) * -slope / 0.2 * variance * root / roots.sum()
    np.testing.assert_allclose(law.predictions, outputs, atol=1e-11)


def test_square_activation_gives_a_gaussian_of_its_own_precision():
    problem = mf.Problem(X1, [0.5, 0.1, 0.2, 0.4], "he2", train=("w", "b"), l2=0.5, temperature=0.2)
    law = mf.stationary(problem)
    inputs = np.hstack([X1, np.ones((4, 1))])
    r = law.predictions - problem.y
    precision = (0.5 * np.eye(2) + 2 / 4 * (inputs.T * r) @ inputs) / 0.2
    outputs = np.einsum("ji,ik,jk->j", inputs, np.linalg.inv(precision), inputs) - 1
    np.testing.assert_allclose(law.predictions, outputs, atol=1e-10)
    np.testing.assert_allclose(law.covariance(), np.linalg.inv(precision), atol=1e-9)


def test_one_parameter_against_a_bisection_on_a_brute_grid():
    x, y, tau, l2 = 0.8, 0.7, 0.03, 0.1
    problem = mf.Problem([[x]], [y], "tanh", bias=False, train=("w",), l2=l2, temperature=tau)
    w = np.linspace(-12, 12, 200_001)

    def residual(f):
        weights = np.exp(-((f - y) * np.tanh(w * x) + l2 * w**2 / 2) / tau)
        return f - weights @ np.tanh(w * x) / weights.sum()

    law = mf.stationary(problem)
    assert law.predictions[0] == pytest.approx(brentq(residual, -1, 1, xtol=1e-14), abs=1e-11)


@pytest.mark.parametrize("temperature", [0.1, 0.005])
def test_two_parameters_against_a_grid_ten_times_finer(temperature):
    problem = mf.Problem(X1, Y1, "tanh", bias=False, l2=0.1, temperature=temperature)
    law = mf.stationary(problem)
    a, w = np.linspace(-16, 16, 1601), np.linspace(-16, 16, 3201)
    outputs = naive.gibbs_predictions(problem, law.predictions, (a, w))
    np.testing.assert_allclose(law.predictions, outputs, atol=1e-10)
    assert max(law.residual, law.grid_error, law.start_spread) < 1e-8


def test_three_parameters_against_a_brute_grid():
    problem = mf.Problem(X1[:3], Y1[:3], "tanh", l2=0.3, temperature=0.15)
    law = mf.stationary(problem)
    axes = (np.linspace(-8, 8, 61), np.linspace(-8, 8, 161), np.linspace(-8, 8, 161))
    outputs = naive.gibbs_predictions(problem, law.predictions, axes)
    np.testing.assert_allclose(law.predictions, outputs, atol=1e-8)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("logistic", [1.0, -1.0, 1.0, 1.0]),
        ("cross-entropy", [0, 1, 1, 0]),
        ("squared", np.stack([Y1, Y1**2], 1)),
    ],
)
def test_every_loss_against_a_brute_grid(loss, y):
    problem = mf.Problem(X1, y, "tanh", loss, bias=False, l2=0.3, temperature=0.1)
    law = mf.stationary(problem)
    k = problem.n_outputs
    axes = (np.linspace(-7, 7, 71),) * k + (np.linspace(-7, 7, 141),)
    f = law.predictions.reshape(4, k)
    np.testing.assert_allclose(
        f, naive.gibbs_predictions(problem, f, axes).reshape(4, k), atol=1e-9
    )


@pytest.mark.parametrize(
    ("activation", "bias", "train"),
    [
        ("relu", True, ("a", "w", "b")),
        ("abs", True, ("w", "b")),
        ("silu", True, ("a", "w", "b")),
        ("sin", False, ("a", "w")),
        ("sigmoid", True, ("w", "b")),
    ],
)
def test_certificates_hold_over_activations(activation, bias, train):
    problem = mf.Problem(X1, Y1, activation, bias=bias, train=train, l2=0.1, temperature=0.02)
    law = mf.stationary(problem, n_starts=3)
    assert law.residual < 1e-9
    assert law.grid_error < 1e-8
    assert law.start_spread < 1e-8
    assert 0 <= law.duality_gap < 1e-12
    np.testing.assert_allclose(law.predict(X1), law.predictions, atol=1e-12)


def test_no_law_near_by_has_a_lower_free_energy():
    """The free energy of the Gibbs law at λ, τ is below that of the laws at λ', τ'."""
    problem = mf.Problem(X1, Y1, "tanh", bias=False, train=("w",), l2=0.1, temperature=0.05)
    best = mf.stationary(problem).free_energy
    w = np.linspace(-15, 15, 20_001)
    for changes in ({"l2": 0.12}, {"temperature": 0.06}, {"y": Y1 + 0.1}):
        other = mf.stationary(problem.replace(**changes))
        log_density = other.log_density(w[:, None])
        mass = np.exp(log_density) * (w[1] - w[0])
        energy = problem.risk(other.predictions) + mass @ (0.05 * w**2 + 0.05 * log_density)
        assert energy > best + 1e-6


def test_density_integrates_to_one_and_is_that_of_the_samples():
    problem = mf.Problem(X1, Y1, "tanh", bias=False, l2=0.1, temperature=0.02)
    law = mf.stationary(problem)
    a, w = np.linspace(-9, 9, 361), np.linspace(-14, 14, 561)
    density = law.density(np.stack(np.meshgrid(a, w, indexing="ij"), -1))
    assert density.sum() * (a[1] - a[0]) * (w[1] - w[0]) == pytest.approx(1, abs=1e-9)
    particles = law.sample(40_000, n_replicas=2, seed=3)
    assert particles.a.shape == (2, 40_000)
    points = particles.coordinates.reshape(-1, 2)
    error = points.std(0) / np.sqrt(len(points))
    assert (np.abs(points.mean(0) - law.mean()) < 4 * error).all()
    centred = points - law.mean()
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(0) / np.sqrt(len(points))
    assert (np.abs(products.mean(0) - law.covariance()) < 4 * error).all()
    outputs = points[:, :1] * np.tanh(points[:, 1:] * X1[:, 0])
    error = outputs.std(0) / np.sqrt(len(points))
    assert (np.abs(outputs.mean(0) - law.predictions) < 4 * error).all()
    np.testing.assert_array_equal(law.sample(10, seed=3).w, law.sample(10, seed=3).w)


def test_long_run_of_the_particles_ends_there():
    problem = mf.Problem(X1, Y1, "tanh", bias=False, l2=0.2, temperature=0.05)
    law = mf.stationary(problem)
    run = mf.simulate(problem, 2000, 0.05, 1200, seed=2, n_replicas=8, init="gaussian")
    outputs = run.predictions[:, -1]
    error = outputs.std(0, ddof=1) / np.sqrt(8)
    np.testing.assert_array_less(np.abs(outputs.mean(0) - law.predictions), 5 * error + 0.005)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"temperature": 0.0}, "temperature 0"),
        ({"l2": (0.0, 0.1)}, "l2_output = 0"),
        ({"l2": (0.1, 0.0)}, "l2_input = 0"),
        ({"train": ("w",), "l2": 0.0, "bias": False}, "l2_input = 0"),
        ({"activation": "he3"}, "he3 makes −V grow"),
        ({"activation": "he2"}, "he2 makes −V grow"),
        ({"activation": "he3", "train": ("w", "b")}, "he3 makes −V grow"),
        ({"activation": "he4", "train": ("w", "b"), "y": Y1 + 9}, "No normalisable"),
        ({"activation": "relu", "train": ("w", "b"), "l2": 0.0}, "No normalisable"),
        ({"train": ("a",)}, "w and b is frozen"),
        ({"X": np.ones((4, 3))}, "at most 3 input parameters"),
    ],
)
def test_says_why_there_is_no_law(arguments, reason):
    problem = mf.Problem(**({"X": X1, "y": Y1, "l2": 0.1, "temperature": 0.1} | arguments))
    with pytest.raises(ValueError, match=reason):
        mf.stationary(problem)


def test_confinement_by_the_data_alone():
    """|w| with targets below reach pushes every weight back: a law without any penalty."""
    problem = mf.Problem(X1, -np.ones(4), "abs", bias=False, train=("w",), l2=0.0, temperature=0.1)
    law = mf.stationary(problem)
    rate = np.mean((law.predictions + 1) * np.abs(X1[:, 0])) / 0.1
    np.testing.assert_allclose(law.predictions, np.abs(X1[:, 0]) / rate, atol=1e-10)


@pytest.mark.slow
def test_mass_that_escapes_to_infinity_is_told():
    x = np.linspace(-1, 1, 12)
    problem = mf.Problem(x[:, None], np.sin(3 * x), "softplus", l2=0.01, temperature=0.01)
    with pytest.raises(ValueError, match="a vanishing share of the neurons takes unbounded"):
        mf.stationary(problem, n_starts=1)


@pytest.mark.parametrize("q", [1, 2, 3])
def test_cubature_of_a_narrow_gaussian_and_its_refinement(q):
    centre = np.array([0.3, -0.7, 0.2])[:q]

    def energy(theta):
        return -np.square(theta - centre).sum(1) / (2 * 0.05**2)

    grid = cubature.adaptive_grid(energy, cubature.cartesian(q), 10.0, 1e-7)
    expected = q * np.log(0.05 * np.sqrt(2 * np.pi))
    assert grid.log_integral == pytest.approx(expected, abs=1e-10)
    assert cubature.refined(energy, grid).log_integral == pytest.approx(expected, abs=1e-12)
    nodes, weights = grid.measure
    np.testing.assert_allclose(weights @ nodes, centre, atol=1e-10)


def test_polar_cells_end_at_the_kinks():
    kinks = np.array([0.4, 1.7, 4.0])
    normals = np.stack([-np.sin(kinks), np.cos(kinks)], 1)

    def energy(theta):
        return -np.square(theta).sum(1) - np.abs(theta @ normals.T).sum(1)

    aligned = cubature.adaptive_grid(
        energy, cubature.polar(np.append(kinks, kinks + np.pi)), 8, 1e-7
    )
    fine = cubature.adaptive_grid(energy, cubature.polar(kinks[:0]), 8, 1e-9)
    assert cubature.refined(energy, aligned).log_integral == pytest.approx(
        aligned.log_integral, abs=1e-12
    )
    assert aligned.log_integral == pytest.approx(fine.log_integral, abs=1e-7)


@pytest.mark.parametrize("name", ["tanh", "silu", "gelu", "softplus", "relu", "leaky_relu", "abs"])
@pytest.mark.parametrize("trained_output", [True, False])
def test_tail_bounds_the_potential_on_every_sphere(name, trained_output):
    rng = np.random.default_rng(1)
    inputs, r = rng.normal(size=(7, 2)), rng.normal(size=(7, 1))
    sigma = get_activation(name)
    bound = growth.density_bound(sigma, inputs, r, 0.5 if trained_output else None, 0.8)
    for radius in (0.1, 1.0, 10.0, 100.0):
        theta = radius * growth.directions(2)
        g = (sigma.value(theta @ inputs.T) @ r / 7)[:, 0]
        gain = g**2 / (2 * 0.5) if trained_output else -g
        highest = (gain - 0.4 * radius**2).max()
        limit = bound.coefficients @ radius ** np.arange(3.0)
        assert highest <= limit + 1e-9 * abs(limit)
    if bound.normalisable:
        assert bound.coefficients @ (1.01 * bound.radius(-5.0)) ** np.arange(3.0) < -5.0


def test_arguments_are_checked():
    x = np.linspace(-1, 1, 4)[:, None]
    problem = mf.Problem(x, x[:, 0], bias=False, l2=0.1, temperature=0.05)
    law = mf.stationary(problem, max_iterations=50.0)
    for wrong, kind in ((0, ValueError), (2.5, TypeError), ("a", TypeError)):
        with pytest.raises(kind, match="max_iterations must be an integer"):
            mf.stationary(problem, max_iterations=wrong)
    with pytest.raises(RuntimeError, match="max_iterations=1; allow more"):
        mf.stationary(problem, max_iterations=1)
    for method, name in ((law.predict, "X"), (law.log_density, "theta")):
        with pytest.raises(TypeError, match=f"{name} must hold numbers"):
            method("abc")
        with pytest.raises(ValueError, match=f"{name} must be finite"):
            method([[np.nan]])
    with pytest.raises(ValueError, match="m at least 1"):
        law.predict(np.empty((0, 1)))
