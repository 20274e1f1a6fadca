"""Mean-field references: the limit that the particles approach."""
