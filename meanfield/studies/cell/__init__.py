"""The study `cell`."""
