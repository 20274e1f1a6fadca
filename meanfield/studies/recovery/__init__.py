"""The study `recovery`."""
