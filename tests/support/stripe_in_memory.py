"""Stripe without HTTP: a client whose answers are made here, by a clock that the test moves, with hooks around each."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pg_payments.errors import StripeRefused
from pg_payments.stripe.client import StripeAnswer, StripeApi
from pg_payments.stripe.lists import LISTS
from pg_payments.testing import accounts

Json = dict[str, Any]


class StripeInMemory(StripeApi):
    """Lists and retrieves `objects`. `before` and `after` are called around each answer, with its path and what is
    asked; `page` is the most that a page has, whatever is asked for."""

    def __init__(self, now: int, page: int = 100) -> None:
        super().__init__("sk_test_in_memory")
        self.now = now
        self.page = page
        self.objects: dict[str, Json] = {}
        self.account: Json = {"id": "acct_1InMemory", "object": "account", "livemode": False}
        self.asked: list[tuple[str, Json]] = []
        self.retrieved: Counter[str] = Counter()
        self.forbidden: set[str] = set()
        """Paths that the key does not open."""
        self.answers: dict[str, list[Json]] = {}
        """By path: pages that are given in turn, and then again, instead of its own."""
        self._lock = threading.RLock()

    def of_account(self, account_id: str | None) -> StripeApi:
        return self

    def before(self, path: str, asked: Json) -> None: ...

    def after(self, path: str, asked: Json) -> None: ...

    def add(self, *objects: Json) -> None:
        with self._lock:
            self.objects |= {each["id"]: each for each in objects}

    def read(self, path: str, parameters: Mapping[str, Any] | None = None) -> StripeAnswer:
        asked = dict(parameters or {})
        with self._lock:
            self.asked.append((path, asked))
            self.before(path, asked)
            body = json.dumps(self._answer(path, asked))
            at = datetime.fromtimestamp(self.now, UTC)
            self.after(path, asked)
        return StripeAnswer(body, json.loads(body), at)

    def _answer(self, path: str, asked: Json) -> Json:
        if path == "/v1/account":
            return self.account
        if path in self.forbidden:
            raise StripeRefused("the key may not", status=403)
        if path in self.answers:
            self.answers[path].append(self.answers[path].pop(0))
            return self.answers[path][-1]
        if (parts := urlsplit(path)).path == accounts.PATH:
            asked = dict(parse_qsl(parts.query)) or {**asked, "applied_configurations": "customer"}
            found = [each for each in self.objects.values() if each["object"] == "v2.core.account"]
            return accounts.page(found[::-1], asked, most=self.page)
        listed = next((each for each in LISTS.values() if each.path == path), None)
        return (
            self._listed(path, listed.object_type, asked) if listed else self._retrieved(path.rpartition("/")[2], asked)
        )

    def _listed(self, path: str, object_type: str, asked: Json) -> Json:
        created = asked.get("created", {})
        found = [
            each
            for each in self.objects.values()
            if each["object"] == object_type
            and not each.get("deleted")
            and created.get("gte", 0) <= each["created"] < created.get("lt", 2**40)
        ]
        found.sort(key=lambda each: (each["created"], each["id"]), reverse=True)
        if after := asked.get("starting_after"):
            cursor = self.objects.get(after)
            if cursor is None:
                raise StripeRefused("No such object", status=400, detail="resource_missing")
            found = [each for each in found if (each["created"], each["id"]) < (cursor["created"], after)]
        limit = min(asked.get("limit", 10), self.page)
        return {"object": "list", "url": path, "has_more": len(found) > limit, "data": found[:limit]}

    def _retrieved(self, object_id: str, asked: Json) -> Json:
        self.retrieved[object_id] += 1
        found = self.objects.get(object_id)
        if found is None:
            at = datetime.fromtimestamp(self.now, UTC)
            raise StripeRefused("No such object", status=404, detail="resource_missing", at=at)
        return accounts.shown(found, asked.get("include", ())) if found["object"] == "v2.core.account" else found
