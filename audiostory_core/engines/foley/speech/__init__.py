"""Lines become spoken words, through espeak-ng in a process of its own."""
