"""The parts of lists, read by several threads, and by several processes if there are.

`payments.claim_range` shares parts out, `payments.record_page` stores a page and moves the checkpoint in one
transaction: whatever dies when, nothing is stored without its checkpoint, and no part that is finished is read again.
The threads share one connection, which serves them in turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

import psycopg

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.errors import UNSTORABLE, PaymentsError, StripeRefused
from pg_payments.stripe import version2
from pg_payments.stripe.client import StripeAnswer
from pg_payments.stripe.deletions import is_gone
from pg_payments.stripe.lists import LISTS
from pg_payments.stripe.pages import PAGE, ListCutShort, next_after, objects_of
from pg_payments.stripe.reading import PacedReader, is_jsonb, reason, whole

AT_ONCE = 8
"""Parts that one process reads at a time."""
LOOK = 0.5
"""Seconds after which a thread without work looks whether another process has left any."""
CONFIRMED_AT_ONCE = 20
"""Objects that are asked for between two checkpoints."""
TRIES = 6
"""How often a page is stored where deliveries hold what it touches."""
BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
ALWAYS = 2**40
"""Later than anything is created."""
EMPTY = '{"data": []}'


class Say(Protocol):
    """Told after each page: the list, and how many of it have come."""

    def __call__(self, what: str, count: int, /) -> None: ...


class Lost(Exception):
    """Another process reads the part now."""


class Ranges:
    """Reads lists that `payments.begin_list` has begun, to their ends."""

    def __init__(self, reader: PacedReader, names: Sequence[str], say: Say, expect: Say) -> None:
        self._reader = reader
        self._conn = reader.conn
        self._environment = reader.environment
        self._account = reader.stripe.account_id
        self._names = names
        self._say, self._expect = say, expect
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._told = threading.Lock()
        self._unsaid: BaseException | None = None

    def run(self) -> None:
        """Returns when nothing is left; what a part failed with is kept with it. Raises what the database does, and
        what `say` does."""
        with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="sync") as threads:
            try:
                working = [threads.submit(self._work) for _ in range(AT_ONCE)]
                wait(working, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()  # unless all are done, something went wrong
        if self._unsaid is not None:
            raise self._unsaid
        for each in working:
            each.result()

    def _work(self) -> None:
        while not self._stop.is_set():
            part = functions.claim_range(self._conn, self._environment, self._account, self._names)
            if part is not None:
                with self._holding(part):
                    self._how(part)(part)
            elif functions.ranges_left(self._conn, self._environment, self._account, self._names):
                with self._news:
                    self._news.wait(LOOK)
            else:
                return

    def _how(self, part: Row) -> Callable[[Row], None]:
        if part["what"] == "confirm":
            return self._confirm
        return self._read_version2 if LISTS[part["list"]].is_version2 else self._read

    @contextmanager
    def _holding(self, part: Row) -> Iterator[None]:
        """A part that fails is left with its error; one that is left for another cause is free at once."""
        error: str | None = None
        try:
            yield
        except Lost:
            return
        except (PaymentsError, psycopg.Error) as failure:
            if self._unsaid is not None or self._conn.closed:
                raise
            error = reason(failure)
        finally:
            if not self._conn.closed:
                functions.release_range(self._conn, part["range_id"], part["claim"], error)
            with self._news:
                self._news.notify_all()

    def _read(self, part: Row) -> None:
        """Reads a part to its end, or until it is to stop."""
        each = LISTS[part["list"]]
        after, created_from, last = part["starting_after"], part["created_from"], part["last_created"]
        seen = {str(after)}
        limit = PAGE
        while not self._stop.is_set():
            asked = {**each.asked, "limit": limit} | _within(created_from, part["created_until"])
            try:
                page = self._reader.read(each.path, asked | ({"starting_after": after} if after else {}))
            except StripeRefused as refused:
                if not (after and last and each.splits and refused.detail == "resource_missing"):
                    raise
                # what the last page ended with is gone: its second is read again
                page = self._reader.read(each.path, asked | _within(created_from, last + 1))
            objects = objects_of(page)
            if any(made.get("created", 0) >= _until(part) for made in objects):
                raise ListCutShort(each.path)  # it does not heed what it is asked, and would be read without end
            following = next_after(page.data, each.path, seen)
            last = objects[-1].get("created", last) if objects else last
            row = self._recorded(part, page, following, last)
            if row is None:
                limit = len(objects) // 2
                seen.discard(str(following))
                continue
            self._tell(part["list"], row)
            created_from, after, limit = row["created_from"], following, min(2 * limit, PAGE)
            if following is None:
                return

    def _read_version2(self, part: Row) -> None:
        """The same for a list of version 2, whose objects are asked for one by one."""
        each, kept = LISTS[part["list"]], part["starting_after"]
        url, seen = kept, {str(kept)}
        while not self._stop.is_set():
            try:
                named = version2.named(self._reader, each, url)
            except StripeRefused as refused:
                if url is None or url != kept or refused.status not in (400, 404):
                    raise
                url = kept = None  # where it stopped before is forgotten at Stripe: from the beginning
                seen.clear()
                continue
            url = version2.next_url(named.data, each.path, seen)
            if not self._recorded_version2(part, version2.objects(self._reader, each, named), url, named.at):
                raise Lost
            if url is None:
                return

    def _recorded_version2(
        self, part: Row, answers: Sequence[StripeAnswer], url: str | None, at: datetime | None
    ) -> bool:
        """Stores these objects, but for those that `jsonb` cannot hold; False: another has the part."""

        def record(kept: Sequence[StripeAnswer], skipped: Sequence[str]) -> Row | None:
            page = version2.together(kept, at)
            args = (part["range_id"], part["claim"], page.body, page.at, url, None, None, skipped)
            return self._patiently(lambda: functions.record_page(self._conn, *args))

        try:
            row = record(answers, ())
        except UNSTORABLE:
            held = [is_jsonb(self._conn, each.body) for each in answers]
            if all(held):
                raise
            skipped = [each.data["id"] for each, is_held in zip(answers, held, strict=True) if not is_held]
            row = record([each for each, is_held in zip(answers, held, strict=True) if is_held], skipped)
        self._tell(part["list"], row)
        return row is not None

    def _recorded(self, part: Row, page: StripeAnswer, following: str | None, last: int | None) -> Row | None:
        """What `functions.record_page` says; None if there is something in the page that `jsonb` cannot hold."""
        objects = objects_of(page)
        top = objects[0].get("created") if objects else None
        texts: list[str] = []

        def record(body: str, skipped: Sequence[str]) -> Row | None:
            args = (part["range_id"], part["claim"], body, page.at, following, top, last, skipped)
            return self._patiently(lambda: functions.record_page(self._conn, *args))

        try:
            row = record(whole(self._conn, self._reader.stripe, page, texts, self._reader.read), ())
        except UNSTORABLE:
            if all(is_jsonb(self._conn, text) for text in texts):
                raise
            if len(objects) > 1:
                return None
            row = record(EMPTY, [each["id"] for each in objects])
        if row is None:
            raise Lost
        return row

    def _patiently(self, record: Callable[[], Row | None]) -> Row | None:
        for _ in range(TRIES - 1):
            try:
                return record()
            except BUSY:
                self._stop.wait(0.2)
        return record()

    def _confirm(self, part: Row) -> None:
        """Asks for each stored object that was not listed and has not changed since the list began."""
        object_type, after = part["confirms"], part["starting_after"]
        skipped = set(self._skipped(part["list"]))
        while not self._stop.is_set():
            found = functions.older_objects(
                self._conn, self._environment, object_type, part["began_at"], after, CONFIRMED_AT_ONCE, self._account
            )
            gone, unstorable = 0, []
            for object_id in found:
                if object_id in skipped:
                    continue
                try:
                    gone += is_gone(self._reader, object_type, object_id)
                except UNSTORABLE:
                    unstorable.append(object_id)
            after = found[-1] if found else None
            if not functions.record_confirmed(self._conn, part["range_id"], part["claim"], after, gone, unstorable):
                raise Lost
            if after is None:
                return
            self._tell(part["list"], None)

    def _skipped(self, name: str) -> list[str]:
        rows = functions.sync_status(self._conn, self._environment, self._account)
        return next((list(row["skipped_ids"]) for row in rows if row["list"] == name), [])

    def _tell(self, name: str, row: Row | None) -> None:
        with self._news:
            self._news.notify_all()
        with self._told:
            if self._stop.is_set() or row is None:
                return
            try:
                if row["expected"] is not None:
                    self._expect(name, row["expected"])
                self._say(name, row["read"])
            except BaseException as error:
                self._unsaid = error
                self._stop.set()
                raise


def _within(created_from: int | None, created_until: int | None) -> dict[str, Any]:
    bounds = {"gte": created_from, "lt": created_until}
    created = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"created": created} if created else {}


def _until(part: Row) -> int:
    until: int | None = part["created_until"]
    return ALWAYS if until is None else until
