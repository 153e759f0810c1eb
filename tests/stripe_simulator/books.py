"""The merchant's own books: each movement of money as it was made, and sums of them to hold the rows against.

Nothing here looks at statuses or objects: money was taken or given back, or a giving back failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.stripe_simulator.models import Json

if TYPE_CHECKING:
    from tests.stripe_simulator.facts import Payment

Sums = dict[tuple[str, object, str], tuple[int, int]]
"""(what by, which, currency) → (taken, given back); what by is all, customer, subject or invoice."""

MONEY_CAME_IN = ("succeeded", "partially_refunded", "refunded", "disputed")


@dataclass(frozen=True)
class Movement:
    payment: Payment
    taken: int = 0
    given_back: int = 0


class Books:
    def __init__(self) -> None:
        self.movements: list[Movement] = []

    def take(self, payment: Payment, amount: int) -> None:
        self.movements.append(Movement(payment, taken=amount))

    def give_back(self, payment: Payment, amount: int) -> None:
        self.movements.append(Movement(payment, given_back=amount))

    def sums(self, whose: Callable[[Payment], object]) -> Sums:
        return added(
            (
                (("all", None), ("customer", m.payment.customer), ("subject", whose(m.payment)),
                 ("invoice", m.payment.references.get("invoice"))),
                m.payment.currency, m.taken, m.given_back,
            )
            for m in self.movements
        )  # fmt: skip


def sums_of_rows(rows: Iterable[Json]) -> Sums:
    """The same of rows of payments.transactions."""
    return added(
        (
            (("all", None), ("customer", r["provider_customer_id"]),
             ("subject", None if r["subject_type"] is None else (r["subject_type"], r["subject_id"])),
             ("invoice", r["related_object_ids"].get("invoice"))),
            r["currency"], r["amount"], r["amount_refunded"],
        )
        for r in rows
        if r["type"] not in ("refund", "dispute") and r["status"] in MONEY_CAME_IN
    )  # fmt: skip


def added(parts: Iterable[tuple[Iterable[tuple[str, object]], str, int, int]]) -> Sums:
    sums: dict[tuple[str, object, str], list[int]] = defaultdict(lambda: [0, 0])
    for keys, currency, taken, given_back in parts:
        for what, which in keys:
            sums[what, which, currency][0] += taken
            sums[what, which, currency][1] += given_back
    return {key: (taken, back) for key, (taken, back) in sums.items() if taken or back}
