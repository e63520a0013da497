"""Requests to a chat server: client, circuit breaker, answers."""
