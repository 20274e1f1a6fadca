"""python -m scripts.estimators --out DIR: the estimators against scikit-learn's networks.

Both have 100 neurons and every other argument at its default. Ten stratified splits of each data
set, a quarter held out; scikit-learn's networks get standardized features, and for regression
also standardized labels, without which they are far off at their defaults.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from meanfield import MeanFieldClassifier, MeanFieldRegressor
from meanfield.statistics.intervals import mean_interval

_SPLITS = 10
_MLP_REGRESSOR = TransformedTargetRegressor(MLPRegressor(), transformer=StandardScaler())
_TASKS = {
    "diabetes": (load_diabetes, "R²", MeanFieldRegressor(), _MLP_REGRESSOR),
    "digits": (load_digits, "accuracy", MeanFieldClassifier(), MLPClassifier()),
    "breast cancer": (load_breast_cancer, "accuracy", MeanFieldClassifier(), MLPClassifier()),
}


def compare(task: str) -> dict[str, list[float]]:
    """Return the held-out scores of both networks over the splits."""
    load, _, ours, theirs = _TASKS[task]
    X, y = load(return_X_y=True)
    models = {"meanfield": ours, "scikit-learn": make_pipeline(StandardScaler(), theirs)}
    scores: dict[str, list[float]] = {name: [] for name in models}
    for split in range(_SPLITS):
        strata = None if task == "diabetes" else y
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, random_state=split, stratify=strata
        )
        for name, model in models.items():
            model = clone(model)
            seeds = {key: split for key in model.get_params() if key.endswith("random_state")}
            model.set_params(**seeds).fit(X_train, y_train)
            scores[name].append(float(model.score(X_test, y_test)))
    return scores


def table(results: dict[str, dict[str, list[float]]]) -> str:
    """Return the comparison as Markdown."""
    lines = [
        "| data | score | meanfield | scikit-learn's MLP | difference [95 % interval] |",
        "| --- | --- | --- | --- | --- |",
    ]
    for task, scores in results.items():
        ours, theirs = scores["meanfield"], scores["scikit-learn"]
        mean, low, high = mean_interval(np.subtract(ours, theirs))
        lines.append(
            f"| {task} | {_TASKS[task][1]} | {np.mean(ours):.4f} | {np.mean(theirs):.4f} "
            f"| {mean:+.4f} [{low:+.4f}, {high:+.4f}] |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.estimators", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = {task: compare(task) for task in _TASKS}
    head = (
        f"Held-out scores of networks of 100 neurons, everything else at its default; mean over "
        f"{_SPLITS} splits.\n\n`python -m scripts.estimators --out results/estimators`\n\n"
    )
    (out / "scores.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "README.md").write_text(head + table(results))
    print(table(results))


if __name__ == "__main__":
    main()
