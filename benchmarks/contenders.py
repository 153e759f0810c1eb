"""Who takes part: each takes signed bodies, verifies them with Stripe's library, and has them kept when it answers.

    baseline-N   the least: one INSERT of the raw body into a plain table, committed; N connections
    one-N     `ingest_stripe_event`, one by one; N connections
    batch-N   `ingest_stripe_events`, 32 at a time; N connections
    asgi-N    a bare ASGI application that does what the baseline does (`benchmarks.bare`), N deliveries at a time
    http-N    the webhook endpoint of `pg-payments serve`, N deliveries at a time

All but the last two run in client processes of ours, one a connection, with psycopg's defaults and autocommit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
import stripe

from pg_payments.database import functions
from pg_payments.database.query import Row

SECRET = "whsec_of_the_benchmark"
TOLERANCE = 300
BATCH = 32
BASELINE = """create table public.raw_events (
  id bigint generated always as identity primary key, body text not null, received_at timestamptz not null default now()
)"""

Signed: TypeAlias = tuple[bytes, str]
"""A body and its Stripe-Signature header."""
Connection: TypeAlias = psycopg.Connection[Any]


@dataclass(frozen=True)
class Contender:
    """`baseline-16` is kind baseline with 16 clients."""

    name: str
    kind: str
    clients: int

    @classmethod
    def named(cls, name: str) -> Contender:
        kind, _, clients = name.partition("-")
        if kind not in ("baseline", "one", "batch", "asgi", "http") or not clients.isdigit() or not int(clients):
            raise ValueError(f"no contender {name}: baseline-N, one-N, batch-N, asgi-N or http-N")
        return cls(name, kind, int(clients))

    @property
    def served(self) -> bool:
        """Whether it is a web server."""
        return self.kind in ("asgi", "http")

    @property
    def keeps_raw(self) -> bool:
        """Whether it fills the baseline's table."""
        return self.kind in ("baseline", "asgi")

    @property
    def size(self) -> int:
        """Events in one delivery."""
        return BATCH if self.kind == "batch" else 1


def sign(body: bytes) -> Signed:
    """The body with a signature made now."""
    return body, stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET)


def verified(signed: Signed) -> str:
    """The text of a body whose signature is good."""
    body, header = signed
    text = body.decode()
    stripe.WebhookSignature.verify_header(text, header, SECRET, TOLERANCE)
    return text


def keep_raw(conn: Connection, deliveries: Sequence[Signed]) -> None:
    (delivery,) = deliveries
    conn.execute("insert into public.raw_events (body) values (%s)", [verified(delivery)])


def ingest_one(conn: Connection, deliveries: Sequence[Signed]) -> None:
    (delivery,) = deliveries
    _expect_applied([functions.ingest_stripe_event(conn, "test", verified(delivery))])


def ingest_batch(conn: Connection, deliveries: Sequence[Signed]) -> None:
    _expect_applied(functions.ingest_stripe_events(conn, "test", [verified(delivery) for delivery in deliveries]))


def _expect_applied(answers: Sequence[Row]) -> None:
    for answer in answers:
        if answer["processing_status"] != "processed" or answer["duplicate"]:
            raise AssertionError(f"an event was not applied: {answer}")


DELIVER: dict[str, Callable[[Connection, Sequence[Signed]], None]] = {
    "baseline": keep_raw,
    "one": ingest_one,
    "batch": ingest_batch,
}
