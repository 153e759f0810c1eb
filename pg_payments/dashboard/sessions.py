"""Who is signed in: a signed cookie, and a token of its own in every form.

The cookie says whom to act as and until when; it is signed with a key derived from the master key and the
administrators' key, so changing either signs everybody out. What it says is no secret, and no right: at each request
the database decides.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pg_payments.caller import Caller
from pg_payments.errors import MASTER_KEY_HINT, ConfigurationError, Forbidden
from pg_payments.settings import Settings

COOKIE = "payments_dashboard"
NOTICE = "payments_dashboard_notice"
SECONDS = 8 * 3600
"""How long somebody stays signed in, at most; a token's own end comes first."""
TICKET = "payments_dashboard_ticket"
KNOWN = "payments_dashboard_known"
"""The cookie of a browser that has signed in before: whatever else comes from its address, it is counted for itself."""
KNOWN_SECONDS = 180 * 86400
NOTICE_SECONDS = 60
TICKET_SECONDS = 600
LARGEST = 3800
"""Characters of a cookie: browsers keep about 4096 with its name."""
ALGORITHM = "HS256"


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in."""

    id: str
    role: str
    claims: str
    name: str
    by_key: bool
    expires: int

    @property
    def who(self) -> str:
        """For people: the name that was given, or what the token says."""
        said: dict[str, Any] = json.loads(self.claims)
        return self.name or str(said.get("email") or said.get("sub") or self.role)


class Sessions:
    """Makes and opens the cookies of this installation."""

    def __init__(self, settings: Settings) -> None:
        given = settings.master_keys()
        if not given:
            name = "PAYMENTS_MASTER_KEY"
            raise ConfigurationError(
                f"the dashboard signs its cookies with {name}, which is not set", detail=name, hint=MASTER_KEY_HINT
            )
        admin = settings.admin_api_key.get_secret_value() if settings.admin_api_key else ""
        self._keys = [_derived(key, admin) for key in given]

    def began(self, caller: Caller, name: str, *, by_key: bool) -> Session:
        """A session of this caller's. Raises `Forbidden` for a token that says too much for a cookie."""
        claims: dict[str, Any] = json.loads(caller.claims)
        end = min(int(time.time()) + SECONDS, int(claims.get("exp", 2**40)))
        session = Session(secrets.token_urlsafe(16), caller.role, caller.claims, name, by_key, end)
        if len(self.sealed(session)) > LARGEST:
            raise Forbidden("the token says more than a cookie can hold", hint="use one with fewer claims")
        return session

    def sealed(self, session: Session) -> str:
        """The cookie's value."""
        said = asdict(session) | {"exp": session.expires, "aud": COOKIE}
        return jwt.encode(said, self._keys[0], ALGORITHM)

    def opened(self, cookie: str) -> Session | None:
        """The session of a cookie that is ours and has not expired."""
        said = self._read(cookie, COOKIE)
        if said is None:
            return None
        return Session(**{name: said[name] for name in Session.__dataclass_fields__})

    def form_token(self, session: Session) -> str:
        """What every form of this session carries, and no other page can know."""
        return hmac.new(self._keys[0], f"form {session.id}".encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, session: Session, token: str) -> bool:
        return any(
            hmac.compare_digest(
                hmac.new(key, f"form {session.id}".encode(), hashlib.sha256).hexdigest().encode(), token.encode()
            )
            for key in self._keys
        )

    def notice(self, text: str) -> str:
        """A sentence for the next page, as a cookie's value."""
        said = {"text": text[:600], "exp": int(time.time()) + NOTICE_SECONDS, "aud": NOTICE}
        return jwt.encode(said, self._keys[0], ALGORITHM)

    def read_notice(self, cookie: str) -> str | None:
        said = self._read(cookie, NOTICE)
        return None if said is None else str(said["text"])

    def known(self, before: str) -> str:
        """The cookie of a browser that has signed in; it stays the same browser, if it was known `before`."""
        said = {"id": self.known_id(before) or secrets.token_urlsafe(16), "exp": int(time.time()) + KNOWN_SECONDS}
        return jwt.encode(said | {"aud": KNOWN}, self._keys[0], ALGORITHM)

    def known_id(self, cookie: str) -> str | None:
        """Which browser that is, if it has signed in before."""
        said = self._read(cookie, KNOWN)
        return None if said is None else str(said["id"])

    def ticket(self, session: Session) -> str:
        """A way in that works once, within `TICKET_SECONDS`."""
        said = asdict(session) | {"exp": int(time.time()) + TICKET_SECONDS, "aud": TICKET}
        return jwt.encode(said, self._keys[0], ALGORITHM)

    def opened_ticket(self, ticket: str) -> tuple[Session, str, int] | None:
        """The session of a ticket that is ours and has not expired, what the ticket is called, and its end."""
        said = self._read(ticket, TICKET)
        if said is None:
            return None
        session = Session(**{name: said[name] for name in Session.__dataclass_fields__})
        return session, f"way in {session.id}", int(said["exp"])

    def _read(self, cookie: str, audience: str) -> dict[str, Any] | None:
        for key in self._keys:
            try:
                return jwt.decode(cookie, key, [ALGORITHM], audience=audience, options={"require": ["exp", "aud"]})
            except jwt.PyJWTError:
                continue
        return None


def _derived(master_key: str, admin_key: str) -> bytes:
    salt = hashlib.sha256(admin_key.encode()).digest()
    return HKDF(SHA256(), 32, salt, b"pg-payments dashboard cookies").derive(master_key.encode())
