"""Engines and planners by name, and workers made of them."""
