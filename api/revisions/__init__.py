"""Revisions: changes, previews, review, takes, undo, branches."""
