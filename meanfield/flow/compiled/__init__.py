"""The compiled particle step."""
