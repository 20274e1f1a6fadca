"""The particle step against other libraries on this machine, and against the machine's limits.

The same dynamics in JAX, PyTorch and NumPy, each in a process of its own, timed in turns. Needs
the extra ``bench`` for the first two. The study is `meanfield.studies.bench.study`.
"""
