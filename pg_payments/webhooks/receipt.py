"""What a delivery comes to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from pg_payments.database.query import Row


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery. `event` is the ledger's row without its payload, None where the ledger has none.

    `failed_with` is the SQLSTATE of what kept a failed event from being applied.
    """

    event_id: UUID | None
    processing_status: str
    duplicate: bool
    event: Row | None
    failed_with: str | None = None

    @property
    def handled(self) -> bool:
        """Whether everything the event says is in place."""
        return self.processing_status == "processed"

    @property
    def to_be_delivered_again(self) -> bool:
        """Whether applying the event failed in a way that another delivery may mend."""
        return self.processing_status == "failed" and not self.is_parked

    @property
    def is_parked(self) -> bool:
        """Whether the event is not tried again by itself: only a replay by hand applies it."""
        return self.event is not None and self.event["parked_at"] is not None
