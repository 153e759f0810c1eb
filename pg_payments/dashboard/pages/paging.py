"""Keys of lists in addresses: where the next page begins."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pg_payments.dashboard.context import Context
from pg_payments.database.dashboard import Key, Page
from pg_payments.errors import InvalidRequest


def key_of(context: Context) -> Key | None:
    """The key in the address. Raises `InvalidRequest`."""
    text = context.asked("after")
    if text is None:
        return None
    at, _, row_id = text.partition("~")
    try:
        found = datetime.fromisoformat(at) if at else None
        if found is not None and found.tzinfo is None:
            raise ValueError
        return found, UUID(row_id)
    except ValueError:
        raise InvalidRequest(
            "after: not a place in this list", detail="after", hint="begin with the first page"
        ) from None


def next_page(context: Context, page: Page) -> str | None:
    """The address of the next page, if there is one."""
    if page.next_key is None:
        return None
    at, row_id = page.next_key
    return context.here(after=f"{at.isoformat() if isinstance(at, datetime) else ''}~{row_id}")
