"""What the quantities of the study `chaos` are, in a few words and in a sentence."""

from __future__ import annotations

LABELS = {
    "function": "function distance",
    "w1_squared": "squared mean distance of partners",
    "coupling": "coupling distance",
    "matched_w2": "matched W₂²",
    "separated": "share of separated partners",
    "w1_squared_modulo": "squared mean distance of partners, modulo symmetry",
    "coupling_modulo": "coupling distance, modulo symmetry",
    "separated_modulo": "share of separated partners, modulo symmetry",
    "law_bias": "squared bias of the law",
    "raw_w2": "raw W₂²",
    "sampling_floor": "sampling floor of raw W₂²",
    "law_w2": "W₂² to the limit law",
    "law_floor": "sampling floor of W₂² to the limit law",
}

_MODULO = (
    " Modulo symmetry: at the least distance to any particle that makes the same neuron as the "
    "partner."
)
MEANING = {
    "function": "Mean squared difference between the network and the infinitely wide network on "
    "the training inputs.",
    "w1_squared": "The mean distance between a particle and its partner, squared. Never below W₁² "
    "of the two systems.",
    "coupling": "Mean squared distance between a particle and its partner, D_N. Expected to fall "
    "like 1/N where partners stay in one well of the potential and the activation is smooth.",
    "matched_w2": "Squared Wasserstein distance between the N particles and their N partners, by "
    "exact optimal transport. Never above the coupling distance, and expected to fall like 1/N "
    "under the same conditions.",
    "separated": "Share of partners further apart than the wells of the potential are wide.",
    "w1_squared_modulo": "The same as without." + _MODULO,
    "coupling_modulo": "The same as without." + _MODULO,
    "separated_modulo": "The same as without." + _MODULO,
    "law_bias": "How far the average network, over many repetitions, is from the infinitely wide "
    "one, squared. Chance cancels in the average, so it falls faster.",
    "raw_w2": "Squared Wasserstein distance between the N particles and an unrelated sample of "
    "the limit.",
    "sampling_floor": "The same for N independent particles of the limit itself: what sampling "
    "alone costs.",
    "law_w2": "Squared Wasserstein distance between the N particles and the limit law itself, "
    "exactly, by the quantile coupling.",
    "law_floor": "The same for N independent particles of the limit.",
}
