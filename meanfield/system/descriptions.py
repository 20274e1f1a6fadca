"""What the variables of datasets are, and their units: the attributes `long_name` and `units`.

One table for all datasets. Quantities here have no physical unit, so `units` is ``"1"`` unless the
table says otherwise, as the CF conventions have it; texts have none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def described(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose variables all have a `long_name`, and numbers `units`.

    What a variable says of itself stays.
    """
    dataset = dataset.copy()
    for name in dataset.variables:
        text, units = describe(str(name))
        attrs = {"long_name": text}
        if dataset[name].dtype.kind in "biufc":
            attrs["units"] = units
        dataset[name].attrs = attrs | dataset[name].attrs
    return dataset


def describe(name: str) -> tuple[str, str]:
    """Return what a variable of this name is, in a few words, and its unit."""
    if name in _NAMES:
        found = _NAMES[name]
        return found if isinstance(found, tuple) else (found, "1")
    for pattern, phrase, unit in _DERIVED:
        if match := re.fullmatch(pattern, name):
            text, units = describe(match[1])
            return phrase.format(text), unit or units
    return name.replace("_", " "), "1"


_TRAINED = "of the trained particles"
_NAMES: dict[str, str | tuple[str, str]] = {
    # Dimensions and coordinates.
    "bound": "value, lower and upper bound of the interval",
    "step": "step",
    "loss_step": "step at which the loss was kept",
    "loss_path": "loss at every step",
    "path_step": "step of the loss at every step",
    "path_time": "time of the loss at every step",
    "saved_step": "step at which the network was kept",
    "time": "time, the sum of the step sizes",
    "loss_time": "time at which the loss was kept",
    "temperature": "temperature",
    "particles": "number of particles N",
    "metric": "distance to the limit",
    "component": "component of the error",
    "option": "what is doubled (n, N, t, S) or halved (l2, temperature)",
    "data_count": "number of training data n",
    "particle_count": "number of particles N",
    "atom_count": "number of atoms S",
    "size": "number of atoms",
    "width": "width n",
    "seed": "seed",
    "layer": "layer, from the input",
    "depth": "number of layers",
    "scheme": "parametrisation",
    "case": "activation and depth",
    "activation": "activation",
    "bias": "whether neurons have a bias",
    "d": "dimension of the inputs",
    "atoms": "number of atoms of the target",
    "degree": "degree",
    "noise": "standard deviation of the label noise, relative to that of the target",
    "step_size": "step size",
    "networks": "number of networks that are averaged",
    "k": "order of the moment",
    "z": "argument of the activation",
    "threads": "number of threads",
    "n_particles": "number of particles",
    "n_features": "dimension of the inputs",
    "threshold": "threshold of the Hermite coefficients, or of the certificate",
    # Particles and runs.
    "a": "output weights a",
    "w": "input weights w",
    "b": "biases b",
    "predictions": "outputs of the network on the training inputs",
    "predictions_test": "outputs of the network on the held-out inputs",
    "target": "labels of the training inputs",
    "loss": "training loss",
    "test_loss": "loss on held-out data",
    "mean_field_loss": "training loss in the limit",
    # Free energy.
    "risk": "risk of the network",
    "primal": "free energy of the Gibbs law of the error signals",
    "dual": "dual value, a lower bound of the least free energy",
    "gap": "duality gap",
    # Propagation of chaos.
    "coupling": "mean squared distance of a particle from its copy, D_N",
    "w1_squared": "squared mean distance of a particle from its copy",
    "occupation": "share of the copies in each well",
    "exchange": "changes of well per particle and unit of time",
    "exchange_rate": "changes from each well into each other, per particle and unit of time",
    "systems": "systems of each size in a replica",
    "trend": "late trend of N times the metric, relative to its mean",
    "pair_covariance": "N times the covariance of two neurons' outputs, in the limit",
    "function_at_inputs": "N times the squared error at other inputs, in the limit",
    "function_at_inputs_error": "its standard deviation",
    "datum": "number of the datum",
    "other_datum": "number of the second neuron's datum",
    "output": "output of the network",
    "other_output": "output of the second neuron",
    "separated": "share of particles further from their copies than a well is wide",
    "matched_w2": "squared Wasserstein distance between the particles and their copies",
    "function": "mean squared error of the network's outputs against the limit",
    "function_copies": "mean squared error of the outputs of as many copies against the limit",
    "law_bias": "squared mean error of the outputs against the limit",
    "raw_w2": "squared Wasserstein distance to an independent cloud of the limit",
    "sampling_floor": "the same distance for independent particles of the limit",
    "law_w2": "squared Wasserstein distance to the law of the limit",
    "law_floor": "the same distance for independent particles of the limit",
    "slope": "slope of the logarithm of the distance against that of N",
    "squared_bias": "squared bias of the average network",
    "variance": "variance of one network about the average of all",
    "reduction": "factor by which averaging many networks reduces the squared error",
    "own": "mean square that the number of particles gives",
    "total": "mean square of both errors",
    "extrapolated": "mean square after extrapolation in the step size",
    "floor": "mean square that infinitely many particles keep",
    # The error budget.
    "component_norm": "L² norm of the component on held-out inputs",
    "component_norms": "L² norm of the component in each replica",
    "component_contribution": "what the component adds to the total error",
    "component_resolution": "size that the error of the intermediates gives the component",
    "statistical": "squared statistical component",
    "chaos": "squared chaos component",
    "optimisation": "squared distance to the long-time network",
    "other_start": "squared distance to the long-time network, from a wider start",
    "sparse": "squared distance of the atoms from their network",
    "total_by_atoms": "squared total error with S atoms",
    "refit_residual": "squared residual of the refit on its own inputs",
    "rate_difference": "decay rate less that from a wider start",
    "tail_by_threshold": "L² norm of the Hermite terms that the threshold cuts off",
    "atoms_by_threshold": "coefficient-threshold number",
    "gain": "squared error that the change takes off",
    "cost": ("compute that the change costs in addition", "particle updates"),
    "move": "relative move of the time average, round by round",
    # Atoms.
    "c": "coefficient of the atom",
    "mass": "share of the neurons that belong to the atom",
    "share": "share of the atom in the function",
    "constant": "constant part of the function",
    "linear": "linear part of the function",
    "residual": "relative residual of the best dictionary of each size",
    "criterion": "criterion by which the number of atoms is chosen",
    "n_atoms": "number of atoms S",
    "confident": "whether the number of atoms can be relied on",
    "missing": "whether the certificate finds a missing atom",
    "inactive_mass": "share of the neurons that contribute next to nothing",
    "compression_gap": "part of the network that its atoms leave out",
    "minimiser": "parameters at which the certificate is least",
    "minimum": "least value of the certificate",
    "potential": "potential at the atom",
    "gradient": "gradient of the potential at the atom",
    "error": "error",
    "direction_error": ("what the least certain direction of an atom is known within", "degree"),
    "failure": "what was wrong at a grid point that failed",
    "spread": "spread",
    "axes": "axes of the plane of the figure",
    "from_labels": "whether the atoms were refit to the labels",
    "from_rest": "whether the atoms are those of the minimiser of the training objective",
    "statement": "what was found, in words",
    "explanation": "why, in words",
    "over_time": ("largest angle to the atoms at the end", "degree"),
    "matched_angle": ("angle to the reference atom", "degree"),
    "particle_w": f"input weights {_TRAINED}",
    "particle_b": f"biases {_TRAINED}",
    "particle_size": f"length of the output weights {_TRAINED}",
    "particle_trained": f"coordinates {_TRAINED}",
    "log_moments": "logarithm of the k-th moment of the initial law",
    "orbits": "number of orbits in a fibre",
    "orbit": "orbit depth D*_orb",
    "variety": "variety depth D*_var",
    "at_least": "degree below which the orbit depth cannot be",
    # Deep networks.
    "feature_change": "relative change of the features of a layer",
    "feature_diversity": "diversity of the features of a layer",
    "joint_diversity": "diversity of the features of all layers",
    "feature_size": "root mean square of the features",
    "weight_change": "change of the weights of a layer",
    "kernel_h": "kernel of the features of a layer",
    "kernel_x": "kernel of the outputs of a layer",
    "diverged": "whether the network diverged",
    "phi": "activation",
    "phi_prime": "slope of the activation",
    # Benchmarks.
    "ns_per_pair": ("time of a step per particle and datum", "ns"),
    "runs_ns_per_pair": ("time of a step per particle and datum, run by run", "ns"),
    "product_share": "share of the time that the matrix products alone would take",
    "product_gflops": ("speed of the matrix product", "GFLOP s-1"),
    "memory_bytes": ("memory of the particles", "B"),
}

#: What is derived from a variable: pattern, phrase, and its unit where that is another.
_DERIVED: tuple[tuple[str, str, str | None], ...] = (
    ("(.+)_mean", "mean over replicas of the {}", None),
    ("(.+)_modulo", "{}, modulo the symmetry of the activation", None),
    ("(.+)_predicted", "predicted N times the mean of the {}, in the limit", None),
    ("(.+)_predicted_line", "predicted law of the {}", None),
    ("(coupling|function)_ratio", "measured over predicted {}", "1"),
    ("(coupling|function)_error", "one standard deviation of the {}", None),
    ("(.+)_peak", "mean over replicas, at its largest over time, of the {}", None),
    ("(.+)_line", "law fitted to the {}", None),
    ("(.+)_slope", "slope in logarithms of the {}", "1"),
    ("(.+)_squares", "{}, by replica", None),
    ("(.+)_exact", "exact N times the mean of the {}", None),
    ("(.+)_expected", "expected decay of the {}, up to a constant", None),
    ("(.+)_rate", "decay rate of the {}", None),
    ("(.+)_exponent", "exponent in the width of the {}", "1"),
    ("limit_(.+)", "{} at infinite width", None),
    ("matched_(.+)", "{}, of the match of each reference atom", None),
    ("labels_(.+)", "{}, by the labels", None),
    ("found_(.+)", "number of atoms found by {}", "1"),
    ("exact_(.+)", "whether the number of atoms is exact, by {}", "1"),
    ("angle_(.+)", "largest angle to an atom of the target, by {}", "degree"),
)
