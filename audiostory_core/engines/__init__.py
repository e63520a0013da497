"""Engines turn a clip request into a waveform."""
