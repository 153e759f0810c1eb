"""Stripe's lists, page by page (API reference: Pagination).

A list goes on while Stripe says `has_more`. A page that says so and has nothing to start the next one after, or ends
with an object that an earlier page ended with, would be asked for without end: then `ListCutShort` is raised, for what
was read is not the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import NOT_STRIPE, StripeAnswer

PAGE = 100
"""Objects a page: the most that Stripe gives."""

Json = Mapping[str, Any]
Read = Callable[[str, Mapping[str, Any]], StripeAnswer]
"""A path and what to ask with it, as `StripeApi.read`."""


class ListCutShort(StripeRefused):
    """Stripe says that a list has more, but not how to read on."""

    code = "STRIPE_LIST_CUT_SHORT"

    def __init__(self, path: str) -> None:
        super().__init__(f"Stripe says that {path} has more but gives nothing to go on from", hint="try again later")


@dataclass(frozen=True)
class OpenList:
    """A list inside an object, of which Stripe gave only the beginning."""

    steps: tuple[str | int, ...]
    """Where it is in the answer."""
    path: str
    asked: Mapping[str, Any]
    """Where its next page is."""


def objects_of(page: StripeAnswer) -> list[Any]:
    """The objects of a page. Raises `StripeRefused` for what is no page of a list."""
    found = page.data.get("data")
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise StripeRefused(NOT_STRIPE)
    return found


def pages(read: Read, path: str, asked: Mapping[str, Any]) -> Iterator[StripeAnswer]:
    """Every page of a list. Raises `StripeRefused`, and `ListCutShort` where the list does not end as it should."""
    asked = {**asked, "limit": PAGE}
    before = {str(asked.get("starting_after"))}
    while True:
        page = read(path, asked)
        yield page
        if (after := next_after(page.data, path, before)) is None:
            return
        asked["starting_after"] = after


def next_after(page: Json, path: str, before: set[str]) -> str | None:
    """What the next page starts after, which joins those of the pages `before`; None at the end of the list.

    Raises `ListCutShort`.
    """
    if not page.get("has_more"):
        return None
    if not (last := _last_id(page)) or last in before:
        raise ListCutShort(path)
    before.add(last)
    return last


def open_lists(answer: Any, steps: tuple[str | int, ...] = ()) -> Iterator[OpenList]:
    """The lists inside an answer that go on elsewhere. Raises `ListCutShort` for one that does not say where."""
    if isinstance(answer, list):
        for place, each in enumerate(answer):
            yield from open_lists(each, (*steps, place))
    elif isinstance(answer, Mapping):
        if steps and answer.get("object") == "list" and answer.get("has_more"):
            yield _open_list(answer, steps)
        for name, each in answer.items():
            yield from open_lists(each, (*steps, name))


def _open_list(found: Json, steps: tuple[str | int, ...]) -> OpenList:
    address = urlsplit(str(found.get("url") or ""))
    last = _last_id(found)
    if not address.path.startswith("/v1/") or not last:
        raise ListCutShort(address.path or ".".join(map(str, steps)))
    return OpenList(steps, address.path, {**dict(parse_qsl(address.query)), "starting_after": last})


def _last_id(page: Json) -> str | None:
    data = page.get("data")
    last = data[-1] if isinstance(data, list) and data else None
    found = last.get("id") if isinstance(last, Mapping) else None
    return found if isinstance(found, str) and found else None
