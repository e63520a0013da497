"""The state machine that drives a story; the only package that imports LangGraph."""
