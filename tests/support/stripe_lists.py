"""Long lists of Stripe's, over HTTP: so many requests a second an endpoint, and one in so many fails."""

from __future__ import annotations

import json
import random
import time
from bisect import bisect_left
from collections import Counter, deque
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.stripe.lists import LISTS
from pg_payments.testing import accounts

Json = dict[str, Any]


class StripeLists:
    """`asked` are the requests that were answered: path, and the bounds of `created` that were asked for."""

    def __init__(self, base_url: str, objects: list[Json], rate: int, failing: float, seed: int = 1) -> None:
        self.base_url = base_url
        self.asked: list[tuple[str, int, int]] = []
        self.refused: Counter[int] = Counter()
        self._rate, self._failing = rate, failing
        self._chance = random.Random(seed)
        self._recent: dict[str, deque[float]] = {}
        self._lists: dict[str, list[Json]] = {}
        for each in LISTS.values():
            found = [made for made in objects if made["object"] == each.object_type]
            self._lists[each.path] = found[::-1] if each.is_version2 else sorted(found, key=_newest_first)
        self._places = {made["id"]: place for found in self._lists.values() for place, made in enumerate(found)}
        self._accounts = self._lists.pop(accounts.PATH)
        self._keys = {path: [-made["created"] for made in found] for path, found in self._lists.items()}
        self.app = Starlette(
            routes=[
                Route("/v1/account", self._account), Route(accounts.PATH, self._list_accounts),
                Route(f"{accounts.PATH}/{{id}}", self._payer), Route("/{path:path}", self._list),
            ]
        )  # fmt: skip

    async def _account(self, request: Request) -> Response:
        return JSONResponse({"id": "acct_1Lists", "object": "account", "created": 1_500_000_000})

    async def _list_accounts(self, request: Request) -> Response:
        if status := self._refusal(accounts.PATH):
            return self._refused(status)
        self.asked.append((accounts.PATH, int(request.query_params.get("page", "page_0").removeprefix("page_")), 2**40))
        return JSONResponse(accounts.page(self._accounts, request.query_params))

    async def _payer(self, request: Request) -> Response:
        if status := self._refusal(f"{accounts.PATH}/"):
            return self._refused(status)
        found = self._accounts[self._places[request.path_params["id"]]]
        return JSONResponse(accounts.shown(found, accounts.several(request.query_params, "include")))

    async def _list(self, request: Request) -> Response:
        path, query = request.url.path, request.query_params
        if status := self._refusal(path):
            return self._refused(status)
        if path not in self._lists:
            error = {"type": "invalid_request_error", "code": "resource_missing", "message": "no such object"}
            return JSONResponse({"error": error}, 404)
        gte, lt = int(query.get("created[gte]", 0)), int(query.get("created[lt]", 2**40))
        keys, found = self._keys[path], self._lists[path]
        begin, end = bisect_left(keys, -lt + 1), bisect_left(keys, -gte + 1)
        if after := query.get("starting_after"):
            begin = max(begin, self._places[after] + 1)
        limit = int(query.get("limit", 10))
        self.asked.append((path, gte, lt))
        shown = found[begin : min(begin + limit, end)]
        page = {"object": "list", "url": path, "has_more": end - begin > limit, "data": shown}
        return Response(json.dumps(page), media_type="application/json")

    def _refused(self, status: int) -> Response:
        self.refused[status] += 1
        wait = {"Retry-After": "0.2"} if status == 429 else {}
        return JSONResponse({"error": {"type": "api_error", "message": "not now"}}, status, headers=wait)

    def _refusal(self, path: str) -> int | None:
        recent, now = self._recent.setdefault(path, deque()), time.monotonic()
        while recent and recent[0] < now - 1:
            recent.popleft()
        if len(recent) >= self._rate:
            return 429
        recent.append(now)
        if self._chance.random() < self._failing:
            return self._chance.choice((429, 500, 503))
        return None


def _newest_first(made: Json) -> tuple[int, str]:
    return (-made["created"], made["id"])
