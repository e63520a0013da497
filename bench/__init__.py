"""Benches: commands that print tables; their figures are in RESULTS.md."""
