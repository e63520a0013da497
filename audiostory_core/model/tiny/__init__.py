"""A tiny checkpoint in the published layout, trained within minutes."""
