"""A sync: what Stripe's API lists, page by page, through the same door as what its events carry.

    row = sync(conn, stripe, "test", say=lambda what, count: print(what, count))

Pages go to the database as Stripe wrote them, observed at the time that Stripe's own clock says, so a page never
overrides an event that came later. Lists are read side by side, large ones in parts, and each part's place is kept in
the database: a sync that was broken off, however, goes on where it was. See `ranges`, and functions/75_worker/.

A list inside an object, such as the items of a subscription, of which Stripe gives the beginning is read to its end
before the page is stored: a mirror that lacks a part of an object is no mirror.

What is stored and was not listed is asked for, one by one: see `deletions`.

An object that `jsonb` cannot hold keeps its whole page out. Stripe is then asked for ever smaller pages until it stands
alone on one: so its neighbours are stored as Stripe wrote them, and it is skipped and named in the end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import AnswerUnstorable, PaymentsError
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.lists import LISTS, USUAL
from pg_payments.stripe.ranges import Ranges, Say
from pg_payments.stripe.reading import PATIENCE, PacedReader, read, reason, whole

__all__ = ["LISTS", "PATIENCE", "USUAL", "Say", "account", "is_recorded", "lists_of", "read", "reason", "sync", "whole"]

NAMED = 10
"""Skipped objects that a sync's error names."""


def _quiet(what: str, count: int, /) -> None:
    pass


def sync(
    conn: Connection[Any],
    stripe: StripeApi,
    environment: str,
    objects: Collection[str] = USUAL,
    say: Say = _quiet,
    expect: Say = _quiet,
    since: datetime | None = None,
) -> Row:
    """The `payments.provider_connections` row after the sync, which says whether it succeeded; `lists_of` says more.

    `conn` commits each statement, and is used by several threads. Failures of Stripe and of what it sent are in the
    row; raises only what keeps them from being written there, and what `say` raises. A sync of other lists than the
    usual ones, of what was created `since`, or of a connected account is not recorded, and raises its failure. A list
    that fails does not keep the others from being read. A sync that skipped something has failed, for the mirror lacks
    that, but it has read everything else. `expect` is told how many objects a list may have, before `say` is.
    """
    counts = None
    names = [name for name in LISTS if name in objects]
    recorded = is_recorded(names, since, stripe.account_id)
    try:
        row, began, opened = _account(conn, stripe, environment)
        counts = dict.fromkeys(names, 0)
        at_end = functions.lists_at_end(conn, environment, stripe.account_id, names, since)
        for name in names:
            if name in at_end:
                continue
            each = LISTS[name]
            confirms = each.object_type if each.confirms and since is None else None
            functions.begin_list(
                conn, environment, stripe.account_id, name, began, each.splits, confirms, since, opened
            )
        Ranges(PacedReader(conn, stripe, environment), names, say, expect).run()
        read_lists = lists_of(conn, stripe, environment, names)
        counts |= _counts(read_lists)
        if failure := _failure(read_lists):
            raise failure
    except (PaymentsError, psycopg.Error) as error:
        if not recorded or getattr(error, "code", None) == "STOPPED":
            raise
        return functions.finish_sync(conn, environment, counts, reason(error))
    return functions.finish_sync(conn, environment, counts) if recorded else row


def is_recorded(names: Collection[str], since: datetime | None, account_id: str | None) -> bool:
    """Whether a sync like this is the connection's last one: of all usual lists, from their beginning."""
    return set(names) >= set(USUAL) and since is None and account_id is None


def lists_of(conn: Connection[Any], stripe: StripeApi, environment: str, names: Collection[str]) -> list[Row]:
    """How the last sync of each of these lists went: the columns of `payments.sync_status()`."""
    rows = {row["list"]: row for row in functions.sync_status(conn, environment, stripe.account_id)}
    return [rows[name] for name in names if name in rows]


def account(conn: Connection[Any], stripe: StripeApi, environment: str) -> Row:
    """Connects the account that the key opens. Raises where another one is mirrored."""
    return _account(conn, stripe, environment)[0]


def _account(conn: Connection[Any], stripe: StripeApi, environment: str) -> tuple[Row, datetime, int | None]:
    """The same, with the time by Stripe's clock or, if that is earlier, ours, and when the account was opened."""
    answer = read(stripe, "/v1/account")
    now = datetime.now(UTC)
    opened = answer.data.get("created")
    row: Row = {} if stripe.account_id else functions.connect_account(conn, environment, answer.body, stripe.livemode)
    return row, min(now, answer.at or now), opened if isinstance(opened, int) else None


def _counts(lists: Sequence[Row]) -> dict[str, int]:
    counts = {row["list"]: int(row["read"]) for row in lists}
    for name in ("gone", "skipped"):
        if count := sum(row[name] for row in lists):
            counts[name] = int(count)
    return counts


def _failure(lists: Sequence[Row]) -> PaymentsError | None:
    errors = dict.fromkeys(row["error"] for row in lists if row["error"])
    skipped = [each for row in lists for each in row["skipped_ids"]]
    if errors:
        return PaymentsError("; ".join(errors))
    if skipped:
        names = ", ".join(skipped[:NAMED]) + (f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else "")
        return AnswerUnstorable(f"all is mirrored but what jsonb cannot hold, such as a NUL character: {names}")
    return None
