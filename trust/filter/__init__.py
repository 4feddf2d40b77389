"""Which images pass."""
