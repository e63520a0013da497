"""Weights as files: the published checkpoint, our layout, the way from one to the other."""
