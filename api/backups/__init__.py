"""A story as one file, and back."""
