"""Planners turn an instruction into a plan of sub-events."""
