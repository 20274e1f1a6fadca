"""What a machine gives: cores, memory, files that are whole or absent, progress."""
