"""What is true: tables, every query, and the content-addressed audio files."""
