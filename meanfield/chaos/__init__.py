"""Propagation of chaos: how fast the particles approach their limit."""
