"""Which secrets may have signed a delivery: those of the settings, and those of managed endpoints in the database.

Stored secrets are kept in memory for a moment, so that a delivery costs no query. One that none of them signed waits a
second and has them read again before it is refused, because the endpoint may just be being replaced: Stripe delivers
as soon as it is made, and its secret is stored a moment later. Whatever is sent here, the database is asked no more
than once a second for each environment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pg_payments.database import functions
from pg_payments.database.types import AsyncPool
from pg_payments.errors import ConfigurationError, SignatureInvalid
from pg_payments.logs import line, log
from pg_payments.settings import Environment, Settings
from pg_payments.webhooks.signatures import verified_text

KEPT = 5.0
"""Seconds that stored secrets are kept in memory."""
PAUSE = 1.0
"""Seconds from one reading to the next, and from a delivery with an unknown signature to its reading."""
MAX_WAITING = 100
"""How many deliveries with an unknown signature may wait, in an environment; a further one is refused at once."""


@dataclass
class _Kept:
    """What was read, and when the reading began; `failure` if it came to nothing."""

    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    read_at: float = float("-inf")
    secrets: Sequence[str] = ()
    failure: Exception | None = None

    def is_older_than(self, since: float) -> bool:
        return self.read_at < since or (self.failure is not None and self.read_at < time.monotonic() - PAUSE)


class Signatures:
    """Verifies deliveries against all secrets of their environment."""

    def __init__(self, settings: Settings, pool: AsyncPool) -> None:
        self._settings, self._pool = settings, pool
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kept: dict[str, _Kept] = {}

    async def verified_text(self, environment: Environment, body: bytes, signature: str | None) -> str:
        """The body as text. Raises as the other `verified_text`, and what keeps stored secrets from being read."""
        given, tolerance = self._settings.webhook_secrets(environment), self._settings.webhook_tolerance
        if not signature or not self._settings.master_keys():
            return verified_text(body, signature, given, tolerance)
        now = time.monotonic()
        with suppress(SignatureInvalid):
            if given:
                return verified_text(body, signature, given, tolerance)
        with suppress(SignatureInvalid):
            if kept := await self._read_since(environment, now - KEPT):
                return verified_text(body, signature, kept, tolerance)
        return verified_text(body, signature, [*given, *await self._read_once_more(environment, now)], tolerance)

    def forget(self) -> None:
        """Has stored secrets read anew, by this process: the others follow within `KEPT` seconds."""
        self._kept = {}

    async def _read_once_more(self, environment: Environment, since: float) -> Sequence[str]:
        kept = self._of_this_loop(environment)
        if kept.waiting >= MAX_WAITING:
            return kept.secrets
        kept.waiting += 1
        try:
            await asyncio.sleep(PAUSE)
            return await self._read_since(environment, since + PAUSE)
        finally:
            kept.waiting -= 1

    async def _read_since(self, environment: Environment, since: float) -> Sequence[str]:
        """The stored secrets, as a reading that began after `since` (of `time.monotonic`) found them."""
        kept = self._of_this_loop(environment)
        if kept.is_older_than(since):
            async with kept.reading:
                if kept.is_older_than(since):
                    await self._read(environment, kept)
        if kept.failure is not None:
            raise kept.failure.with_traceback(None)
        return kept.secrets

    async def _read(self, environment: Environment, kept: _Kept) -> None:
        await asyncio.sleep(kept.read_at + PAUSE - time.monotonic())
        began, kept.failure = time.monotonic(), None
        try:
            kept.secrets = await self._stored(environment)
        except Exception as error:  # whoever waits is told the same
            kept.failure = error
        finally:
            kept.read_at = began

    def _of_this_loop(self, environment: Environment) -> _Kept:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # locks live and die with their event loop
            self._loop, self._kept = loop, {}
        return self._kept.setdefault(environment, _Kept())

    async def _stored(self, environment: Environment) -> list[str]:
        """The stored secrets that the master keys open; what is under an old one is put under the newest."""
        from pg_payments.encryption import Vault  # only who stores secrets needs what it needs

        vault, opened, lost = Vault(self._settings), [], None
        async with self._pool.connection() as conn:
            for row in await functions.webhook_secrets(conn, environment):
                try:
                    opened.append(vault.decrypted(row["secret"], environment, row["name"]))
                except ConfigurationError as error:
                    lost = error
                    log.error(line("a stored webhook secret does not open", environment=environment, name=row["name"]))
                    continue
                renewed = vault.renewed(row["secret"])
                if renewed and await functions.may_replace_keys(conn):
                    await functions.reencrypt_secret(conn, environment, row["name"], row["secret"], renewed)
        if lost is not None and not opened:
            raise lost
        return opened
