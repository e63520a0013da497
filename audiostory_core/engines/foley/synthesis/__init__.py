"""Building blocks that the kinds of sound are made of."""
