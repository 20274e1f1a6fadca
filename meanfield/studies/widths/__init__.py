"""The study `widths`."""
