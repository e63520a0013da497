"""A story as data: plans, edits and changes, and their rules."""
