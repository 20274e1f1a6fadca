"""Exact optimal transport between clouds of equal size."""
