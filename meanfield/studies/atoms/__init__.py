"""The study `atoms`."""
