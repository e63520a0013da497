"""What runs inside vLLM's own environment: it imports vLLM and torch, never the studio."""
