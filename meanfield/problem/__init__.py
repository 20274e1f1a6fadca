"""What is learned: activations, losses, targets, data sources, and the problem itself."""

from __future__ import annotations

from meanfield.problem.activations import ACTIVATIONS, Activation, get_activation
from meanfield.problem.losses import LOSSES, Loss, get_loss

__all__ = ["ACTIVATIONS", "LOSSES", "Activation", "Loss", "get_activation", "get_loss"]
