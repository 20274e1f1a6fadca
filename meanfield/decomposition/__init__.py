"""Where the error of a trained network comes from: one component per cause, and what to do."""

from __future__ import annotations

from meanfield.decomposition.decompose import decompose_error
from meanfield.decomposition.error_budget import Component, ErrorBudget
from meanfield.decomposition.laws import Advice, Decay

__all__ = ["Advice", "Component", "Decay", "ErrorBudget", "decompose_error"]
