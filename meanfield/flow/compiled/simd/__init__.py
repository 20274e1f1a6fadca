"""Vectors of numbers in compiled code; knows nothing of particles."""
