"""A chat server, asked: client, circuit breaker, answers."""
