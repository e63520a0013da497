"""The embedded engine: procedural sound from words, without weights or recordings."""
