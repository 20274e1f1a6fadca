"""What the study `atoms` keeps: dictionaries as arrays, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from meanfield.dictionary import Agreement, Certificate, Dictionary, compare_dictionaries
from meanfield.dictionary.threshold import FIXED, own_threshold
from meanfield.flow.scheme import Scheme
from meanfield.identify import Atoms
from meanfield.identify.atoms import make_atoms
from meanfield.identify.symmetry import symmetry_of
from meanfield.problem import Problem
from meanfield.statistics.estimate import Estimate
from meanfield.studies.atoms.report import AtomsHeadline
from meanfield.workbench.sections.atom_bounds import bound_estimate, possible_sizes
from meanfield.workbench.sections.learning import guess, learned
from meanfield.workbench.study import Arrays, Outcome

if TYPE_CHECKING:
    from meanfield.studies.atoms.config import AtomsConfig

SCALARS = (
    "n_atoms",
    "inactive_mass",
    "network_gap",
    "compression_gap",
    "spread",
    "null_spread",
    "confidence",
    "confident",
)
#: Above so many input dimensions no covariance of places is kept.
MOST_DRAWN = 64
CERTIFICATE = ("minimum", "gain", "threshold", "missing", "penalised")


def pack(
    found: Sequence[tuple[Dictionary, Certificate]], problem: Problem, max_atoms: int
) -> Arrays:
    """Return dictionaries, each with its certificate by labels, as arrays over them."""
    pieces = [_pack(dictionary, by_labels, problem, max_atoms) for dictionary, by_labels in found]
    return {name: np.stack([piece[name] for piece in pieces]) for name in pieces[0]}


def _pack(
    dictionary: Dictionary, by_labels: Certificate, problem: Problem, max_atoms: int
) -> dict[str, ArrayLike]:
    f, certificate = dictionary.function, dictionary.certificate
    columns = {"c": f.columns, "w": f.w, "b": f.b, "mass": f.mass, "share": dictionary.share}
    columns |= {"potential": certificate.potential, "gradient": certificate.gradient}
    out: dict[str, ArrayLike] = {name: padded(part, max_atoms) for name, part in columns.items()}
    out["constant"], out["linear"] = f.affine
    for name in ("residual", "criterion"):
        out[name] = values = np.full(max_atoms + 1, np.nan)
        values[dictionary.sizes] = getattr(dictionary, name)
    for name, value in _error_bars(dictionary).items():
        out[name] = padded(value, max_atoms)
    out["p_value"] = values = np.full(max_atoms + 1, np.nan)
    values[dictionary.sizes] = dictionary.p_values
    out["least"], out["most"] = float(dictionary.n_atoms_set[0]), float(dictionary.n_atoms_set[-1])
    out["noise"] = dictionary.intervals.noise
    out["minimiser"] = certificate.minimiser
    out |= {name: float(getattr(dictionary, name)) for name in SCALARS}
    out |= {name: float(getattr(certificate, name)) for name in CERTIFICATE}
    for name in ("gain", "threshold", "missing"):
        out[f"labels_{name}"] = float(getattr(by_labels, name))
    for name in ("labels", "rest"):
        out[f"from_{name}"] = float(dictionary.target == name)
    out["error"] = np.nan
    if problem.X_test is not None:
        predictions = dictionary.predict(problem.X_test)
        out["error"] = float(problem.risk(predictions, held_out=True))
    statements = {"certificate_statement": str(certificate), "labels_statement": str(by_labels)}
    return out | {"statement": dictionary.statement} | statements


def _error_bars(dictionary: Dictionary) -> dict[str, np.ndarray]:
    """Return what intervals add on either side of each atom's numbers, and its offset."""
    found = dictionary.intervals
    c = found.coefficients.width / 2
    return {
        "c_error": c if c.ndim == 2 else c[:, None],
        "direction_error": found.direction,
        "offset": found.offset.value,
        "offset_error": found.offset.width / 2,
        "length_error": found.length.width / 2,
    }


def place_covariance(dictionary: Dictionary, n_features: int, max_atoms: int) -> np.ndarray:
    """Return the covariance of ``(w, b)`` of each atom; of none in many dimensions."""
    width = dictionary.atoms.shape[1]
    kept = dictionary.intervals.covariance[:, :width, :width]
    return padded(kept, max_atoms if n_features <= MOST_DRAWN else 0)


def padded(values: np.ndarray, size: int, fill: float = np.nan) -> np.ndarray:
    """Return rows, followed by as many of `fill` as make `size` of them."""
    out = np.full((size, *values.shape[1:]), fill)
    out[: len(values)] = values[:size]
    return out


def unpack(arrays: Arrays, look: int, problem: Problem) -> Atoms:
    """Return the function of a dictionary that was packed."""
    size = int(arrays["n_atoms"][look])
    c, w, b, mass = (arrays[name][look, :size] for name in ("c", "w", "b", "mass"))
    affine = arrays["constant"][look], arrays["linear"][look]
    return make_atoms(problem.activation, c, w, b, *affine, mass, vector=problem.vector_output)


def combine(
    config: AtomsConfig,
    problem: Problem,
    scheme: Scheme,
    looks: np.ndarray,
    image: list[int] | None,
    results: Mapping[str, Arrays],
) -> Outcome:
    """Match the atoms of all networks, and of one network over time."""
    import xarray as xr

    pieces = [results[key] for key in sorted(results) if key.startswith("network")]
    last = [unpack(piece, -1, problem) for piece in pieces]
    agreement = compare_dictionaries(last)
    reference = agreement.reference
    course = [unpack(pieces[reference], look, problem) for look in range(len(looks))]
    variables: dict[str, Any] = {}
    for name in pieces[0]:
        whole = name.startswith("particle_") or name == "place_covariance"
        over = ("replica",) if whole else ("replica", "look")
        stacked = np.stack([piece[name] for piece in pieces])
        variables[name] = ((*over, *_DIMS.get(name, ())), stacked)
    for name, values in _matched(last, agreement).items():
        variables[f"matched_{name}"] = (("replica", "modal"), values)
    variables["over_time"] = ("look", [_farthest(course[-1], at) for at in course])
    axes = _axes(last[reference], pieces[reference])
    variables["axes"] = (("axis", "feature"), axes)
    attributes = {
        "reference": reference,
        "modal": agreement.modal,
        "n_particles": config.atoms.n_particles,
        "problem": repr(problem),
        "guess": guess(problem),
        "cut": _cut(last[reference].w @ axes.T),
        "flip_sign": symmetry_of(problem.activation).sign,
    }
    if image is not None:
        attributes["image"] = image
    bound = None
    if "bound" in results:
        if "threshold" in (given := own_threshold(problem, config.atoms.threshold)):
            label = f"Count S̄ from the target at threshold {given['threshold'] or FIXED:g}"
        else:
            label = "Count S̄ = S_up from the target at the penalty of the problem"
        bound = bound_estimate(results["bound"]["number"], results["bound"]["explanation"], label)
    coordinates = {
        "step": ("look", looks),
        "time": ("look", scheme.elapsed(looks)),
        "temperature": ("look", scheme.temperatures[looks - 1]),
        "size": np.arange(pieces[0]["residual"].shape[1]),
    }
    score = learned(problem, np.stack([piece["particle_trained"] for piece in pieces]))
    headline = replace(_headline(pieces, agreement, bound), **score)
    return Outcome(xr.Dataset(variables, coordinates, attributes), headline.numbers())


def _farthest(end: Atoms, at: Atoms) -> float:
    """Return the largest angle between matched atoms of two times; NaN if their numbers differ."""
    if at.n_atoms != end.n_atoms or not end.n_atoms:
        return float("nan")
    return float(compare_dictionaries([end, at]).angle[1].max())


_DIMS: dict[str, tuple[str, ...]] = {
    "c": ("atom", "output"),
    "w": ("atom", "feature"),
    "constant": ("output",),
    "linear": ("output", "feature"),
    "residual": ("size",),
    "criterion": ("size",),
    "minimiser": ("place",),
    "p_value": ("size",),
    "c_error": ("atom", "output"),
    "place_covariance": ("drawn", "place", "place_too"),
    **dict.fromkeys(("b", "mass", "share", "potential", "gradient"), ("atom",)),
    **dict.fromkeys(("direction_error", "offset", "offset_error", "length_error"), ("atom",)),
    "particle_w": ("particle", "feature"),
    "particle_b": ("particle",),
    "particle_size": ("particle",),
    "particle_trained": ("particle", "coordinate"),
}


def _matched(functions: list[Atoms], agreement: Agreement) -> dict[str, np.ndarray]:
    """Return coefficient, mass and length of each network's match of every reference atom."""
    out = {name: np.full(agreement.match.shape, np.nan) for name in ("c", "mass", "length")}
    for row, (f, match, sign) in enumerate(
        zip(functions, agreement.match, agreement.sign, strict=True)
    ):
        there = match >= 0
        at = match[there]
        c = f.columns[at] * sign[there, None]
        out["c"][row, there] = c[:, 0] if c.shape[1] == 1 else np.linalg.norm(c, axis=1)
        out["mass"][row, there] = f.mass[at]
        out["length"][row, there] = np.linalg.norm(f.w[at], axis=1)
    return out | {"angle": agreement.angle}


def _axes(function: Atoms, piece: Arrays) -> np.ndarray:
    """Return two orthonormal directions that show the atoms best, (2, d); one is zero if d = 1."""
    d = function.w.shape[1]
    if d <= 2:
        return np.eye(2, d)
    weight = np.linalg.norm(function.columns, axis=1)
    cloud = piece["particle_w"][np.isfinite(piece["particle_w"]).all(axis=1)]
    size = piece["particle_size"][: len(cloud)]
    rows = [function.w * weight[:, None] / max(weight.sum(), 1e-300)]
    # Particles only break ties: with fewer than two atoms they choose what else is shown.
    rows.append(1e-3 * cloud * size[:, None])
    # The strongest direction points up, away from the border of the upper half plane.
    return np.linalg.svd(np.vstack(rows), full_matrices=False)[2][1::-1]


def _cut(place: np.ndarray) -> float:
    """Return an angle from −90° to 90° at which no line of an atom is near, to cut the plane."""
    angle = np.sort(np.degrees(np.arctan2(place[:, 1], place[:, 0])) % 180)
    if not len(angle):
        return 0.0
    gap = np.diff(angle, append=angle[0] + 180)
    middle = (angle + gap / 2 + 90) % 180 - 90
    wide = np.flatnonzero(gap > 0.7 * gap.max())
    return float(middle[wide[np.abs(middle[wide]).argmin()]])


def _headline(pieces: list[Arrays], agreement: Agreement, bound: Estimate | None) -> AtomsHeadline:
    """Count networks and take means over them; error bars are those of the reference network."""
    modal, reference = agreement.modal, pieces[agreement.reference]
    n_atoms, confident, missing, gap, error = (
        np.array([piece[name][-1] for piece in pieces])
        for name in ("n_atoms", "confident", "missing", "compression_gap", "error")
    )
    same, n = n_atoms == modal, len(pieces)
    agree = (
        f"{same.sum()} of {n} networks have this number, and {confident.sum():.0f} of {n} can be "
        "relied on."
    )
    return AtomsHeadline(
        n_atoms=possible_sizes(modal, reference["least"][-1], reference["most"][-1], agree),
        direction_error=_widest(reference["direction_error"][-1, :modal]) if modal else None,
        agreement=_share(same, "Share of networks with S* atoms"),
        confident=_share(confident, "Share of networks whose S can be relied on"),
        missing=_share(missing, "Share of networks whose certificate finds a missing atom"),
        compression_gap=_mean(gap, "Part of the network that S atoms leave out"),
        error=_mean(error, "Held-out loss of the dictionary") if np.isfinite(error).all() else None,
        bound=bound,
    )


def _widest(cones: np.ndarray) -> Estimate:
    label = "Least certain direction of an atom: known within (degrees)"
    return Estimate(float(cones.max()), label=label)


def _share(hits: np.ndarray, label: str) -> Estimate:
    return Estimate.share(int(hits.sum()), len(hits), resampled="networks", label=label)


def _mean(values: np.ndarray, label: str) -> Estimate:
    return Estimate.mean(values, resampled="networks", label=label).clip(low=0.0)
