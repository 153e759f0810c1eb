"""A sync: what Stripe's API lists, page by page, through the same door as what its events carry.

    row = sync(conn, stripe, "test", say=lambda what, count: print(what, count))

Pages go to the database as Stripe wrote them, observed at the time that Stripe's own clock says, so a page never
overrides an event that came later. What is listed twice, or again after a sync was broken off, changes nothing.

A list inside an object, such as the items of a subscription, of which Stripe gives the beginning is read to its end
before the page is stored: a mirror that lacks a part of an object is no mirror.

What is stored and was not listed is asked for, one by one: see `deletions`.

An object that `jsonb` cannot hold keeps its whole page out. Stripe is then asked for ever smaller pages until it stands
alone on one: so its neighbours are stored as Stripe wrote them, and it is skipped and named in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import psycopg
from psycopg import Connection
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import UNSTORABLE, AnswerUnstorable, PaymentsError, StripeRefused, from_database_error
from pg_payments.stripe.client import StripeAnswer, StripeApi
from pg_payments.stripe.deletions import confirm_deletions
from pg_payments.stripe.pages import PAGE, next_after, open_lists, pages

NAMED = 10
"""Skipped objects that a sync's error names."""

LISTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "products": {},
    "prices": {},
    "customers": {},
    "subscriptions": {"status": "all"},
}
"""The lists under /v1/, in the order in which what refers to others comes after them; and what to ask besides."""

LISTED: Final[Mapping[str, str]] = {
    "products": "product", "prices": "price", "customers": "customer", "subscriptions": "subscription"
}  # fmt: skip
"""What they list."""

Say = Callable[[str, int], None]
"""Told after each page: the list, and how many of it have come."""


@dataclass
class _Listing:
    """A list that was read: since when, by Stripe's clock, all ids in it, and those of what could not be stored."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    ids: set[str] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, StripeRefused) and (error.status == 429 or error.status >= 500)


PATIENCE = Retrying(
    retry=retry_if_exception(_is_passing),
    wait=wait_random_exponential(multiplier=0.5, max=20),
    stop=stop_after_attempt(7),
    reraise=True,
)
"""For Stripe's 429 and 5xx: about a minute in all."""


def sync(
    conn: Connection[Any],
    stripe: StripeApi,
    environment: str,
    objects: Collection[str] = tuple(LISTS),
    say: Say = lambda what, count: None,
) -> Row:
    """The `payments.provider_connections` row after the sync, which says whether it succeeded.

    `conn` commits each statement. Failures of Stripe and of what it sent are in the row; raises only what keeps them
    from being written there. A sync of some lists only is not recorded, and raises its failure. A sync that skipped
    something has failed, for the mirror lacks that, but it has read everything else.
    """
    counts = None
    of_all = set(objects) >= set(LISTS)
    try:
        row = account(conn, stripe, environment)
        counts = dict.fromkeys((name for name in LISTS if name in objects), 0)
        skipped, gone = [], 0
        for name in tuple(counts):
            list_of = _list(conn, stripe, environment, name, counts, say)
            skipped += list_of.skipped
            gone += confirm_deletions(conn, stripe, read, environment, LISTED[name], list_of.ids, list_of.began)
        if gone:
            counts["gone"] = gone
        if skipped:
            counts["skipped"] = len(skipped)
            raise _all_but(skipped)
    except (PaymentsError, psycopg.Error) as error:
        if not of_all:
            raise
        return functions.finish_sync(conn, environment, counts, reason(error))
    return functions.finish_sync(conn, environment, counts) if of_all else row


def account(conn: Connection[Any], stripe: StripeApi, environment: str) -> Row:
    """Connects the account that the key opens. Raises where another one is mirrored."""
    return functions.connect_account(conn, environment, read(stripe, "/v1/account").body, stripe.livemode)


def _list(
    conn: Connection[Any], stripe: StripeApi, environment: str, name: str, counts: dict[str, int], say: Say
) -> _Listing:
    """Reads a list to its end."""
    listing = _Listing()
    asked = {**LISTS[name], "limit": PAGE}
    while True:
        page = read(stripe, f"/v1/{name}", asked)
        ids = [each["id"] for each in page.data["data"]]
        listing.ids.update(ids)
        listing.began = min(listing.began, page.at or listing.began)
        after = next_after(page.data, f"/v1/{name}", asked.get("starting_after"))
        if _is_stored(conn, stripe, environment, page):
            counts[name] += len(ids)
            say(name, counts[name])
        elif len(ids) > 1:
            asked["limit"] = len(ids) // 2
            continue
        else:
            listing.skipped += ids
        if after is None:
            return listing
        asked |= {"starting_after": after, "limit": min(2 * asked["limit"], PAGE)}


def _is_stored(conn: Connection[Any], stripe: StripeApi, environment: str, page: StripeAnswer) -> bool:
    """Stores a page with what its lists go on with, unless there is something in it that `jsonb` cannot hold."""
    texts: list[str] = []
    try:
        functions.store_stripe_page(conn, environment, whole(conn, stripe, page, texts), page.at)
    except UNSTORABLE:
        if all(_is_jsonb(conn, text) for text in texts):
            raise
        return False
    return True


def whole(conn: Connection[Any], stripe: StripeApi, page: StripeAnswer, texts: list[str]) -> str:
    """The answer with every list in it read to its end; `texts` gets the text of all that Stripe answered."""
    texts.append(page.body)
    body = page.body
    for each in open_lists(page.data):
        rest = [whole(conn, stripe, more, texts) for more in pages(partial(read, stripe), each.path, each.asked)]
        body = functions.with_rest_of_list(conn, body, each.steps, rest)
    return body


def _is_jsonb(conn: Connection[Any], text: str) -> bool:
    try:
        functions.as_jsonb(conn, text)
    except UNSTORABLE:
        return False
    return True


def _all_but(skipped: Sequence[str]) -> AnswerUnstorable:
    names = ", ".join(skipped[:NAMED]) + (f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else "")
    return AnswerUnstorable(f"all is mirrored but what jsonb cannot hold, such as a NUL character: {names}")


def read(stripe: StripeApi, path: str, parameters: Mapping[str, Any] | None = None) -> StripeAnswer:
    """`stripe.read` with patience. Raises `StripeRefused`."""
    return PATIENCE(stripe.read, path, parameters)


def reason(error: PaymentsError | psycopg.Error) -> str:
    """What an administrator is told of a failure."""
    known = from_database_error(error) if isinstance(error, psycopg.Error) else error
    return known.message if known else f"the database refused what Stripe sent: {str(error).splitlines()[0]}"
