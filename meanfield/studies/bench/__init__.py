"""The study `bench`."""
