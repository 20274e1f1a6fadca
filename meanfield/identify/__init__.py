"""When two networks are the same function."""
