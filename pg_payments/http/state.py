"""What the routes share: connections, keys and counters, each made when first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from pg_payments.database.pool import Deliveries, LazyPool
from pg_payments.http.bounds import Room
from pg_payments.http.condition import Condition
from pg_payments.http.metrics import Metrics
from pg_payments.http.tokens import TokenVerifier
from pg_payments.settings import Environment, Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.stripe.keys import AccountKeys, account_key_of_async, key_of_async
from pg_payments.webhooks.batching import Batches
from pg_payments.webhooks.receipt import Receipt
from pg_payments.webhooks.receive import receive
from pg_payments.webhooks.signing_secrets import Signatures


class Service:
    """What the routes work with, each made when first needed."""

    def __init__(self, settings: Settings | None) -> None:
        self._given = settings
        self._stripe: dict[tuple[str | None, str | None, str | None], StripeApi] = {}

    @cached_property
    def settings(self) -> Settings:
        return self._given or Settings.load()

    @cached_property
    def pool(self) -> LazyPool:
        return LazyPool(self.settings.required_database_url(), self.settings.pool_size)

    @cached_property
    def tokens(self) -> TokenVerifier:
        return TokenVerifier(self.settings)

    @cached_property
    def deliveries(self) -> Batches[Receipt]:
        # one connection is left for everything else, and another may be wanted for keeping what is cut off
        return Batches(self._receive, self.metrics.waiting, most_under_way=self.settings.pool_size - 2)

    @cached_property
    def condition(self) -> Condition:
        return Condition(lambda: self.pool, lambda: self.deliveries.oldest())

    @cached_property
    def signatures(self) -> Signatures:
        return Signatures(self.settings, self.pool)

    @cached_property
    def unverified(self) -> Room:
        return Room()

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics()

    async def _receive(self, environment: str, texts: Sequence[str]) -> Sequence[Receipt | Exception]:
        self.metrics.batch(environment, len(texts))
        with self.condition.batch():
            return await receive(Deliveries(self.pool), environment, texts)

    async def stripe(self, environment: Environment, account: str | None = None) -> StripeApi:
        """Stripe as this environment's key opens it, and for `account` a key of its own where it has one.

        Raises `ConfigurationError` if there is neither.
        """
        key, own = await self.stripe_key(environment), await self._account_key(environment, account)
        if key is None and account not in own:
            key = self.settings.stripe_secret_key(environment)  # says which setting is missing
        known = (key, account, own[account]) if account is not None and account in own else (key, None, None)
        if known not in self._stripe:
            self._stripe[known] = StripeApi(key, self.settings.stripe_api_base, account_keys=own)
        return self._stripe[known]

    async def _account_key(self, environment: Environment, account: str | None) -> AccountKeys:
        """The account's own key in the settings, else the stored one; nothing for one that is asked on its behalf."""
        if account is None:
            return {}
        given = self.settings.account_keys(environment)
        if account in given:
            return {account: given[account]}
        async with self.pool.connection() as conn:
            return await account_key_of_async(conn, self.settings, environment, account)

    async def stripe_key(self, environment: Environment) -> str | None:
        """The key in the settings, else the stored one."""
        if self.settings.has_stripe_key(environment):
            return self.settings.stripe_secret_key(environment)
        async with self.pool.connection() as conn:
            return await key_of_async(conn, self.settings, environment)

    async def close(self) -> None:
        if "pool" in self.__dict__:
            await self.pool.close()
