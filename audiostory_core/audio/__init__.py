"""Waveforms between engine and file: crossfade, loudness, mixdown, export. Free of torch."""
