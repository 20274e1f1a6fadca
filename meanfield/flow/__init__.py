"""The particle system and its noisy gradient flow."""
