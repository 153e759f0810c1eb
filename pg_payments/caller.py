"""Who calls: the database role to act as, and what its token says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """A verified caller: the database role to act as, all claims of the token as JSON text, a guest's own secret."""

    role: str
    claims: str
    guest: bool
    guest_secret: str | None = None
