"""A Stripe that takes writes: products, prices and customers by POST, GET and search, on a loopback port.

It keeps answers under their idempotency keys as Stripe does, errors of its own (500) included, counts requests, and
does on demand what a bad network does: answer late, fail before or after the deed, cut the connection.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]

PREFIXES = {"products": ("product", "prod"), "prices": ("price", "price"), "customers": ("customer", "cus")}


class StripeWrites:
    """The account: `objects` by id; `posts` are the requests that changed something, in order."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.posts: list[tuple[str, Json, str | None]] = []
        self.counts: Counter[str] = Counter()
        self.accounts: list[str | None] = []
        """The connected account that each POST named."""
        self.fault: Callable[[str, int], str | None] = lambda path, number: None
        """Told path and number of a POST (from 1): `429`, `400`, `500` or `cut`, each `before` or `after` the deed."""
        self.delay = 0.0
        self.held = ""
        """Keeps a POST `before` or `after` the deed: `arrived` is set then, and it goes on when `go_on` is."""
        self.arrived, self.go_on = threading.Event(), threading.Event()
        self.base = ""
        self._answers: dict[str, tuple[int, Json]] = {}
        self._lock = threading.Lock()
        self._number = 0

    def put(self, **fields: Any) -> Json:
        """An object that was there before."""
        self.objects[fields["id"]] = fields
        return fields

    def created(self, object_type: str) -> list[Json]:
        """All objects of a type, oldest first."""
        return [each for each in self.objects.values() if each["object"] == object_type]

    def take(self, path: str, form: Json, key: str | None) -> tuple[int, Json, dict[str, str], bool]:
        """Status, body, headers, and whether the connection is cut instead."""
        with self._lock:
            if key is not None and key in self._answers:
                status, body = self._answers[key]
                return status, body, {"Idempotent-Replayed": "true"}, False
            self._number += 1
            fault = self.fault(path, self._number)
            if fault == "429":
                return 429, _error("rate_limit_error", "Too many requests"), {"Retry-After": "0.05"}, False
            if fault == "400":
                status, body = self._kept(key, 400, _error("invalid_request_error", "Invalid tax code"))
                return status, body, {}, False
            if fault in ("500 before", "cut before"):
                if fault == "cut before":
                    return 0, {}, {}, True
                status, body = self._kept(key, 500, _error("api_error", "An unknown error occurred"))
                return status, body, {}, False
            made = self._done(path, form)
            self.posts.append((path, form, key))
            if fault == "500 after":
                status, body = self._kept(key, 500, _error("api_error", "An unknown error occurred"))
                return status, body, {}, False
            status, body = self._kept(key, 200, made)
            return status, body, {}, fault == "cut after"

    def _kept(self, key: str | None, status: int, body: Json) -> tuple[int, Json]:
        if key is not None:
            self._answers[key] = (status, json.loads(json.dumps(body)))
        return status, body

    def _done(self, path: str, form: Json) -> Json:
        parts = path.removeprefix("/v1/").split("/")
        if len(parts) == 1:
            object_type, prefix = PREFIXES[parts[0]]
            made: Json = {"id": f"{prefix}_{len(self.objects) + 1}", "object": object_type, "created": int(time.time())}
            made |= {"active": True, "metadata": {}, "livemode": False}
            if object_type == "product":
                made |= {"default_price": None, "description": None}
            self.objects[made["id"]] = made
        else:
            made = self.objects[parts[1]]
        for name, value in form.items():
            _set(made, re.findall(r"[^\[\]]+", name), value)
        return made

    def find(self, path: str, query: dict[str, str]) -> tuple[int, Json]:
        parts = path.removeprefix("/v1/").split("/")
        if parts[-1] == "search":
            found = re.fullmatch(r"metadata\['([^']+)'\]:'([^']+)'", query["query"])
            assert found, query
            object_type = PREFIXES[parts[0]][0]
            hits = [each for each in self.created(object_type) if each["metadata"].get(found[1]) == found[2]]
            return 200, {"object": "search_result", "data": hits, "has_more": False, "url": path}
        if parts[-1] not in self.objects:
            return 404, _error("invalid_request_error", f"No such object: '{parts[-1]}'")
        return 200, self.objects[parts[-1]]


def _error(kind: str, message: str) -> Json:
    return {"error": {"type": kind, "message": message}}


def _set(made: Json, steps: list[str], value: str) -> None:
    place = made
    for step in steps[:-1]:
        place = place.setdefault(step, {})
    typed: Any = {"true": True, "false": False}.get(value, value)
    if steps[-1] in ("unit_amount", "interval_count"):
        typed = int(value)
    if value == "" and steps[0] == "metadata":
        place.pop(steps[-1], None)
    else:
        place[steps[-1]] = None if value == "" else typed


@contextmanager
def stripe_writes() -> Iterator[StripeWrites]:
    """A running account."""
    account = StripeWrites()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
            account.counts["POST " + self.path] += 1
            account.accounts.append(self.headers.get("Stripe-Account"))
            self._hold("before")
            status, body, headers, cut = account.take(self.path, form, self.headers.get("Idempotency-Key"))
            self._hold("after")
            time.sleep(account.delay)
            if cut:
                self.close_connection = True
                self.connection.close()
                return
            self._answer(status, body, headers)

        def _hold(self, when: str) -> None:
            if account.held == when:
                account.held = ""
                account.arrived.set()
                assert account.go_on.wait(60)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            account.counts["GET " + url.path] += 1
            self._answer(*account.find(url.path, dict(parse_qsl(url.query))), {})

        def _answer(self, status: int, body: Json, headers: dict[str, str]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (
                {"Content-Type": "application/json", "Content-Length": str(len(text)), "Request-Id": "req_made_up"}
                | headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    account.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield account
    finally:
        account.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
