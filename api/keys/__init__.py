"""API keys and the audit."""
