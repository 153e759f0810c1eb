"""Secrets at rest: Fernet tokens (AES-128-CBC with HMAC-SHA256, from `cryptography`) under `PAYMENTS_MASTER_KEY`.

To change the master key, put the new one first, `new,old`: what is found under an old one is put under the new one when
it is used next, after which the old one can go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from pg_payments.errors import ConfigurationError

HOW_TO = "make one: openssl rand -base64 32 | tr '+/' '-_'"


class HasMasterKeys(Protocol):
    """What the vault needs of the settings."""

    def master_keys(self) -> Sequence[str]: ...


class Vault:
    """Encrypts under the first master key, decrypts under any."""

    def __init__(self, settings: HasMasterKeys) -> None:
        given = settings.master_keys()
        if not given:
            raise ConfigurationError("PAYMENTS_MASTER_KEY is not set", detail="PAYMENTS_MASTER_KEY", hint=HOW_TO)
        try:
            keys = [Fernet(key) for key in given]
        except ValueError:
            raise ConfigurationError(
                "PAYMENTS_MASTER_KEY is not 32 bytes in base64", detail="PAYMENTS_MASTER_KEY", hint=HOW_TO
            ) from None
        self._newest, self._any = keys[0], MultiFernet(keys)

    def encrypted(self, secret: str) -> str:
        return self._any.encrypt(secret.encode()).decode()

    def decrypted(self, token: str) -> str:
        try:
            return self._any.decrypt(token).decode()
        except InvalidToken:
            raise ConfigurationError(
                "PAYMENTS_MASTER_KEY does not open the stored key",
                detail="PAYMENTS_MASTER_KEY",
                hint="add the former master key after a comma, or store Stripe's key again",
            ) from None

    def renewed(self, token: str) -> str | None:
        """The same under the newest key, unless it is there already."""
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return self._any.rotate(token).decode()
        return None
