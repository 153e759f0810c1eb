"""What the dashboard needs of the server that it is part of."""

from __future__ import annotations

from typing import Protocol

from pg_payments.caller import Caller
from pg_payments.database.pool import LazyPool
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi


class Tokens(Protocol):
    """Who is behind a key or a token; both raise what `errors` has for it."""

    def administrator(self, authorization: str | None, api_key: str | None) -> Caller: ...


class Signatures(Protocol):
    """Webhook secrets as this process remembers them."""

    def forget(self) -> None: ...


class Service(Protocol):
    """The state of the HTTP interface, which the dashboard shares: its settings, connections and keys."""

    @property
    def settings(self) -> Settings: ...
    @property
    def pool(self) -> LazyPool: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def signatures(self) -> Signatures: ...
    async def stripe(self, environment: Environment, account: str | None = None) -> StripeApi: ...
    async def stripe_key(self, environment: Environment) -> str | None: ...
