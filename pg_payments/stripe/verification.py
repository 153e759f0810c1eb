"""The mirror against Stripe, object by object and member by member; and what differs made right, by the usual door.

    found = verify(conn, stripe, "test", repair=True)

Each list is read like a sync does, but compared instead of stored; what is stored and not listed is asked for. Then the
rows of the projections are compared with what the stored objects say. One fault is told once: rows that are wrong
because their object is are not told by themselves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from psycopg import Connection

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import UNSTORABLE, StripeRefused
from pg_payments.stripe import version2
from pg_payments.stripe.client import StripeAnswer, StripeApi
from pg_payments.stripe.deletions import is_gone, says_it_is_gone
from pg_payments.stripe.lists import LISTS, USUAL, List
from pg_payments.stripe.pages import objects_of, pages
from pg_payments.stripe.ranges import Say
from pg_payments.stripe.reading import PacedReader, whole
from pg_payments.stripe.sync import account

KINDS: Final = ("missing", "stale", "extra", "different")
AT_ONCE = 500
"""Stored objects that are looked at in one statement."""
REBUILT_AT_ONCE = 100
UNHOLDABLE: Final = ("jsonb cannot hold it",)
"""What is said of an object instead of its members."""
PARENTS: Final = {
    "stripe_subscription_items": "subscription_id",
    "customer_mappings": "provider_customer_id",
    "stripe_payment_methods": "customer_id",
    "transactions": "provider_object_id",
}
"""The column of a row that names the object it is computed from, where its key does not."""


@dataclass(frozen=True)
class Difference:
    """`missing`: at Stripe, not here. `extra`: here, not at Stripe any more. `stale`: the stored object is not as
    Stripe has it. `different`: a row is not as the stored object says."""

    kind: str
    table: str
    key: str
    fields: tuple[str, ...] = ()
    object_type: str = ""


@dataclass
class Verification:
    """What was found, how much was compared, and what of it is left after a repair."""

    objects: int = 0
    found: list[Difference] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)


def verify(
    conn: Connection[Any],
    stripe: StripeApi,
    environment: str,
    names: Collection[str] = USUAL,
    sample: int | None = None,
    repair: bool = False,
    say: Say = lambda what, count: None,
) -> Verification:
    """Compares these lists, and all rows; with `sample`, only so many stored objects of each list and their rows.

    `conn` commits each statement and may do what members of payments_service and payments_admin may. Raises
    `StripeRefused`, as `sync.account`, and psycopg's errors. Keeps a summary for `payments.worker_status()`, but not of
    a connected account, of which only its own rows are compared; else all are.
    """
    account(conn, stripe, environment)
    compared = _Comparison(PacedReader(conn, stripe, environment), sample, say)
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="verify") as threads:
        listed = list(threads.map(compared.of_list, names))
    result = Verification(sum(count for count, _ in listed), [each for _, found in listed for each in found])
    if sample is None:
        result.found += _rows(conn, environment, result.found, stripe.account_id)
    result.left = compared.after_repair(result.found) if repair else result.found
    if stripe.account_id is not None:
        return result
    counts = Counter(each.kind for each in result.left)
    functions.record_verification(
        conn, environment, result.objects, sample is not None, {kind: counts[kind] for kind in KINDS},
        len(result.found) - len(result.left),
    )  # fmt: skip
    return result


class _Comparison:
    def __init__(self, reader: PacedReader, sample: int | None, say: Say) -> None:
        self._reader = reader
        self._conn, self._environment = reader.conn, reader.environment
        self._account = reader.stripe.account_id
        self._sample, self._say = sample, say

    def of_list(self, name: str) -> tuple[int, list[Difference]]:
        """How many objects of Stripe's were compared, and what differs."""
        each = LISTS[name]
        found: list[Difference] = []
        count = 0
        answers = self._sampled(each) if self._sample is not None else self._listed(each)
        for size, differences in answers:
            count += size
            found += differences
            self._say(name, count)
        return count, found

    def _listed(self, each: List) -> Iterator[tuple[int, list[Difference]]]:
        ids: set[str] = set()
        began = datetime.now(UTC)
        listed = (
            version2.pages(self._reader, each) if each.is_version2 else pages(self._reader.read, each.path, each.asked)
        )
        for page in listed:
            began = min(began, page.at or began)
            ids.update(made["id"] for made in objects_of(page))
            yield len(objects_of(page)), self._compared(each, page)
        after: str | None = None
        while found := self._older(each.object_type, began, after):
            after = found[-1]
            for object_id in found:
                if object_id not in ids:
                    yield self._asked_for(each, object_id)

    def _older(self, object_type: str, began: datetime, after: str | None) -> list[str]:
        return functions.older_objects(self._conn, self._environment, object_type, began, after, AT_ONCE, self._account)

    def _sampled(self, each: List) -> Iterator[tuple[int, list[Difference]]]:
        """The newest that Stripe lists, and some that are stored."""
        if each.is_version2:
            newest = next(version2.pages(self._reader, each, self._sample or 1))
        else:
            newest = self._reader.read(each.path, {**each.asked, "limit": min(self._sample or 1, 100)})
        yield len(objects_of(newest)), self._compared(each, newest)
        for object_id in functions.sample_objects(
            self._conn, self._environment, each.object_type, self._sample, self._account
        ):
            yield self._asked_for(each, object_id)

    def _asked_for(self, each: List, object_id: str) -> tuple[int, list[Difference]]:
        try:
            answer = self._reader.read_object(each.object_type, object_id)
        except StripeRefused as refused:
            if refused.status != 404:
                raise
            return 1, self._extra(each, object_id)
        if says_it_is_gone(answer.data):
            return 1, self._extra(each, object_id)
        body = StripeAnswer(f'{{"data": [{answer.body}]}}', {"data": [answer.data]}, answer.at)
        return 1, self._compared(each, body)

    def _extra(self, each: List, object_id: str) -> list[Difference]:
        return [Difference("extra", "stripe_objects", object_id, (), each.object_type)]

    def _compared(self, each: List, page: StripeAnswer) -> list[Difference]:
        try:
            body = whole(self._conn, self._reader.stripe, page, [], self._reader.read)
            rows = self._different(body, page.at)
        except UNSTORABLE:
            return [found for made in objects_of(page) for found in self._alone(each, made, page.at)]
        return [
            Difference(row["kind"], row["table_name"], row["key"], tuple(row["fields"]), each.object_type)
            for row in rows
        ]

    def _different(self, body: str, at: datetime | None) -> list[Row]:
        with_rows = self._sample is not None
        return functions.compare_with_stripe(
            self._conn, self._environment, body, at or datetime.now(UTC), self._account, with_rows
        )

    def _alone(self, each: List, made: Any, at: datetime | None) -> list[Difference]:
        """An object of a page that `jsonb` cannot hold: it, or a neighbour."""
        page = StripeAnswer(json.dumps({"data": [made]}), {"data": [made]}, at)
        try:
            functions.as_jsonb(self._conn, page.body)
        except UNSTORABLE:
            return [Difference("missing", "stripe_objects", made["id"], UNHOLDABLE, each.object_type)]
        return self._compared(each, page)

    def after_repair(self, found: Collection[Difference]) -> list[Difference]:
        """What still differs, once each object is stored as Stripe has it, and rows are computed again."""
        for each in found:
            if each.table == "stripe_objects" and each.fields != UNHOLDABLE:
                is_gone(self._reader, each.object_type, each.key)
        if any(each.table != "stripe_objects" for each in found):
            rebuild(self._conn, self._environment)
        left = [
            still
            for each in found
            if each.table == "stripe_objects"
            for still in self._still(each)
        ]  # fmt: skip
        return left + _rows(self._conn, self._environment, left, self._account)

    def _stored_like(self, each: Difference) -> list[str]:
        return functions.older_objects(
            self._conn, self._environment, each.object_type, datetime.max.replace(tzinfo=UTC), each.key[:-1], AT_ONCE,
            self._account,
        )  # fmt: skip

    def _still(self, each: Difference) -> list[Difference]:
        if each.kind == "extra" or each.fields == UNHOLDABLE:
            return [each] if each.key in self._stored_like(each) or each.kind == "missing" else []
        listed = next(found for found in LISTS.values() if found.object_type == each.object_type)
        return self._asked_for(listed, each.key)[1]


def rebuild(conn: Connection[Any], environment: str) -> None:
    """All steps of a rebuild, each its own transaction."""
    after: str | None = None
    while True:
        after = functions.rebuild_projections_step(conn, environment, after, REBUILT_AT_ONCE)["next"]
        if after is None:
            return


def rows_of(conn: Connection[Any], environment: str, account: str | None) -> list[Row]:
    """`payments.verify_projections()`: all rows that differ (None), or those of a connected account."""
    rows = functions.verify_projections(conn, environment)
    return rows if account is None else [row for row in rows if _is_of(row, account)]


def _is_of(row: Row, account: str) -> bool:
    shown = row["stored"] or row["expected"] or {}
    return row["key"].endswith(f" of {account}") or shown.get("account_id") == account


def _rows(
    conn: Connection[Any], environment: str, objects: Collection[Difference], account: str | None
) -> list[Difference]:
    """Rows that are not as the stored objects say, but for those whose object is told already."""
    told = {each.key for each in objects}
    return [
        Difference(_kind(row), row["projection"], row["key"], _fields(row))
        for row in rows_of(conn, environment, account)
        if not told & _objects_of(row)
    ]


def _kind(row: Row) -> str:
    return "missing" if row["stored"] is None else "extra" if row["expected"] is None else "different"


def _fields(row: Row) -> tuple[str, ...]:
    stored, expected = row["stored"] or {}, row["expected"] or {}
    if not (row["stored"] and row["expected"]):
        return ()
    return tuple(sorted(name for name in {*stored, *expected} if stored.get(name) != expected.get(name)))


def _objects_of(row: Row) -> set[str]:
    """Ids of the objects that a row is computed from."""
    key = row["key"].partition(" of ")[0]
    shown = row["stored"] or row["expected"] or {}
    return {key, key.rpartition(":")[2], str(shown.get(PARENTS.get(row["projection"], ""), ""))}
