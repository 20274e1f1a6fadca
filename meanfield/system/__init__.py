"""What a machine gives: memory, files that are whole or absent, progress."""
