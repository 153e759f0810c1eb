"""A shop, as small as one can be: it sells one thing to one user, and waits until its own order is paid.

SHOP_DATABASE_URL, PAYMENTS_URL, PAYMENTS_JWT_SECRET and STRIPE_API_BASE say where everything is. With
SHOP_WAITS_FOR_YOU set, the page to pay on is printed for you to open; else it is paid by a call to the stand-in.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import httpx
import jwt
import psycopg

USER = "ada"
PATIENCE = 600


def main() -> int:
    """0 once the order is paid."""
    with psycopg.connect(os.environ["SHOP_DATABASE_URL"], autocommit=True) as conn:
        conn.execute(Path(__file__).with_name("shop.sql").read_bytes())
        price = price_at_stripe(os.environ["STRIPE_API_BASE"])
        row = conn.execute(
            "insert into public.shop_orders (owner, price) values (%s, %s) returning id", [USER, price]
        ).fetchone()
        order = str(row[0]) if row else ""
        session = begin_checkout(order, price)
        print(f"order {order}: pay on {session['url']}", flush=True)
        if not os.environ.get("SHOP_WAITS_FOR_YOU"):
            page = f"{os.environ['STRIPE_API_BASE']}/stand-in/sessions/{session['checkoutSessionId']}/pay"
            httpx.post(page).raise_for_status()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = conn.execute("select status from public.shop_orders where id = %s", [order]).fetchone()
            if found == ("paid",):
                print(f"order {order}: paid", flush=True)
                return 0
            time.sleep(0.1)
    print(f"order {order}: not paid within {PATIENCE} s", file=sys.stderr)
    return 1


def price_at_stripe(base: str) -> str:
    """A price of a new product, as a shop's backend makes it."""
    with httpx.Client(base_url=base, headers={"Authorization": "Bearer sk_test_stand_in"}) as stripe:
        product = stripe.post("/v1/products", data={"name": "Coffee, 1 kg"}).raise_for_status().json()
        asked = {"product": product["id"], "unit_amount": "1900", "currency": "eur"}
        return str(stripe.post("/v1/prices", data=asked).raise_for_status().json()["id"])


def begin_checkout(order: str, price: str) -> dict[str, str]:
    """A checkout begun as the user, whose token the shop's sign-in has made."""
    claims = {"sub": USER, "role": "authenticated", "exp": int(time.time()) + 600}
    token = jwt.encode(claims, os.environ["PAYMENTS_JWT_SECRET"], "HS256")
    answer = httpx.post(
        f"{os.environ['PAYMENTS_URL']}/api/payments/stripe/test/checkout-sessions",
        json={
            "mode": "payment",
            "lineItems": [{"priceId": price, "quantity": 1}],
            "subject": {"type": "user", "id": USER},
            "successUrl": "http://127.0.0.1:8000/health",
            "cancelUrl": "http://127.0.0.1:8000/health",
            "metadata": {"order_id": order},
            "idempotencyKey": f"order:{order}",
        },
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    answer.raise_for_status()
    session: dict[str, str] = answer.json()["checkoutSession"]
    return session


if __name__ == "__main__":
    sys.exit(main())
