"""From particles to the few atoms that carry them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from meanfield import checks
from meanfield.dictionary.at_rest import dictionary_at_rest
from meanfield.dictionary.certificate import dual_certificate
from meanfield.dictionary.fitting import (
    AGREEMENT,
    FLOOR,
    NETWORK_FLOOR,
    Prior,
    as_places,
    converged,
    fit_atoms,
    label_regression,
    make_regression,
    read_network,
    relative_gap,
)
from meanfield.dictionary.likelihood import Likelihood, has_likelihood, is_classification
from meanfield.dictionary.minimiser import no_rest
from meanfield.dictionary.path import SizePath, explore
from meanfield.dictionary.potential import PenalisedPotential
from meanfield.dictionary.refit import Array, Fit, Regression
from meanfield.dictionary.rest import Rest, come_to_rest
from meanfield.dictionary.result import NOT_AT_REST, Dictionary
from meanfield.dictionary.score_process import size_set
from meanfield.dictionary.separated import of_own_size, separated
from meanfield.dictionary.support import (
    Crowd,
    collect,
    crowd_count,
    masses,
    shares,
    stray_crowds,
    structure,
)
from meanfield.dictionary.uncertainty import atom_intervals
from meanfield.errors import ArgumentError
from meanfield.identify import Atoms
from meanfield.problem import Problem
from meanfield.system.threads import fixed_blas

MOST_ATOMS = 24
"""Largest number of atoms, unless another is given."""
SUPPORT = 0.2
"""Least part of an atom's coefficient that the network itself must have."""
COUNTED_AT_REST = (
    "With target = 'rest' (atoms.target) the atoms are counted that minimise the training "
    "objective, which are the same for every network."
)
"""Another question, which has an answer whatever the labels determine."""
LONGEST = 1.5
"""Length that an atom of a network may have, in lengths of its longest neuron."""


@fixed_blas()
def extract_dictionary(
    particles: Any,
    problem: Problem,
    *,
    target: str | None = None,
    max_atoms: int | None = None,
    normalisation: str = "mean",
    seed: int = 0,
) -> Dictionary:
    r"""Find the few atoms that carry a trained network.

    Particles that together carry all but a hundredth of the network are its active mass. Their
    crowds seed dictionaries of every size, from above by pruning and from below by adding the
    particle that explains most; atoms and coefficients are refit jointly by variable projection.
    The number of atoms is the size of least BIC. It is believed when the network has these atoms
    and its particles crowd around them. Atoms that the labels call for and the network lacks are
    left out, the others are then refit to the network, and the certificate shows what is missing.

    Refit to labels, the BIC is that of the labels, for classes by their deviance. Refit to the
    network, it is that of the network's predictions, for which a residual of two percent counts as
    none: what the network itself is made of, whatever the labels would pay for. The certificate is
    then that of the potential which the particles descend, penalty included, where there is one.

    At rest, the atoms are those of the minimiser of the training objective over all distributions
    of neurons, which the long-time limit tends to as the temperature goes to zero: a property of
    the problem (`meanfield.dictionary.sparse_minimiser`), with a duality gap that certifies it. The
    network says how near it has come.

    Parameters
    ----------
    particles : Particles, Atoms, or tuple (a, w) or (a, w, b)
        The network; replicas are pooled. Plain arrays may come from any library.
    problem : Problem
        What it was trained on.
    target : {"labels", "network", "rest"}, optional
        What atoms are refit to; at rest nothing is (see above). Labels undo the bias of the
        penalty, and are the default where
        data are enough to determine four atoms: by least squares for the squared loss, unless
        labels take two values only, by the likelihood for the logistic loss and cross-entropy. The
        network's own predictions are the default otherwise.
    max_atoms : int, optional
        Largest number of atoms; by default 24, at rest 128. Less where data are too few for so
        many.
    normalisation : {"mean", "sum"}
        Whether the network is ``(1/N) Σ a_i σ`` or, as is usual elsewhere, ``Σ a_i σ``: plain
        arrays of PyTorch need ``"sum"``, or are read N times too small. (Unlike here, ``"sum"`` is
        the default of `Particles.from_state_dict`, whose particles need nothing more.)
    seed : int
        Seed of the random starts of the certificate.

    Returns
    -------
    Dictionary
        Atoms, coefficients, masses, residual by size, certificate, and a statement.

    Raises
    ------
    TypeError, ValueError
        If `particles` cannot be read, shapes disagree, an entry is not finite, the activation has
        no atoms, labels are the target of a loss that is no likelihood, or a network cannot come to
        rest because a parameter is not trained or not penalised.

    Notes
    -----
    Operational definition, after the abstract of [ISD]: the active support of the long-time limit,
    modulo the realisation symmetry. Atoms of polynomial activations are linearly dependent, so that
    other atoms may make the same function: see `meanfield.identify.equivalent`.

    Examples
    --------
    >>> import numpy as np, meanfield as mf
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = 2 * np.tanh(1.5 * X[:, 0])
    >>> problem = mf.Problem(X, y, activation="tanh", bias=False, l2=0.001, temperature=1e-5)
    >>> run = mf.simulate(problem, n_particles=100, step_size=1.0, n_steps=1000)
    >>> mf.extract_dictionary(run.particles, problem).n_atoms
    1
    """
    checks.instance("problem", problem, Problem)
    seed = checks.seed(seed)
    network = _read(particles, problem, normalisation)
    predictions = network.predict(problem.X).reshape(problem.targets.shape)
    if checks.choice("target", target or "labels", ("labels", "network", "rest")) == "rest":
        return dictionary_at_rest(network, problem, predictions, max_atoms, seed)
    regressions = {
        "network": make_regression(problem, predictions),
        "labels": label_regression(problem),
    }
    classes = is_classification(problem.loss)
    # A label of a class says less than a number.
    sparse, each = False, 10 if classes else 3
    if target is None:
        enough = has_likelihood(problem.loss) and _limit(regressions["labels"], None, each) >= 4
        # By least squares, atoms that separate two values have no finite length.
        apart = not classes and len(np.unique(problem.targets)) <= 2
        target = "labels" if enough and not apart else "network"
        sparse = problem.loss.name == "squared" and not enough
    own = target == "network"
    if not own and not has_likelihood(problem.loss):
        raise ArgumentError(
            "target",
            message=f"target='labels' fits by likelihood, which the {problem.loss.name} loss of "
            "the problem is not; use target='network'.",
        )
    to_network, regression = regressions["network"], regressions[target]
    crowd = collect(regression, network, problem.bias)
    if own:
        # What is longer is none of the network's: predictions near ±1 alone would like steps.
        regression = replace(regression, longest=LONGEST * _longest(crowd.places))
        to_network = regression
    floor = (NETWORK_FLOOR if own else FLOOR) ** 2 * regression.total

    def score(fit: Fit) -> float:
        """Return −2 log likelihood, with the variance at its best."""
        if not own and classes:
            return fit.rss
        rss = fit.rss
        if not own:
            rss = float(((regression.Y - regression.predict(fit)) ** 2).sum())
        return regression.n_numbers * np.log(max(rss, floor, 1e-300) / regression.Y.size)

    noise = float(((regression.Y - predictions) ** 2).mean())
    # What counts as nothing of a network determines no place: there the prior holds.
    least = floor / regression.Y.size if own else 0.0
    if classes and not own:
        noise = least = 1.0  # of a deviance
    path = SizePath(regression, crowd, score, noise=noise, floor=floor, least=least)
    # Labels are noisy, predictions are not.
    numbers = 1 if own else each
    limit = _limit(regression, max_atoms, numbers)
    explore(path, limit)

    best = path.best()
    rest = _rest(problem, predictions, to_network, crowd) if own else None
    # Where neurons have settled, their wells say it.
    settled = rest is not None and rest.settled and rest.wells == best
    size_range, p_values = size_set(path, best, noisy=not own, settled=settled, seed=seed)
    fit = path.fits[best]
    share, resolved = shares(to_network, fit)
    support = SUPPORT
    if classes and not own:
        # A penalty shrinks all logits, and more where classes are apart.
        support *= min(1.0, _ratio(to_network, regression.predict(fit)))
    absent = (share < support) & resolved
    if absent.any():
        target, fit = "network", converged(to_network, fit.places[~absent], crowd.places)
    prior = Prior.of(regressions[target], crowd.places)
    labelled = regressions["labels"]
    if target == "labels" and isinstance(labelled, Likelihood) and separated(labelled, fit):
        prior = of_own_size(prior, crowd.places)
        fit = prior.at(labelled, 1.0).refit(fit.places, 100)
    function, compressed = (
        fit_atoms(problem, some, masses(regression, some.places, crowd))
        for some in (
            fit,
            fit if target == "network" else converged(to_network, fit.places, crowd.places),
        )
    )
    places = as_places(function, problem.bias)
    held = regressions[target]
    if classes and target == "labels":
        held = prior.at(held, 1.0)
    again = held.linear(places)
    share, resolved = shares(to_network, again)
    spread, null_spread, crowded = structure(regression, places, crowd, problem.n_features, seed)
    gap, compression_gap = (
        relative_gap(to_network, predictions - atoms.predict(problem.X).reshape(predictions.shape))
        for atoms in (function, compressed)
    )
    stray = stray_crowds(regressions[target], again, crowd, own=target == "network")
    if own and not crowded:
        # No crowds, no number: from the least that comes near to as many as there are crowds.
        near = [size for size in path.fits if path.residual(size) <= AGREEMENT]
        possible = {*size_range, min(near, default=best), crowd_count(crowd)}
        size_range = tuple(range(min(possible), max(possible) + 1))
    elif len(stray):
        size_range = tuple(sorted({*size_range, *range(best, best + len(stray) + 1)}))
    # A penalty makes logits small long before it changes what is predicted.
    between = _probability_gap(problem, predictions, function) if classes else gap
    confidence = path.weight(best)
    # What a network makes of few noisy labels may be their noise.
    few = (
        best > _most(regression, 3 if sparse else numbers)
        or regression.n_numbers <= regression.n_parameters(best) > 0
    )
    doubts = {
        f"{regression.n_inputs} distinct inputs do not determine so many": few,
        "the network is zero, affine part aside": to_network.is_zero,
        "the search was cut off at max_atoms": best == limit and path.fits[limit].rss > floor,
        "neighbouring sizes explain the labels about as well": confidence < 0.9,
        f"as many as {max(size_range)} cannot be excluded": max(size_range) > best,
        f"as few as {min(size_range)} cannot be excluded": min(size_range) < best,
        f"the labels call for {absent.sum()} more that the network lacks": absent.any(),
        f"the network does not resolve {(~resolved).sum()} of them": not resolved.all(),
        "an atom is as long as was allowed, which data do not determine": own
        and _longest(places) > 0.99 * regression.longest,
        f"dictionary and network differ by {between:.0%}": between > AGREEMENT,
        f"{stray.sum():.0%} of the network crowds where there is no atom, and "
        f"{'that is no small part' if target == 'network' else 'labels do not exclude one'}": (
            len(stray) > 0
        ),
        f"particles do not crowd around the atoms (spread {spread:.2g}, {null_spread:.2g} without "
        "structure)": not crowded,
    }
    reasons = [text for text, holds in doubts.items() if holds]
    if not len(crowd.places):
        reasons = ["no particle is active"]
    penalised = own and problem.l2_output > 0 and "a" in problem.train
    certificate = dual_certificate(
        function, problem, penalised=penalised, starts=crowd.places[:200], seed=seed
    )
    intervals = atom_intervals(
        function,
        problem,
        regressions[target].Y,
        (prior.ridge, prior.place_ridge),
        noisy=target == "labels",
    )
    sizes = np.array(sorted(path.fits))
    noun = "atom" if len(places) == 1 else "atoms"
    statement = f"{len(places)} {noun}, weight {confidence:.3f} among sizes"
    statement += f", not to be relied on: {'; '.join(reasons)}" if reasons else ""
    statement += f". {certificate}"
    if reasons:
        rest = rest or _rest(problem, predictions, to_network, crowd)
        statement += f" {rest.advice(len(places))}".rstrip() if rest else ""
        statement += f" {COUNTED_AT_REST}" if not no_rest(problem) else ""
    if own and certificate.missing:
        statement += f" {NOT_AT_REST}"
    return Dictionary(
        n_atoms=len(places),
        atoms=places,
        coefficients=function.coefficients,
        function=function,
        compressed=compressed,
        target=target,
        mass=function.mass,
        share=share,
        inactive_mass=function.inactive_mass,
        sizes=sizes,
        residual=np.array([path.residual(size) for size in sizes]),
        criterion=np.array([path.criterion(size) for size in sizes]),
        p_values=p_values,
        n_atoms_set=tuple(sorted({*size_range, len(places)})),
        intervals=intervals,
        network_gap=gap,
        compression_gap=compression_gap,
        spread=spread,
        null_spread=null_spread,
        certificate=certificate,
        confidence=confidence,
        confident=not reasons,
        statement=statement,
    )


def _read(particles: Any, problem: Problem, normalisation: str) -> Atoms:
    """Check particles against the problem."""
    if problem.activation.degree == 1:
        raise ArgumentError(
            "activation",
            message=f"Networks with activation {problem.activation.name!r} are affine and have no "
            "atoms.",
        )
    return read_network("particles", particles, problem, normalisation)


def _limit(regression: Regression, max_atoms: int | None, numbers: int) -> int:
    """Return the largest number of atoms that leaves so many numbers for each parameter."""
    most = max(1, _most(regression, numbers))
    return min(MOST_ATOMS if max_atoms is None else checks.count("max_atoms", max_atoms), most)


def _most(regression: Regression, numbers: int) -> int:
    """Return how many atoms the distinct inputs determine, with so many numbers a parameter."""
    k = regression.outputs.shape[1]
    free = regression.X.shape[1] + k
    return regression.n_inputs * regression.labels_each // (numbers * free)


def _longest(places: Array) -> float:
    """Return the largest length; zero without places."""
    return float(np.linalg.norm(places, axis=1).max(initial=0.0))


def _rest(
    problem: Problem, predictions: Array, regression: Regression, crowd: Crowd
) -> Rest | None:
    """Let neurons come to rest where their potential, penalty included, has least values."""
    if not (problem.l2_output > 0 and "a" in problem.train and len(crowd.places)):
        return None
    signals = problem.loss.derivative(predictions, problem.targets)
    return come_to_rest(PenalisedPotential.of(problem, signals), regression, crowd)


def _ratio(regression: Regression, f: Array) -> float:
    """Return the factor on a function that comes nearest to the target, affine part aside."""
    f = regression.without_affine(f)
    return max(float((f * regression.target).sum()) / max(float((f**2).sum()), 1e-300), 0.0)


def _probability_gap(problem: Problem, predictions: Array, function: Atoms) -> float:
    """Return the distance of class probabilities relative to their variation over the inputs."""
    Y, loss = problem.targets, problem.loss
    signals = loss.derivative(function.predict(problem.X).reshape(Y.shape), Y)
    own = loss.derivative(predictions, Y)
    # At the same labels, signals differ by as much as probabilities do.
    varying = own - loss.derivative(np.zeros_like(predictions), Y)
    size = np.linalg.norm(varying - varying.mean(axis=0))
    return float(np.linalg.norm(signals - own) / max(float(size), 1e-300))
