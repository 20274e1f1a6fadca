"""What is learned: activations, losses, targets, data sources, and the problem itself."""

from __future__ import annotations

from meanfield.problem.activations import ACTIVATIONS, Activation, get_activation
from meanfield.problem.losses import LOSSES, Loss, get_loss
from meanfield.problem.problem import Problem

__all__ = ["ACTIVATIONS", "LOSSES", "Activation", "Loss", "Problem", "get_activation", "get_loss"]
