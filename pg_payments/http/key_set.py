"""The key set of the tokens' issuer (RFC 7517), kept in memory and fetched by one caller at a time.

Whatever anybody sends, the issuer is asked at most once in `PAUSE` seconds: a made-up `kid` makes no request. Who knows
a key that is kept waits for nobody, also while the set is fetched anew.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence

import httpx
import jwt

from pg_payments.errors import PaymentsError

FRESH = 300
"""Seconds after which the set is fetched anew."""
KEPT = 3600
"""Seconds for which keys are good while the issuer can't be reached."""
PAUSE = 10
"""Seconds from one fetch to the next, whether it came to anything or not."""
TIMEOUT = 5
"""Seconds that a fetch may take."""
MAX_BYTES = 1024 * 1024
MAX_WAITING = 8
"""How many callers with an unknown key may wait for a fetch at a time, so that others find a thread."""


class KeysUnavailable(PaymentsError):
    """The issuer's key set can't be fetched, so nobody can be recognised for the moment."""

    http_status, code = 503, "KEYS_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the key set of the token's issuer can't be fetched", hint="try again in a moment")


class KeySet:
    """The signing keys that an issuer publishes at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: Sequence[jwt.PyJWK] = ()
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)

    def key_of(self, token: str) -> jwt.PyJWK | None:
        """The key that a token has to be held against; None where the issuer has no such key.

        `kid` is optional in keys and tokens (RFC 7517, 4.5; RFC 7515, 4.1.4): where one side names none, the only key
        is meant. Raises `KeysUnavailable`, and pyjwt's `DecodeError` for what is no token.
        """
        kid = jwt.get_unverified_header(token).get("kid")
        now = time.monotonic()
        found = self._match(kid) if now - self._fetched_at < KEPT else None
        if found and now - self._fetched_at < FRESH:
            return found
        if found:
            if self._may_ask() and self._fetching.acquire(blocking=False):
                self._fetch_and_release()
            return self._match(kid)
        if self._may_ask() or self._fetching.locked():
            self._wait_for_a_fetch()
        if time.monotonic() - self._fetched_at >= KEPT:
            raise KeysUnavailable()
        return self._match(kid)

    def _match(self, kid: object) -> jwt.PyJWK | None:
        named = [key for key in self._keys if kid is not None and key.key_id == kid]
        if named:
            return named[0]
        only = self._keys[0] if len(self._keys) == 1 else None
        return only if only and (kid is None or only.key_id is None) else None

    def _may_ask(self) -> bool:
        return time.monotonic() - self._tried_at >= PAUSE

    def _wait_for_a_fetch(self) -> None:
        if not self._waiting.acquire(blocking=False):
            raise KeysUnavailable()
        try:
            if self._fetching.acquire(timeout=TIMEOUT + 1):
                self._fetch_and_release()
        finally:
            self._waiting.release()

    def _fetch_and_release(self) -> None:
        try:
            if self._may_ask():  # nobody has while we waited
                self._fetch()
        finally:
            self._fetching.release()

    def _fetch(self) -> None:
        try:
            published = jwt.PyJWKSet.from_dict(json.loads(_body(self._url)))
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, AttributeError, TypeError):
            return  # what is kept stays
        finally:
            self._tried_at = time.monotonic()
        self._keys = [key for key in published.keys if key.public_key_use in (None, "sig")]
        self._fetched_at = self._tried_at


def _body(url: str) -> bytes:
    until, body = time.monotonic() + TIMEOUT, bytearray()
    with httpx.stream("GET", url, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > MAX_BYTES or time.monotonic() > until:
                raise ValueError("no key set is that large, or takes that long")
    return bytes(body)
