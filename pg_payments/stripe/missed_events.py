"""Events that Stripe has not been able to deliver, fetched instead.

Stripe does not try again for an endpoint that was deleted (its documentation: Receive Stripe events in your webhook
endpoint, Automatic retries), so they are fetched before one is.
"""

from __future__ import annotations

import json
import time
from typing import Any

from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import UNSTORABLE
from pg_payments.stripe.client import StripeAnswer, StripeApi
from pg_payments.stripe.pages import objects_of, pages

RETRIED = 3 * 24 * 3600
"""Seconds for which Stripe tries a live delivery again."""


def may_be_listed(stripe: StripeApi) -> None:
    """Raises `StripeRefused` if the key does not open the list."""
    stripe.read("/v1/events", {"limit": 1})


def take_missed_events(conn: Connection[Any], stripe: StripeApi, environment: str) -> None:
    """Takes in what some endpoint of the account has not acknowledged; Stripe does not tell which. `conn` commits."""
    asked = {"delivery_success": False, "created": {"gte": int(time.time()) - RETRIED}}
    for page in pages(stripe.read, "/v1/events", asked):
        take_in(conn, stripe, environment, page)


def take_in(conn: Connection[Any], stripe: StripeApi, environment: str, page: StripeAnswer) -> list[Row]:
    """Takes in the events of a page that are of projected types: what `functions.ingest_stripe_event` says of each."""
    try:
        return functions.ingest_stripe_list(conn, environment, page.body, stripe.account_id)
    except UNSTORABLE:  # in one of them is what SQL reads in no list, such as \u0000
        return _taken_one_by_one(conn, stripe, environment, page)


def _taken_one_by_one(conn: Connection[Any], stripe: StripeApi, environment: str, page: StripeAnswer) -> list[Row]:
    """Takes in each event of a page as Stripe writes it alone; the ledger keeps it as text where it has to."""
    projected = functions.projected_event_types(conn)
    return [
        functions.ingest_stripe_event(
            conn, environment, _as_delivered(stripe, stripe.read(f"/v1/events/{listed['id']}"))
        )
        for listed in objects_of(page)
        if listed["type"] in projected
    ]


def _as_delivered(stripe: StripeApi, event: StripeAnswer) -> str:
    """An event with its connected account, which Stripe names where it delivers it and not where it is asked there."""
    if stripe.account_id is None or "account" in event.data:
        return event.body
    return f'{{"account": {json.dumps(stripe.account_id)}, {event.body.lstrip()[1:]}'
