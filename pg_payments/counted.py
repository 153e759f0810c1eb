"""How a number of things is said."""

from __future__ import annotations


def counted(number: int, one: str, more: str | None = None) -> str:
    """`1 row`, `2 rows`; ``more`` is said of several where ``one`` with an `s` is not."""
    return f"{number} {one if number == 1 else more or one + 's'}"
