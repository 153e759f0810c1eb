"""Secrets at rest: Fernet tokens (AES-128-CBC with HMAC-SHA256, from `cryptography`) under `PAYMENTS_MASTER_KEY`.

What is encrypted is the secret together with where it belongs, so that a token put in another's place does not open:
not test's key where live's was, nor a webhook secret where a key is looked for.

To change the master key, put the new one first, `new,old`: what is found under an old one is put under the new one when
it is used next by who may replace keys (`payments_keys`), after which the old one can go.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from pg_payments.errors import MASTER_KEY_HINT, ConfigurationError


class HasMasterKeys(Protocol):
    """What the vault needs of the settings."""

    def master_keys(self) -> Sequence[str]: ...


class Vault:
    """Encrypts under the first master key, decrypts under any. `name` is as in `payments_private.provider_secrets`."""

    def __init__(self, settings: HasMasterKeys) -> None:
        given = settings.master_keys()
        if not given:
            raise ConfigurationError(
                "PAYMENTS_MASTER_KEY is not set", detail="PAYMENTS_MASTER_KEY", hint=MASTER_KEY_HINT
            )
        keys = [Fernet(key) for key in given]
        self._newest, self._any = keys[0], MultiFernet(keys)

    def encrypted(self, secret: str, environment: str, name: str) -> str:
        """The secret as a token that opens in this place only."""
        return self._any.encrypt(json.dumps([environment, name, secret]).encode()).decode()

    def decrypted(self, token: str, environment: str, name: str) -> str:
        """The secret. Raises `ConfigurationError` for a token under another master key, or from another place."""
        try:
            *place, secret = json.loads(self._any.decrypt(token))
        except (InvalidToken, ValueError):
            raise ConfigurationError(
                "PAYMENTS_MASTER_KEY does not open the stored key",
                detail="PAYMENTS_MASTER_KEY",
                hint="add the former master key after a comma, or store Stripe's key again",
            ) from None
        if place != [environment, name]:
            raise ConfigurationError(
                f"what is stored as {name} of {environment} was encrypted for another place",
                detail=name,
                hint="somebody has moved it in the database: store Stripe's key again",
            )
        return str(secret)

    def renewed(self, token: str) -> str | None:
        """The same under the newest key, unless it is there already."""
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return self._any.rotate(token).decode()
        return None
