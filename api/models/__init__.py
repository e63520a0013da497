"""Weights of the AudioStory network: pull, convert, verify."""
