"""The intermediate networks: population, training sets, finite time and width, few atoms.

Each function takes the plan and the arrays of those before it and returns arrays, so that finished
ones can be stored. Networks are compared under *synchronous coupling*: the same start and the same
noise, so that a difference between two of them is not drowned in the noise of each.

- Every long-time network starts from the settled population network and runs with the noise of
  `WINDOW`: the population's, those of the training sets, and the two that show the population's
  own error. Its predictions are a time average. Those of the sizes that only the law in n needs
  have few of the particles: what this takes away is in the population's few as well, and drops out
  of their difference.
- At finite time two wide systems run with the noise of the replica: one from the initial law, one
  from the long-time law. Their difference is what is left to learn at time t, without fluctuations.
  Beyond four times the budget's time, where only its decay is read, half of their particles go on.
- A network of N particles is part of the first of them: the same start and noise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from meanfield.chaos.response.predict import predict as predict_response
from meanfield.decomposition.compress import compress
from meanfield.decomposition.error_plan import Array, ErrorPlan, l2_norms, mean_squares
from meanfield.flow.particles import Particles, particles_at
from meanfield.flow.run import Run, predict
from meanfield.flow.scheme import Scheme
from meanfield.flow.simulate import simulate_scheme
from meanfield.problem import Problem
from meanfield.system.progress import Progress, SharedProgress

Arrays = dict[str, Array]

#: Noise indices of the long runs, away from those of the replicas.
SETTLE, WINDOW = 2**30, 2**30 + 2**16
#: Snapshots of a time average.
SNAPSHOTS = 16
#: Rounds, each twice as long as the last, before the stopping rule gives up.
MAX_ROUNDS = 8
#: The other start from which the relaxation is measured, relative to the initial law. A wider one,
#: so that the spread of the particles, which relaxes most slowly, is out of place from both.
OTHER_SCALE = 1.5
#: Systems of a prediction of the chaos component: training sets differ by more than its error.
_SYSTEMS = 4


def population(plan: ErrorPlan, progress: Progress | None = None) -> Arrays:
    """Settle the population network and average it over time.

    Stopping rule: rounds of doubling length; stop when the time average of the predictions over a
    round differs from that over the round before, half as long, by less than `tolerance` of its
    norm. Returns ``prediction`` (m, k); ``halves`` (2, m, k), over the two halves of the time;
    ``few_particles`` (2, m, k), the same with few of the particles, and ``half_data`` (m, k), with
    half the inputs, where these are drawn; ``moves`` of the rounds; ``window`` (burn-in, averaged
    steps); ``settled`` (M, C), the particles.
    """
    problem = plan.with_data(*plan.population)
    # The rounds are not known beforehand: three of them in the estimate.
    unit = plan.settle_steps * problem.n_data
    bar = SharedProgress(progress, 16 * unit)
    run = simulate_scheme(
        problem,
        plan.scheme.steady(plan.settle_steps),
        plan.long_particles,
        first_replica=SETTLE,
        progress=bar.part(unit),
    )
    particles, length, moves = run.particles, plan.settle_steps, []
    before: Array | None = None
    for k in range(1, MAX_ROUNDS + 1):
        share = min(2.0 ** (k - 1), 4.0) * unit / 2 ** max(k - 3, 0)
        outputs, trajectory = _average(
            plan, problem, particles, 0, length, SETTLE + k, bar.part(share)
        )
        mean, particles = outputs.mean(axis=0), trajectory[-1]
        if before is not None:
            moves.append(l2_norms(mean - before) / max(l2_norms(mean), 1e-300))
            if moves[-1] <= plan.tolerance:
                break
        before, length = mean, 2 * length
    burn, window = length, max(SNAPSHOTS, length // 2)
    full, _ = _average(plan, problem, particles, burn, window, WINDOW, bar.part(6 * unit))
    few = particles.first(plan.few_particles)
    narrower, _ = _average(plan, problem, few, burn, window, WINDOW, bar.part(unit))
    found = {
        "prediction": full.mean(axis=0),
        "halves": _halves(full),
        "few_particles": _halves(narrower),
        "moves": np.array(moves),
        "window": np.array([burn, window]),
        "settled": particles.coordinates[0].astype(plan.scheme.dtype),
    }
    if plan.closed_form:  # of data the inputs are those there are
        half = plan.with_data(*(part[: len(part) // 2] for part in plan.population))
        fewer, _ = _average(plan, half, particles, burn, window, WINDOW, bar.part(2 * unit))
        found["half_data"] = fewer.mean(axis=0)
    return found


def training_sets(
    plan: ErrorPlan, replica: int, population: Mapping[str, Array], progress: Progress | None = None
) -> Arrays:
    """Average the long-time networks of one replica's training sets, coupled to the population's.

    Returns ``differences`` (counts, m, k), the population's prediction less that of each set;
    ``drift`` (m, k), that of the budget's set over the first half of the time less that over the
    second; ``start`` (M, C), particles of the long-time law of this set.
    """
    burn, window = (int(steps) for steps in population["window"])
    settled = particles_at(plan.problem, population["settled"][None])
    bar = SharedProgress(progress, sum(plan.data_counts))
    differences = []
    drift: Array  # the budget's own number is one of the counts
    start: Array
    for n_data in plan.data_counts:
        problem, part = plan.training_set(replica, n_data), bar.part(n_data)
        own = n_data == plan.n_data
        # Training goes on from the budget's own law, where the fewer are seen for long.
        particles = settled if own else settled.first(plan.few_particles)
        outputs, trajectory = _average(plan, problem, particles, burn, window, WINDOW, part)
        first, second = population["halves" if own else "few_particles"] - _halves(outputs)
        differences.append((first + second) / 2)
        if own:
            drift, start = first - second, _pooled(trajectory, plan.path_particles)
    return {
        "differences": np.stack(differences),
        "drift": drift,
        "start": start.astype(plan.scheme.dtype),
    }


def dynamics(
    plan: ErrorPlan, replica: int, sets: Mapping[str, Array], progress: Progress | None = None
) -> Arrays:
    """Follow one replica's training at finite time, in the limit and with N particles.

    Returns ``limit`` (m, k): mean-field network at the budget's time; ``left`` (2, m, k): the same
    from the long-time law less that network, and at twice the time; ``path`` (T,): its mean square
    at `plan.times`; ``other`` (T,): the same from another start; ``networks`` (counts, m, k): N
    particles at the budget's time; ``particles`` (N, C), those of the budget's number; ``halved``
    (2, m, k): as many, trained as long with half the penalty, and at half the temperature.
    """
    problem, n_steps = plan.training_set(replica, plan.n_data), plan.scheme.n_steps
    followed, times = plan.followed, plan.times.tolist()
    narrow = n_steps * (sum(plan.particle_counts) + 2 * plan.n_particles)
    bar = SharedProgress(progress, 3 * plan.followed_steps + narrow)

    def run(
        scheme: Scheme,
        n_particles: int,
        save_at: Sequence[int],
        start: Particles | None = None,
        on: Problem = problem,
        first_step: int = 0,
    ) -> Run:
        return simulate_scheme(
            on,
            scheme,
            n_particles,
            start=start,
            first_step=first_step,
            save_at=save_at,
            first_replica=replica,
            progress=bar.part((scheme.n_steps - first_step) * n_particles),
        )

    def along(scheme: Scheme, at: Particles | None = None) -> Array:
        trajectory: list[Particles] = []
        for n_particles in dict.fromkeys(followed.tolist()):  # more at first, fewer after
            step = times[len(trajectory) - 1] if trajectory else 0
            save_at = [t for t, count in zip(times, followed, strict=True) if count == n_particles]
            part = scheme.shortened(save_at[-1])
            at = None if at is None else at.first(n_particles)
            trajectory += run(part, n_particles, save_at, at, first_step=step).trajectory
            at = trajectory[-1]
        return _outputs(plan, problem, trajectory)

    # The long-time law stays where it is: at the temperature with which training ends.
    horizon = times[-1]
    settled = along(plan.scheme.steady(horizon), particles_at(problem, sets["start"][None]))
    training = plan.training(horizon)
    limit = along(training)
    left = settled - limit
    law = training.init
    assert law is not None  # only a run that is handed its particles has none
    wider = dataclasses.replace(law, scale=tuple(OTHER_SCALE * np.broadcast_to(law.scale, 3)))
    other = settled - along(dataclasses.replace(training, init=wider))
    networks = []
    particles: Array  # the budget's own number is one of the counts
    for n_particles in plan.particle_counts:
        last = run(plan.scheme, n_particles, [n_steps]).particles
        networks.append(_outputs(plan, problem, [last])[0])
        if n_particles == plan.n_particles:
            particles = last.coordinates[0]
    less = problem.replace(l2=(problem.l2_output / 2, problem.l2_input / 2))
    cooler = dataclasses.replace(plan.scheme, temperature=plan.scheme.temperature / 2)
    halved = [
        _outputs(plan, problem, [run(scheme, plan.n_particles, [n_steps], on=on).particles])[0]
        for scheme, on in ((plan.scheme, less), (cooler, problem))
    ]
    at, later = np.searchsorted(times, [n_steps, 2 * n_steps])
    return {
        "limit": limit[at],
        "left": left[[at, later]],
        "path": mean_squares(left),
        "other": mean_squares(other),
        "networks": np.stack(networks),
        "particles": particles,
        "halved": np.stack(halved),
    }


def predicted_chaos(plan: ErrorPlan, replica: int, progress: Progress | None = None) -> Arrays:
    """Predict ``N E ‖f_{n,t} − f_{n,t,N}‖²`` on the held-out inputs for one training set.

    Returns ``constant`` and ``error``, one standard deviation.
    """
    found = predict_response(
        plan.training_set(replica, plan.n_data),
        plan.scheme,
        [plan.scheme.n_steps],
        inputs=plan.X_test,
        n_systems=_SYSTEMS,
        progress=progress,
    ).dataset
    names = {"constant": "function_at_inputs", "error": "function_at_inputs_error"}
    return {name: found[variable].values[0] for name, variable in names.items()}


def few_atoms(
    plan: ErrorPlan, replica: int, network: Mapping[str, Array], progress: Progress | None = None
) -> Arrays:
    """Compress one replica's network to few atoms; see `compress`."""
    particles = particles_at(plan.problem, network["particles"][None])
    return compress(plan.fitting_problem, particles, plan.atom_counts, plan.X_test, progress)


def _average(
    plan: ErrorPlan,
    problem: Problem,
    start: Particles,
    burn: int,
    window: int,
    index: int,
    progress: Progress | None,
) -> tuple[Array, Sequence[Particles]]:
    """Run on from `start`; return predictions (snapshots, m, k) after the burn-in, and particles.

    The noise of `index` is the same for every problem, start and number of particles.
    """
    steps = (burn + np.ceil(np.linspace(0, window, SNAPSHOTS + 1)[1:]).astype(int)).tolist()
    scheme = plan.scheme.steady(steps[-1])
    run = simulate_scheme(
        problem, scheme, start=start, save_at=steps, first_replica=index, progress=progress
    )
    return _outputs(plan, problem, run.trajectory), run.trajectory


def _outputs(plan: ErrorPlan, problem: Problem, trajectory: Sequence[Particles]) -> Array:
    """Return the held-out predictions of one network at several times, (T, m, k)."""
    m = len(plan.X_test)
    return np.stack([predict(problem, at, plan.X_test).reshape(m, -1) for at in trajectory])


def _halves(outputs: Array) -> Array:
    """Return the means over the two halves of the time, (2, m, k)."""
    middle = len(outputs) // 2
    return np.stack([outputs[:middle].mean(axis=0), outputs[middle:].mean(axis=0)])


def _pooled(trajectory: Sequence[Particles], n_particles: int) -> Array:
    """Return the particles of as many late snapshots as it takes, (n_particles, C)."""
    # Evenly spaced in time: the farther apart, the less alike.
    taken = min(-(-n_particles // trajectory[0].n_particles), len(trajectory))
    chosen = np.linspace(len(trajectory) - 1, 0, taken).round().astype(int)
    points = np.concatenate([trajectory[i].coordinates[0] for i in chosen])
    return np.resize(points, (n_particles, points.shape[1]))
