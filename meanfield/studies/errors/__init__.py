"""The study `errors`."""
