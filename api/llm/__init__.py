"""The language model as a server of its own."""
