"""The particle step against JAX, PyTorch and NumPy, and against the machine's limits.

The same dynamics, each library in a process of its own, timed in turns.
"""
