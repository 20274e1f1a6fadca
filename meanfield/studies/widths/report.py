"""What the study `widths` found, in plain words, with verdicts by a stated rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from meanfield.deep.parametrizations import PARAMETRIZATIONS
from meanfield.statistics.estimate import Estimate
from meanfield.studies.widths import figures
from meanfield.system.storage import attribute_list
from meanfield.workbench.blocks import Block, Figure, Finding, Heading, Table, Text
from meanfield.workbench.headline import Headline, Summary, family
from meanfield.workbench.report.formatting import format_number, format_short
from meanfield.workbench.sections.deep_inputs import rate_text, training_sentence
from meanfield.workbench.sections.learning import loss_left, which_unlearned

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class WidthsHeadline(Headline):
    """Exponents in the width, the least over the layers, by `network_name`."""

    # Of the relative change of the features during training.
    feature_change: dict[str, Estimate] = family("{}_feature_change")
    # Of the least eigenvalue of the Gram matrix of the trained features, per unit; and of that of
    # the initial and the trained features together.
    feature_diversity: dict[str, Estimate] = family("{}_feature_diversity")
    joint_diversity: dict[str, Estimate] = family("{}_joint_diversity")


def network_name(activation: str, scheme: str) -> str:
    """Return the name under which the headline holds a kind of network."""
    return f"{activation}_{scheme}"


RULE = -0.25
"""A quantity does not vanish when its exponent in the width is above this."""

_SHORT = {"sp": "SP", "ntp": "NTP", "ip": "IP", "mup": "µP"}


def keeps_size(exponent: Estimate) -> bool | None:
    """Return whether an exponent says that a quantity does not vanish; None when undecided."""
    if not exponent.known:
        return None
    low, high = exponent.interval or (exponent.value, exponent.value)
    if low > RULE:
        return True
    return False if high < RULE else None


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell which parametrization learns features, and which keeps them rich."""
    found = WidthsHeadline.read(summary)
    activations = [str(name) for name in dataset["activation"].values]
    schemes = [str(name) for name in dataset["scheme"].values]
    finding = _finding(found, activations, schemes) + "".join(_left_out(dataset)[:1])
    blocks: list[Block] = [
        Finding(f"{which_unlearned(_losses(dataset))} {finding}".strip()),
        Heading("What was computed"),
        Text(_setting(dataset)),
        Text(dataset.attrs["input_check"]),
        *_divergence(dataset),
        *map(Text, attribute_list(dataset, "notes")),
        Heading("Verdicts"),
        Text(
            "A network learns features when the change of its features during training does not "
            "vanish as it gets wider, and its features are rich when the least eigenvalue of "
            "their Gram matrix, divided by the number of units, does not vanish either. The rule: "
            "in every hidden layer the exponent in the width is fitted from width "
            f"{dataset.attrs['from_width']} on, and the least over the layers decides. A 95% "
            f"interval above {format_number(RULE)} means that the quantity does not vanish, one "
            "below it that it does; otherwise the data do not decide."
        ),
        Text(_intervals(dataset.sizes["seed"])),
        _verdicts(found, activations, schemes),
        *map(Text, _left_out(dataset)[1:]),
        _exponent_table(found, activations, schemes),
        Heading("Scalings"),
        _scalings(),
    ]
    for activation in activations:
        blocks += _figures(activation, dataset)
    blocks += _coordinate_checks(activations[0], schemes)
    blocks += [
        Heading("Activations"),
        Figure("activations", figures.plot_activations, "The activations of this study."),
        Figure("slopes", figures.plot_slopes, "The derivatives of the activations."),
    ]
    return blocks


def _losses(dataset: xr.Dataset) -> dict[str, list[Estimate]]:
    """Return what is left of the training loss at the widths of every kind of network."""
    constant = dataset.attrs.get("constant_loss", np.nan)
    ends = dataset["loss"].isel(end=-1)
    return {
        f"{_SHORT[str(scheme)]} with {activation}": [
            loss_left(ends.sel(activation=activation, scheme=scheme, width=width).values, constant)
            for width in dataset["width"].values
        ]
        for activation, scheme in product(dataset["activation"].values, dataset["scheme"].values)
    }


def _finding(found: WidthsHeadline, activations: list[str], schemes: list[str]) -> str:
    if not found.feature_change:
        return "A verdict needs at least two widths in the fitted range."
    verdicts = {
        scheme: [
            keeps_size(exponents[network_name(activation, scheme)])
            for activation in activations
            for exponents in (found.feature_change, found.feature_diversity)
        ]
        for scheme in schemes
    }
    both = [_SHORT[scheme] for scheme, answers in verdicts.items() if all(answers)]
    open_ = [
        _SHORT[scheme]
        for scheme, answers in verdicts.items()
        if None in answers and False not in answers
    ]
    names = ", ".join(activations)
    if both == ["µP"] and not open_:
        return f"Only µP both learns features and keeps them rich as the width grows ({names})."
    if both:
        verb = "learns features and keeps" if len(both) == 1 else "learn features and keep"
        text = f"{' and '.join(both)} {verb} them rich as the width grows ({names})."
    else:
        text = (
            "No parametrization was shown both to learn features and to keep them rich with "
            f"every activation ({names})."
        )
    if open_:
        text += f" The data do not decide about {' and '.join(open_)}; more seeds or widths would."
    return text


def _setting(dataset: xr.Dataset) -> str:
    attrs, widths, seeds = dataset.attrs, dataset["width"].values, dataset["seed"].values
    loss = {"mean": "mean", "sum": "summed"}[attrs["reduction"]]
    name = attrs.get("loss", "squared")
    error = "squared error" if name == "squared" else f"{name} loss"
    which = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    return (
        f"Networks with {attrs['depth']} hidden layers of {widths[0]} to {widths[-1]} units, "
        f"{which}, were trained on {attrs['n_inputs']} inputs of dimension "
        f"{attrs['n_features']} ({attrs['source']}) by {attrs['n_steps']} full-batch gradient "
        f"steps of {rate_text(attrs)} on the {loss} {error}, with the initial "
        "variances and learning rates of the experiments in [RFL], Appendix A."
        f"{training_sentence(attrs)}"
    )


def _intervals(n_seeds: int) -> str:
    if n_seeds == 1:
        return "A single seed gives no interval; here the value of the exponent decides."
    return (
        "A seed is resampled with its networks of all widths and layers, because they share their "
        "random numbers, and the interval allows for the choice of the least exponent among the "
        "layers. Its coverage was measured on simulated studies, 200 for each setting, with five "
        "and with ten seeds and networks that scatter by 10 to 60%: 94 to 98% of the intervals "
        "held the least exponent."
    )


def _left_out(dataset: xr.Dataset) -> list[str]:
    """Say in which layers there is no eigenvalue to follow, briefly and with the reason."""
    values = dataset["feature_diversity"]
    zero = (values == 0).all([dim for dim in values.dims if dim != "layer"])
    layers = [str(layer) for layer in dataset["layer"].values[zero.values]]
    if not layers:
        return []
    where = ", ".join(layers)
    return [
        f" Richness is not measurable in hidden layer {where}, which is left out.",
        f"Not measurable in hidden layer {where}: the least eigenvalue is zero there up to "
        "rounding, in every network, so that the richness is that of the other layers. The "
        "features of the inputs are linearly dependent, as those of the first layer are wherever "
        "there are more inputs than they span dimensions.",
    ]


def _divergence(dataset: xr.Dataset) -> list[Block]:
    counts = dataset["diverged"].to_series()
    counts = counts[counts > 0]
    if counts.empty:
        return []
    listed = "; ".join(
        f"{count} of {dataset.sizes['seed']} ({activation}, {_SHORT[scheme]}, width {width})"
        for (activation, scheme, width), count in counts.items()
    )
    return [Text(f"These networks diverged and are left out of the means: {listed}.")]


def _verdicts(found: WidthsHeadline, activations: list[str], schemes: list[str]) -> Table:
    words = {True: ("✓", "rich"), False: ("✗", "low"), None: ("undecided", "undecided")}
    rows = [["Parametrization", *(f"{a}: learns, richness" for a in activations)]]
    for scheme in schemes:
        row = [PARAMETRIZATIONS[scheme].title]
        for activation in activations:
            name = network_name(activation, scheme)
            learns, rich = (
                keeps_size(exponents[name]) if exponents else None
                for exponents in (found.feature_change, found.feature_diversity)
            )
            row.append(f"{words[learns][0]}, {words[rich][1]}")
        rows.append(row)
    return Table(rows, "Feature learning and richness under each parametrization, by the rule.")


def _exponent_table(found: WidthsHeadline, activations: list[str], schemes: list[str]) -> Table:
    rows = [["Network", "feature change", "least eigenvalue", "joint least eigenvalue"]]
    for activation in activations:
        for scheme in schemes:
            name = network_name(activation, scheme)
            exponents = (found.feature_change, found.feature_diversity, found.joint_diversity)
            cells = [format_short(part[name]) if part else "–" for part in exponents]
            rows.append([f"{activation}, {_SHORT[scheme]}", *cells])
    return Table(
        rows,
        "Exponents in the width, the least over the layers, with 95% intervals. Where features "
        "stay near their initial values, both the feature change and the joint least eigenvalue "
        "fall: initial and final features together then span no more than the initial ones.",
    )


def _scalings() -> Table:
    rows = [["Layer", *(_SHORT[name] for name in PARAMETRIZATIONS)]]
    for kind, title in (("input", "W¹"), ("hidden", "Wˡ"), ("output", "Wᴸ⁺¹")):
        cells = []
        for entry in PARAMETRIZATIONS.values():
            scaling = getattr(entry, kind)
            cells.append(f"{_power(scaling.variance)}; {_power(scaling.rate, 'η')}")
        rows.append([title, *cells])
    return Table(rows, "Initial variance and learning rate, without constants ([RFL] Table 2).")


def _power(exponent: int, factor: str = "") -> str:
    powers = {-2: "n⁻²", -1: "n⁻¹", 0: "" if factor else "1", 1: "n"}
    return f"{factor}{'·' if factor and powers[exponent] else ''}{powers[exponent]}"


def _figures(activation: str, dataset: xr.Dataset) -> list[Block]:
    """Return the figures of one activation: the last hidden layer, then those of the paper."""
    depth = dataset.attrs["depth"]
    joint_layer = min(2, depth)
    blocks: list[Block] = [Heading(f"Networks with {activation}")]
    for layer in sorted({1, depth}, reverse=True):
        blocks += [
            Figure(
                f"{activation}_feature_change_{layer}",
                partial(figures.plot_feature_change, activation=activation, layer=layer),
                f"Relative change of the features of hidden layer {layer}: mean over inputs and "
                "seeds with 95% interval. The dashed line is the infinite-width limit of µP.",
            ),
            Figure(
                f"{activation}_feature_diversity_{layer}",
                partial(figures.plot_feature_diversity, activation=activation, layer=layer),
                f"Least eigenvalue of the Gram matrix of the features of hidden layer {layer} "
                "after training, divided by the number of units. It is zero, and not drawn, where "
                "there are fewer units than inputs.",
            ),
        ]
    blocks.append(
        Figure(
            f"{activation}_joint_diversity_{joint_layer}",
            partial(figures.plot_joint_diversity, activation=activation, layer=joint_layer),
            "Least eigenvalue, divided by the number of units, of the Gram matrix of the initial "
            f"and the final features of hidden layer {joint_layer} together.",
        )
    )
    return blocks


def _coordinate_checks(activation: str, schemes: list[str]) -> list[Block]:
    blocks: list[Block] = [
        Heading("Coordinate check"),
        Text(
            "Mean size of the entries of each layer's features, and of the output, over the first "
            "steps. A curve that is flat in the width belongs to a quantity that neither vanishes "
            "nor explodes. Theory predicts flat curves under µP for all features, and for the "
            "output from the first step on; before it the output is noise of size n⁻¹ᐟ²."
        ),
    ]
    return blocks + [
        Figure(
            f"coordinate_check_{scheme}",
            partial(figures.plot_coordinate_check, activation=activation, scheme=scheme),
            f"{PARAMETRIZATIONS[scheme].title.capitalize()}, {activation}; one curve per step, "
            "darker for later steps.",
        )
        for scheme in schemes
    ]
