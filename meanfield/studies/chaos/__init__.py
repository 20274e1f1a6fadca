"""The study `chaos`."""
