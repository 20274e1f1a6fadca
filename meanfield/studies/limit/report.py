"""What the study `limit` found, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.statistics.estimate import Estimate
from meanfield.studies.limit import figures
from meanfield.system.storage import attribute_list
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Table, Text
from meanfield.workbench.headline import Headline, Summary, family
from meanfield.workbench.report.formatting import format_number, format_short
from meanfield.workbench.sections.deep_inputs import rate_text, training_sentence
from meanfield.workbench.sections.learning import which_unlearned

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class LimitHeadline(Headline):
    """What was found of every network, by its case: activation and depth."""

    error_signal: dict[str, Estimate] = family("{}_error_signal")  # the largest at the end
    # Largest size of the last step over the layers, relative to the first.
    last_move: dict[str, Estimate] = family("{}_last_move")
    # Of the features' kernels, over layers and steps.
    least_eigenvalue: dict[str, Estimate] = family("{}_least_eigenvalue")
    # Of finite networks about the limit: exponents in the width, and, where they are known, bias
    # times width and spread times its square root.
    bias_exponent: dict[str, Estimate] = family("{}_bias_exponent")
    bias_constant: dict[str, Estimate] = family("{}_bias_constant")
    spread_exponent: dict[str, Estimate] = family("{}_spread_exponent")
    spread_constant: dict[str, Estimate] = family("{}_spread_constant")
    # Mean squared distance of outputs from the limit, and 1 less the alignment of kernels.
    gap_exponent: dict[str, Estimate] = family("{}_gap_exponent")
    gap_constant: dict[str, Estimate] = family("{}_gap_constant")
    alignment_exponent: dict[str, Estimate] = family("{}_alignment_exponent")


STILL = 1e-4
"""Training stands still when its last step is smaller than this, relative to its first."""

MARGIN = 0.25
"""An exponent is confirmed when its interval lies within this of the expected one."""


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell what infinitely wide networks learn, and how finite ones approach them."""
    found = LimitHeadline.read(summary)
    cases = [str(case) for case in dataset["case"].values]
    blocks: list[Block] = [
        Finding(f"{which_unlearned(_losses(dataset, cases))} {_finding(found, cases)}".strip()),
        Heading("What was computed"),
        Text(_setting(dataset)),
        Text(dataset.attrs["input_check"]),
    ]
    blocks += [Text(reason) for reason in attribute_list(dataset, "goodness")]
    notes = attribute_list(dataset, "notes")
    if notes:
        blocks += [Heading("Cautions"), *map(Text, notes)]
    if "bias" in dataset:
        blocks += _approach(found, cases)
    blocks += [
        Heading("Linear independence of the features (Theorem 4.5)"),
        Text(
            "In the limit the features of different inputs stay linearly independent at all times, "
            "for inputs of Assumption 4.1 and activations of Assumption 4.3: the least eigenvalue "
            "of E[h_i h_j], and of E[x_i x_j], is positive. The theorem does not say how small it "
            "becomes; the table gives its start, its lowest value with 95% interval, its end, and "
            "its relative change per 100 steps over the second half."
        ),
        Table(_independence(dataset, cases), "Least eigenvalues, h before and x after activation."),
        *_joint(dataset, cases),
        Heading("Where training ends (Corollary 4.6)"),
        Text(
            "If training stands still although the features are linearly independent, all error "
            "signals must have vanished. Here it counts as standing still when the last step of "
            f"every layer is smaller than {format_number(STILL)} times its first; with batches, "
            "the largest of the last epoch beside the largest of the first. The error signals are "
            "those of all inputs, the union of the batches."
        ),
        Table(_endings(dataset, found, cases), "The end of training, in the limit."),
    ]
    for case in cases:
        blocks += _figures(case, dataset)
    return blocks


def _losses(dataset: xr.Dataset, cases: list[str]) -> dict[str, list[Estimate]]:
    """Return what is left of the training loss in every case."""
    constant = dataset.attrs.get("constant_loss", 0.0)
    if not constant > 0:
        return {}
    ends = {case: dataset["loss"].sel(case=case).isel(end=-1) for case in cases}
    return {
        _name(case): [Estimate.from_xarray(end).map(lambda loss: loss / constant)]
        for case, end in ends.items()
    }


def _finding(found: LimitHeadline, cases: list[str]) -> str:
    still = [case for case in cases if found.last_move[case].value < STILL]
    if still:
        worst = max(found.error_signal[case].value for case in still)
        text = (
            f"Training stands still at the end in {len(still)} of {len(cases)} infinitely wide "
            f"networks, and their error signals are then at most {format_number(worst)}."
        )
    else:
        text = "None of the infinitely wide networks stands still yet; raise network.n_steps."
    if found.bias_exponent:
        verdicts = [verdict(found.bias_exponent[case]) for case in cases]
        text += (
            " That the mean output of finite networks approaches the limit like 1/width is "
            f"confirmed in {verdicts.count('yes')} of {len(cases)} cases"
        )
        if "too wide" in verdicts:
            count = verdicts.count("too wide")
            text += f"; {count} intervals contain −1 but are too wide to confirm it"
        text += "."
    return text


def verdict(exponent: Estimate) -> str:
    """Return whether an exponent is the expected one: yes, no, or its interval is too wide."""
    expected = exponent.expected
    if exponent.interval is None or expected is None:
        return "not measurable"
    if expected - MARGIN < exponent.low and exponent.high < expected + MARGIN:
        return "yes"
    return "too wide" if exponent.agrees else "no"


def _setting(dataset: xr.Dataset) -> str:
    attrs = dataset.attrs
    loss = "mean" if attrs["reduction"] == "mean" else "sum"
    return (
        f"The infinite-width limit under µP, trained on {attrs['n_inputs']} inputs of dimension "
        f"{attrs['n_features']} ({attrs['source']}) by {len(dataset['step']) - 1} "
        f"{_batches(attrs)}gradient steps of {rate_text(attrs)} on the {loss} of the "
        f"{attrs['loss']} loss. Its random variables were simulated with {attrs['n_samples']} "
        f"samples, "
        f"{attrs['n_replicas']} times independently ([RFL] Section 3 and Appendix B)."
        f"{training_sentence(attrs)}"
    )


def _batches(attrs: Mapping[str, Any]) -> str:
    if attrs.get("epoch", 1) == 1:
        return "full-batch "
    return f"(batches of {attrs['batch_size']}, {attrs['epoch']} an epoch) "


def _joint(dataset: xr.Dataset, cases: list[str]) -> list[Block]:
    """Tell of the joint independence over inputs and steps, where it was looked at."""
    if "joint_least" not in dataset:
        return []
    rows = [["Family", "start", "over", "least eigenvalue", "in networks", "rank at the end"]]
    widths = [int(n) for n in np.atleast_1d(dataset.attrs["joint_widths"])]
    size = dataset["joint_size"].values
    for case in cases:
        for matrix in dataset["matrix"].values[: int(dataset["depth"].sel(case=case)) - 1]:
            for direction in dataset["direction"].values:
                at = dataset.sel(case=case, matrix=matrix, direction=direction)
                least = Estimate.from_xarray(at["joint_least"])
                rank = at["joint_rank"].values
                seen = int(np.count_nonzero(least.value > 0))
                family = f"δx_{matrix - 1}" if direction == "forward" else f"dh_{matrix}"
                row = [f"{_name(case)}: {family}"]
                if seen:
                    row += [format_number(float(least.value[0])), f"{size[seen - 1]} vectors"]
                    row.append(format_short(least[seen - 1]))
                    finite = [
                        float(at[f"joint_least_{n}"].sel(bound="value")[seen - 1]) for n in widths
                    ]
                    row.append(", ".join(format_number(value) for value in finite) or "–")
                else:
                    row += ["0, up to rounding", "–", "–", "–"]
                rows.append([*row, f"{rank[-1]} of {size[-1]}"])
    caption = (
        "Least eigenvalues of the Gram matrices of all inputs' vectors up to a step: the last one "
        "at which rounding and the tolerance do not hide them"
    )
    if widths:
        caption += f"; networks of width {', '.join(map(str, widths))}"
    return [
        Heading("Joint independence over inputs and steps (the proof of Theorem 4.5)"),
        Text(
            "The proof shows more than the theorem says, by induction over the steps: that the "
            "increments δx of the features of every layer below the last, and the error vectors dh "
            "of every layer above the first, are linearly independent over all inputs and all "
            "steps together, forward and backward. Their least eigenvalues fall fast with the "
            "number of steps, for what is new in a step is small."
        ),
        Table(rows, f"{caption}."),
        *(
            Figure(
                f"{case.replace('-', '_')}_joint",
                partial(figures.plot_joint, case=case),
                "Least eigenvalue over all inputs and the steps so far: lines, the limit; points, "
                "networks. Zero, up to rounding, where nothing is drawn.",
            )
            for case in cases
            if int(dataset["depth"].sel(case=case)) > 1
        ),
    ]


def _approach(found: LimitHeadline, cases: list[str]) -> list[Block]:
    rows = [["Network", "bias: exponent", "confirmed", "bias × n", "spread: exponent", "× √n"]]
    both = [["Network", "distance²: exponent", "distance² × n", "1 − alignment: exponent"]]
    for case in cases:
        bias = found.bias_exponent[case]
        row = [_name(case), format_short(bias), verdict(bias)]
        for part in (found.bias_constant, found.spread_exponent, found.spread_constant):
            row.append(format_short(part[case]) if case in part else "–")
        rows.append(row)
        parts = (found.gap_exponent, found.gap_constant, found.alignment_exponent)
        both.append([_name(case), *(format_short(p[case]) if case in p else "–" for p in parts)])
    return [
        Heading("How finite networks approach the limit"),
        Text(
            "Bias is the distance of the mean output of many networks from the limit, spread the "
            "standard deviation between networks, each the root mean square over inputs and steps. "
            "Theory expects exponents −1 and −1/2 in the width. An exponent counts as confirmed "
            f"when its 95% interval lies within {MARGIN:g} of the expected value."
        ),
        Table(rows, "Exponents with 95% intervals; constants at the largest width."),
        Figure(
            "bias",
            figures.plot_bias,
            "Bias of finite networks, with 95% intervals; dotted, the expected slope.",
        ),
        Figure("spread", figures.plot_spread, "Spread of finite networks, likewise."),
        Text(
            "Bias and spread together are the mean squared distance of outputs from the limit. "
            "The kernel of a layer, the Gram matrix of the features after its activation at the "
            "end, is aligned with the limit's, K, by ⟨K_n, K⟩ / (‖K_n‖ ‖K‖), which is 1 where "
            "they are proportional. Theory expects both the distance and what the alignment "
            "misses to fall like 1/n: times n they are flat."
        ),
        Table(both, "With 95% intervals; the alignment is that of the least aligned layer."),
        *(
            Figure(
                f"{case.replace('-', '_')}_flat",
                partial(figures.plot_flat, case=case),
                "Squared distance of outputs from the limit, and what the alignment of every "
                "layer's kernel misses to 1, both times the width n.",
            )
            for case in cases
        ),
    ]


def _independence(dataset: xr.Dataset, cases: list[str]) -> list[list[str]]:
    attrs, steps = dataset.attrs, dataset["saved_step"].values
    rows = [["Features", "start", "lowest", "end", "change per 100 steps"]]
    for case in cases:
        at = dataset.sel(case=case)
        for layer in range(int(at["depth"])):
            for feature in ("h", "x"):
                least = Estimate.from_xarray(at[f"least_{feature}"])[:, layer]
                mean = least.value
                name = f"{_name(case)}: {feature}_{layer + 1}"
                if feature == "h" and layer == 0 and attrs["input_rank"] < attrs["n_inputs"]:
                    reason = (
                        f"0: {attrs['n_inputs']} inputs span {attrs['input_rank']} dimensions, and "
                        "h_1 = W_1 ξ has no more"
                    )
                    rows.append([name, reason, "–", "–", "–"])
                    continue
                lowest = int(np.argmin(mean))
                ends = [format_number(float(mean[i])) for i in (0, -1)]
                if mean[lowest] == 0:
                    rows.append([name, ends[0], "0 (singular, up to rounding)", ends[1], "–"])
                    continue
                middle = format_short(least[lowest])
                rows.append([name, ends[0], middle, ends[1], _trend(steps, mean)])
    return rows


def _trend(steps: np.ndarray, mean: np.ndarray) -> str:
    late = (steps >= steps[-1] / 2) & (mean > 0)
    if late.sum() < 2:
        return "–"
    slope = 100 * np.polyfit(steps[late], np.log(mean[late]), 1)[0]
    return f"{100 * np.expm1(slope):+.2g}%".replace("-", "−")


def _endings(dataset: xr.Dataset, found: LimitHeadline, cases: list[str]) -> list[list[str]]:
    head = ["Network", "last step / first", "stands still", "largest error signal", "at the start"]
    rows = [head]
    for case in cases:
        move, signal = found.last_move[case].value, found.error_signal[case].value
        first = Estimate.from_xarray(dataset["error_signals"].sel(case=case).isel(step=0))
        row = [_name(case), format_number(move), "yes" if move < STILL else "no"]
        rows.append([*row, format_number(signal), f"{np.abs(first.value).max():.3g}"])
    return rows


def _figures(case: str, dataset: xr.Dataset) -> list[Block]:
    name = case.replace("-", "_")
    blocks: list[Block] = [
        Heading(f"Network: {_name(case)}"),
        Figure(
            f"{name}_outputs",
            partial(figures.plot_outputs, case=case),
            "Outputs of the infinitely wide network on its training inputs (solid) and on test "
            "inputs (dashed), with 95% intervals, which are mostly thinner than the lines.",
        ),
        Figure(
            f"{name}_independence",
            partial(figures.plot_independence, case=case),
            "Least eigenvalues along training. Zero by necessity, and not drawn, where there are "
            "more inputs than dimensions.",
        ),
        Figure(
            f"{name}_standstill",
            partial(figures.plot_standstill, case=case),
            "Largest error signal, and the size of the next step in every layer.",
        ),
    ]
    if int(dataset["depth"].max()) == int(dataset["depth"].sel(case=case)):
        blocks.append(
            Figure(
                f"{name}_features",
                partial(figures.plot_features, case=case),
                "Relative change of the features of every layer, with 95% intervals.",
            )
        )
    return blocks


def _name(case: str) -> str:
    activation, depth = case.rsplit("-", 1)
    return f"{activation}, {depth} hidden layer{'s' if depth != '1' else ''}"
