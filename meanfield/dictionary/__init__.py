"""From particles to the few atoms that matter."""
