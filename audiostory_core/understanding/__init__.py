"""Descriptions in words of what is heard in audio."""
