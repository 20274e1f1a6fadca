"""The study `identify`."""
