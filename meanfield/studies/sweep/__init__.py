"""Sweeps: a study at every point of a grid, as one set of units."""
