"""The study `limit`."""
