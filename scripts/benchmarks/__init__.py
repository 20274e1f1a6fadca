"""meanfield against JAX, PyTorch and NumPy: the same dynamics, interleaved in one run."""
