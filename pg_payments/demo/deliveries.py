"""Webhook deliveries as Stripe makes them: the body, signed with the endpoint's secret, by HTTP POST."""

from __future__ import annotations

import httpx
import stripe


def signed(body: str, secret: str, at: int | None = None) -> dict[str, str]:
    """The headers of a delivery signed `at` that Unix time, or now."""
    signature = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    return {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}


def deliver(url: str, body: str, secret: str) -> httpx.Response:
    """One delivery; the endpoint's answer."""
    return httpx.post(url, content=body.encode(), headers=signed(body, secret), timeout=30)
