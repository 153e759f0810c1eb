"""Talking to Stripe."""
