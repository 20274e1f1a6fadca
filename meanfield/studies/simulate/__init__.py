"""The study `simulate`."""
