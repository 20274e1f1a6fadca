"""The page that a study leaves."""
