"""The edge: command line, HTTP, settings. Only here are engines and planners chosen and built."""
