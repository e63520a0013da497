"""A planner that asks any language model behind an OpenAI-compatible chat endpoint."""
