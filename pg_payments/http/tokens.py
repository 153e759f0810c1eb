"""Who is calling: an application's JSON Web Token becomes a database role and claims.

The token's own header never chooses how it is verified: an HMAC token is held against `PAYMENTS_JWT_SECRET` and
nothing else, an asymmetric one against the key set at `PAYMENTS_JWKS_URL` and nothing else, so a public key can't
be passed off as a shared secret. The role in the token must be one of `PAYMENTS_JWT_ROLES`: a forged or generous
issuer can't make this package act as a role that was never meant for callers.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import replace
from math import isfinite
from typing import Any

import jwt

from pg_payments.caller import Caller
from pg_payments.errors import ConfigurationError, Forbidden, NotSignedIn
from pg_payments.http.key_set import KeySet
from pg_payments.settings import Settings

HMAC_ALGORITHMS = ["HS256"]
ASYMMETRIC_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ADMIN_ROLE = "payments_admin"
"""Whom a call with the administrators' key acts as."""
KEYS_ROLE = "payments_keys"
"""Whom it acts as where keys are replaced."""
ADMINISTRATOR = Caller(ADMIN_ROLE, "{}", guest=False)
TOKEN_DOTS = 2
"""Dots in a token (RFC 7515, 7.1); whatever has another number of them was meant for a key."""
AGAIN = "sign in again"
IDENTITY = frozenset({"sub", "role"})
"""The claims that say who is calling."""
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What JSON may hold and jsonb may not: NUL, and one half of a letter that UTF-16 writes in two."""
LEEWAY = 30
"""Seconds by which the issuer's clock and ours may differ."""


class TokenVerifier:
    """Verifies tokens as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
        self._keys = KeySet(settings.jwks_url) if settings.jwks_url else None
        self._admin_key = settings.admin_api_key.get_secret_value() if settings.admin_api_key else None
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer
        self._roles = settings.accepted_roles()
        self._keys_roles = settings.roles_that_replace_keys()
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
        return Caller(role, json.dumps(_storable(claims)), guest=role == self._anon_role)

    def administrator(self, authorization: str | None, api_key: str | None) -> Caller:
        """Who comes with the administrators' key, in either header, or else the caller behind a token.

        Whether that caller's role is an administrator's is for the database to say. Raises as `caller` does.
        """
        presented = api_key or _bearer(authorization)
        # compared in a time that does not tell how much of it is right
        if self._admin_key is not None and hmac.compare_digest(presented.encode(), self._admin_key.encode()):
            return ADMINISTRATOR
        if api_key is not None or presented.count(".") != TOKEN_DOTS:
            if self._admin_key is None:
                raise NotSignedIn("there is no administrators' key here", hint="have PAYMENTS_ADMIN_API_KEY set")
            raise NotSignedIn("this is not the administrators' key", hint="send the one in PAYMENTS_ADMIN_API_KEY")
        return self.caller(authorization)

    def keeper_of_keys(self, authorization: str | None, api_key: str | None) -> Caller:
        """Who comes with the administrators' key, or else the caller behind a token whose role is listed for it.

        Raises as `administrator` does, and `Forbidden`.
        """
        caller = self.administrator(authorization, api_key)
        if caller == ADMINISTRATOR:
            return replace(caller, role=KEYS_ROLE)
        if caller.role not in self._keys_roles:
            hint = "use the administrators' key, or see PAYMENTS_KEYS_ROLES"
            raise Forbidden("this role may not replace keys", detail="role", hint=hint)
        return caller

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
                if key := self._keys.key_of(token):
                    return self._decoded(token, key, ASYMMETRIC_ALGORITHMS)
                raise NotSignedIn("the token is signed with a key that its issuer does not publish", hint=AGAIN)
        except jwt.ExpiredSignatureError:
            raise NotSignedIn("the token has expired", hint=AGAIN) from None
        except (jwt.PyJWTError, ValueError):
            raise NotSignedIn("the token does not verify", hint=AGAIN) from None
        raise NotSignedIn("the token is signed in a way that is not accepted here", hint=AGAIN)

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


def _storable(claims: dict[str, Any]) -> dict[str, Any]:
    """The claims, without what Postgres cannot hold in JSON: a name that was cut within a letter locks nobody out.

    But for who is calling, which is left as it is and then refused: nobody is to be taken for somebody else.
    """

    def without(value: Any) -> Any:
        if isinstance(value, str):
            return UNSTORABLE.sub("\ufffd", value)
        if isinstance(value, dict):
            return {without(name): without(each) for name, each in value.items()}
        if isinstance(value, list):
            return [without(each) for each in value]
        return None if isinstance(value, float) and not isfinite(value) else value

    return {name: value if name in IDENTITY else without(value) for name, value in claims.items()}


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn("no token", hint="send Authorization: Bearer <the user's token>")
    return token.strip()
