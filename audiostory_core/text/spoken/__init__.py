"""Written words as they are spoken: figures, signs, abbreviations, names."""
