"""Lists of version 2 of Stripe's API (API reference: List accounts): they say themselves where their next page is.

A page shows its objects in part: what has to be asked for (`ASKED`), it leaves out, and cannot be asked to bring. So it
tells which objects there are, and each is asked for by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeAnswer
from pg_payments.stripe.lists import List
from pg_payments.stripe.pages import Json, ListCutShort, objects_of
from pg_payments.stripe.reading import PacedReader

PAGE: Final = 20
"""Objects a page: few, since each is a request, and all of them one checkpoint."""
AT_ONCE: Final = 8
"""Objects of a page that are asked for at a time."""
NOT_THERE: Final = frozenset({"accounts_v2_access_blocked", "non_connect_platform_accounts_v2_access_blocked"})
"""Stripe's codes for an account that has no such objects, since it may have none."""


def named(reader: PacedReader, each: List, url: str | None = None, limit: int = PAGE) -> StripeAnswer:
    """The page at `url`, else the first. Raises `StripeRefused`."""
    try:
        return reader.read(url) if url else reader.read(each.path, {**each.asked, "limit": min(limit, PAGE)})
    except StripeRefused as refused:
        if refused.detail not in NOT_THERE:
            raise
        return together([], refused.at)


def next_url(page: Json, path: str, before: set[str]) -> str | None:
    """Where the next page is, which joins those of the pages `before`; None at the end. Raises `ListCutShort`."""
    found = page.get("next_page_url")
    if found is None:
        return None
    address = urlsplit(str(found))
    url = f"{address.path}?{address.query}"
    if address.path != path or not address.query or url in before:
        raise ListCutShort(path)
    before.add(url)
    return url


def objects(reader: PacedReader, each: List, page: StripeAnswer) -> list[StripeAnswer]:
    """Each object of a page as a whole, but for those that are gone by now. Raises `StripeRefused`."""

    def asked(object_id: str) -> StripeAnswer | None:
        try:
            return reader.read_object(each.object_type, object_id)
        except StripeRefused as refused:
            if refused.status != 404:
                raise
            return None

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="version2") as threads:
        return [found for found in threads.map(asked, [made["id"] for made in objects_of(page)]) if found]


def together(answers: Sequence[StripeAnswer], at: datetime | None) -> StripeAnswer:
    """A page of these objects, as old as the oldest; without any, of the time `at`."""
    body = f'{{"data": [{", ".join(each.body for each in answers)}]}}'
    times = [each.at for each in answers if each.at is not None]
    return StripeAnswer(body, {"data": [each.data for each in answers]}, min(times, default=at))


def pages(reader: PacedReader, each: List, limit: int = PAGE) -> Iterator[StripeAnswer]:
    """Every page of a list, with its objects as a whole. Raises `StripeRefused`, and `ListCutShort`."""
    url: str | None = None
    seen: set[str] = set()
    while True:
        page = named(reader, each, url, limit)
        yield together(objects(reader, each, page), page.at)
        if (url := next_url(page.data, each.path, seen)) is None:
            return
