"""What is measured of a clip, and what a measure means."""
