"""Word lists and patterns, one TOML file per language."""
