"""Hosts: child processes that each run one engine in that engine's own interpreter."""
