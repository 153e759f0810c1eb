"""Who is calling: an application's JSON Web Token becomes a database role and claims.

The token's own header never chooses how it is verified: an HMAC token is held against `PAYMENTS_JWT_SECRET` and
nothing else, an asymmetric one against the key set at `PAYMENTS_JWKS_URL` and nothing else, so a public key can't
be passed off as a shared secret. The role in the token must be one of `PAYMENTS_JWT_ROLES`: a forged or generous
issuer can't make this package act as a role that was never meant for callers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import jwt

from pg_payments.errors import ConfigurationError, Forbidden, NotSignedIn, PaymentsError
from pg_payments.settings import Settings

HMAC_ALGORITHMS = ["HS256"]
ASYMMETRIC_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LEEWAY = 30
"""Seconds by which the issuer's clock and ours may differ."""
JWKS_TIMEOUT = 5
"""Seconds to wait for the issuer's keys."""


class KeysUnavailable(PaymentsError):
    """The issuer's key set can't be fetched, so nobody can be recognised for the moment."""

    http_status, code = 503, "KEYS_UNAVAILABLE"


@dataclass(frozen=True)
class Caller:
    """A verified caller: the database role to act as, and all claims of the token as JSON text."""

    role: str
    claims: str
    guest: bool


class TokenVerifier:
    """Verifies tokens as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
        self._keys = jwt.PyJWKClient(settings.jwks_url, timeout=JWKS_TIMEOUT) if settings.jwks_url else None
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer
        self._roles = settings.accepted_roles()
        self._anon_role = settings.jwt_anon_role

    def caller(self, authorization: str | None) -> Caller:
        """The caller behind an `Authorization: Bearer …` header. May fetch the issuer's keys, so it may block.

        Raises `NotSignedIn` (no token, or one that doesn't verify), `Forbidden` (a role that is not accepted),
        `KeysUnavailable`, `ConfigurationError` (no way to verify tokens is set).
        """
        claims = self._verified(_bearer(authorization))
        role = claims.get("role")
        if not isinstance(role, str) or role not in self._roles:
            raise Forbidden("the token's role is not accepted here", detail="role", hint="see PAYMENTS_JWT_ROLES")
        return Caller(role, json.dumps(claims), guest=role == self._anon_role)

    def _verified(self, token: str) -> dict[str, Any]:
        if self._secret is None and self._keys is None:
            raise ConfigurationError(
                "tokens can't be verified: set PAYMENTS_JWT_SECRET or PAYMENTS_JWKS_URL", detail="PAYMENTS_JWT_SECRET"
            )
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            if algorithm in HMAC_ALGORITHMS and self._secret is not None:
                return self._decoded(token, self._secret, HMAC_ALGORITHMS)
            if algorithm in ASYMMETRIC_ALGORITHMS and self._keys is not None:
                return self._decoded(token, self._keys.get_signing_key_from_jwt(token), ASYMMETRIC_ALGORITHMS)
        except jwt.PyJWKClientConnectionError:
            raise KeysUnavailable("the key set of the token's issuer can't be fetched") from None
        except jwt.ExpiredSignatureError:
            raise NotSignedIn("the token has expired", hint="sign in again") from None
        except (jwt.PyJWTError, ValueError):
            raise NotSignedIn("the token does not verify", hint="sign in again") from None
        raise NotSignedIn("the token is signed in a way that is not accepted here")

    def _decoded(self, token: str, key: str | jwt.PyJWK, algorithms: list[str]) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY,
            options={
                "require": ["exp"],
                "verify_aud": self._audience is not None,
                "verify_iss": self._issuer is not None,
            },
        )


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn("no token", hint="send Authorization: Bearer <the user's token>")
    return token.strip()
