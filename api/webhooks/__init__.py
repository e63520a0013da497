"""Webhooks: who hears of events, and the sender."""
