"""Scalar functions of the user's own: Python that becomes a list of elementary operations."""
