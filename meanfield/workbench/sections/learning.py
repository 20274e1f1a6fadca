"""Whether the networks of a study have learned, by rows that they did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.flow.particles import particles_at
from meanfield.flow.run import penalty, predict, score
from meanfield.problem import Problem
from meanfield.statistics.estimate import Estimate
from meanfield.workbench.headline import Headline, family
from meanfield.workbench.report.formatting import format_estimate, format_number

Array = NDArray[np.floating]

#: A loss that falls by more than this part over the last fifth of a run has not arrived.
_STILL = 0.05
#: Label of the risk with the penalty.
REGULARISED = "Regularised risk at the end"
_NAMES = {"R²": "r2", "accuracy": "accuracy"}


@dataclass(frozen=True, kw_only=True)
class LearningHeadline(Headline):
    """Headline numbers of a study that trains networks, which say whether they have learned."""

    # By "r2" or "accuracy"; of one family, by whether rows were held out.
    held_out: dict[str, Estimate] = family("test_{}")
    trained: dict[str, Estimate] = family("train_{}")
    # Of the training data, with the penalty of the trained parameters.
    regularised_risk: Estimate | None = None

    @property
    def score(self) -> Estimate | None:
        """The score, on held-out rows where there are any; None where none was measured."""
        return next(iter([*self.held_out.values(), *self.trained.values()]), None)


def learned(problem: Problem, networks: Array) -> dict[str, Any]:
    """Return the score and the risk of networks (R, N, C) as fields of a `LearningHeadline`."""
    particles = particles_at(problem, networks)
    found = as_fields(score(problem, particles), problem.X_test is not None)
    risk = problem.risk(predict(problem, particles, problem.X)) + penalty(problem, particles)
    risks = Estimate.mean(risk, resampled="replicas", label=REGULARISED)
    return {**found, "regularised_risk": risks.clip(0.0)}


def as_fields(score: Estimate, held_out: bool) -> dict[str, Any]:
    """Return a score as fields of a `LearningHeadline`."""
    rows = "held-out rows" if held_out else "training rows"
    label = f"{score.label[0].upper()}{score.label[1:]} on {rows}"
    field = "held_out" if held_out else "trained"
    return {field: {_NAMES[score.label]: replace(score, label=label)}}


def linear_baseline(problem: Problem) -> Estimate | None:
    """Return the score of ridge or logistic regression; None without scikit-learn or held-out rows.

    Penalties are chosen by cross-validation on the training rows.
    """
    if problem.X_test is None or find_spec("sklearn") is None:
        return None
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV

    grid = np.logspace(-4, 4, 9)
    if problem.loss.labels == "real":
        search = GridSearchCV(Ridge(), {"alpha": grid}).fit(problem.X, problem.targets)
        outputs = search.predict(problem.X_test)
    else:
        labels = problem.y if problem.y.ndim == 1 else problem.y[:, 0]
        folds = int(min(5, np.unique(labels, return_counts=True)[1].min()))
        if folds < 2:
            return None
        search = GridSearchCV(
            LogisticRegression(max_iter=2000), {"C": grid}, cv=folds, scoring="neg_log_loss"
        ).fit(problem.X, labels)
        outputs = search.decision_function(problem.X_test)
    shape = (1, len(problem.X_test), problem.n_outputs)
    return problem.score(np.reshape(outputs, shape), held_out=True)


def guess(problem: Problem) -> float:
    """Return the score of the best constant answer: 0 for R², else the share of one class."""
    if problem.loss.labels == "real":
        return 0.0
    targets = problem.targets if problem.targets_test is None else problem.targets_test
    return float(np.unique(targets, axis=0, return_counts=True)[1].max() / len(targets))


def unlearned(score: Estimate | None, guessed: float) -> str:
    """Return the sentence about networks that have not learned, or not for certain, else nothing.

    Nothing either where no score was measured.
    """
    if score is None or score.low > guessed:
        return ""
    return learning_sentence(score, guessed, None)


def loss_left(losses: Array, of_constant: float) -> Estimate:
    """Return training losses of networks (R,) relative to that of one answer for all rows.

    NaN where that is zero, or where every network diverged; of one network without an interval.
    """
    losses = losses[np.isfinite(losses)]
    if not len(losses) or not of_constant > 0:
        return Estimate(np.nan)
    return Estimate.mean(losses / of_constant)


def which_unlearned(left: Mapping[str, Sequence[Estimate]]) -> str:
    """Return which kinds of networks have not learned, by what `loss_left` gave, else nothing."""
    shown = []
    for name, losses in left.items():
        percent = [f"{format_number(100 * loss.value)}%" for loss in losses if not _fell(loss)]
        if percent:
            shown.append(f"{name} ({' to '.join(dict.fromkeys([percent[0], percent[-1]]))} of it)")
    if not shown:
        return ""
    return (
        "Not shown to have learned, because the training loss at the end is not below that of one "
        f"answer for all rows: {', '.join(shown)}. What follows describes these networks all the "
        "same; train longer (network.n_steps), or with another network.step_size."
    )


def _fell(loss: Estimate) -> bool:
    """Whether a loss is certainly below that of one answer for all rows, or not known."""
    return not loss.known or (loss.value if loss.interval is None else loss.high) < 1


def learning_sentence(score: Estimate, guessed: float, linear: Estimate | None) -> str:
    """Return whether networks learned, beside the best constant answer and a linear model."""
    name = score.label if score.label[:1] == "R" else score.label[0].lower() + score.label[1:]
    shown = f"{name} {format_estimate(score)}"
    if not score.known:
        return (
            "Whether the networks have learned cannot be said: the labels of the rows that they "
            "are scored on are all the same, so that one answer is right for all of them."
        )
    if score.value > guessed and not score.low > guessed:
        return (
            f"It is not certain that the networks have learned: {shown}, and one answer for all "
            f"rows has {format_number(guessed)}. More held-out rows (data.test_fraction, or a "
            "larger table) would narrow the interval; training longer (run.n_steps), or with less "
            "penalty (problem.l2) or noise (problem.temperature), may raise the score."
        )
    if not score.low > guessed:
        return (
            f"The networks have not learned: {shown}, and one answer for all rows has "
            f"{format_number(guessed)}. Train longer (run.n_steps), with less penalty "
            "(problem.l2) or less noise (problem.temperature); `meanfield init` looks for such "
            "settings. What follows describes networks that do not solve their task."
        )
    beside = f"; one answer for all rows has {format_number(guessed)}"
    if linear is not None:
        beside = f"; a linear model has {format_number(linear.value)}"
    return f"The networks have learned: {shown}{beside}."


def under_way(time: Array, loss: Array) -> str:
    """Say that a loss (T,) still fell over the last fifth of the run, if it did by over 5 %."""
    before = float(np.interp(0.8 * time[-1], time, loss))
    fell = 1 - float(loss[-1]) / before if before > 0 else 0.0
    if not fell > _STILL:
        return ""
    return (
        f"The loss still fell by {100 * fell:.0f}% over the last fifth of the run: what follows "
        "describes networks under way. A larger run.n_steps lets them arrive."
    )


def shown_scores(
    score: Estimate, linear: Estimate | None, others: Mapping[str, Estimate]
) -> list[list[str]]:
    """Return the rows of a table that compares scores."""
    rows = [["Model", "Score", "95% interval"]]
    found = {"these networks": score, "linear model": linear, **others}
    for name, estimate in found.items():
        if estimate is not None:
            low, high = (format_number(bound) for bound in (estimate.low, estimate.high))
            rows.append([name, format_number(estimate.value), f"{low} to {high}"])
    return rows
