"""Overview: how much, how well, and what waits for somebody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.rendering import render
from pg_payments.dashboard.state import state_of
from pg_payments.database import dashboard as queries
from pg_payments.database import functions, listings
from pg_payments.database.query import Row
from pg_payments.errors import InvalidRequest

DAYS = (7, 30, 90)


@dataclass(frozen=True)
class Bar:
    """One day of a chart: its amount, and its height of 100."""

    day: date
    amount: int
    number: int
    height: float


@dataclass(frozen=True)
class Chart:
    """What was paid in one currency, day by day."""

    currency: str
    total: int
    refunded: int
    bars: Sequence[Bar]

    @property
    def highest(self) -> int:
        """The amount of the day that reaches the top."""
        return max(bar.amount for bar in self.bars)


async def show(context: Context) -> Response:
    days = _days(context)
    today = datetime.now(UTC).date()
    first = today - timedelta(days=days - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=UTC)
    async with context.reading() as conn:
        rows = await queries.volume(conn, context.scope, since)
        recurring = await queries.recurring(conn, context.scope)
        waiting = await queries.attention(conn, context.scope)
        last = await queries.last_event(conn, context.scope)
        connection = _of(await listings.connections(conn), context.environment)
        worker = _of(await functions.worker_status(conn), context.environment)
    # After this answer: the first look at millions of payments takes no longer than the next.
    goes_on = state_of(context.request).counting.go_on((context.scope, since), lambda: _count(context, since))
    has_key = await context.service.stripe_key(context.environment) is not None
    cut = rows[0]["cut"] if rows else None
    if cut is not None:
        first = max(first, cut.astimezone(UTC).date())
    return await render(
        context, "overview.html", current="overview", days=days, choices=DAYS, cut=cut,
        more=cut is not None and goes_on,
        charts=_charts(rows, first, today), shares=_shares(rows), last_event=last[0] if last else None,
        statuses={row["name"]: row["number"] for row in recurring if row["kind"] == "status"},
        mrr=[row for row in recurring if row["kind"] == "mrr"],
        attention=_attention(context, waiting, connection, worker, has_key),
        connection=connection, most=queries.MANY, counted=queries.COUNTED, first=first, today=today,
    )  # fmt: skip


async def _count(context: Context, since: datetime) -> int | None:
    """Counts hours that are over, a part of them; how many rows were, None for not now."""
    async with context.counting() as conn:
        return await queries.count_volume(conn, context.scope, since)


def _days(context: Context) -> int:
    text = context.asked("days") or "30"
    if text not in map(str, DAYS):
        raise InvalidRequest("days: 7, 30 or 90", detail="days", hint="choose one of the three")
    return int(text)


def _of(rows: Sequence[Row], environment: str) -> Row:
    return next(row for row in rows if row["environment"] == environment)


def _charts(rows: Sequence[Row], first: date, today: date) -> list[Chart]:
    """A chart for each currency in which something was paid, the one with most payments first."""
    days = [first + timedelta(days=n) for n in range((today - first).days + 1)]
    paid: dict[str, dict[date, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    refunded: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["type"] in queries.PAYMENTS and row["paid"] is not None and row["currency"]:
            cell = paid[row["currency"]][row["day"]]
            cell[0] += row["paid"]
            cell[1] += row["number"]
            refunded[row["currency"]] += row["refunded"] or 0
    charts = []
    for currency, by_day in paid.items():
        most = max(amount for amount, _ in by_day.values()) or 1
        bars = [Bar(d, by_day[d][0], by_day[d][1], round(100 * by_day[d][0] / most, 2)) for d in days]
        charts.append(Chart(currency, sum(bar.amount for bar in bars), refunded[currency], bars))
    return sorted(charts, key=lambda chart: -sum(bar.number for bar in chart.bars))


def _shares(rows: Sequence[Row]) -> dict[str, int]:
    """How many payments there were, and how many of them came to what."""
    found = dict.fromkeys(("payments", "succeeded", "failed", "pending", "refunded", "disputed"), 0)
    for row in rows:
        if row["type"] not in queries.PAYMENTS:
            continue
        found["payments"] += row["number"]
        name = "refunded" if row["status"] in queries.REFUNDED else row["status"]
        if name in found:
            found[name] += row["number"]
    return found


def _attention(
    context: Context, waiting: Sequence[Row], connection: Row, worker: Row, has_key: bool
) -> list[tuple[str, str, str]]:
    """What needs somebody: a sentence, where to look, and what is there."""
    found: list[tuple[str, str, str]] = []
    if connection["status"] == "unconfigured":
        found.append(
            ("A key is set, but nothing was synced yet.", context.url("settings"), "Sync now")
            if has_key
            else ("No account is connected yet.", context.url("settings"), "Set a key")
        )
    if connection["status"] == "error":
        found.append(("The connection to Stripe is in error.", context.url("settings"), "Look at the settings"))
    if connection["last_sync_status"] == "failed":
        found.append(("The last sync failed.", context.url("settings"), "Read why"))
    found += [_waits(context, row) for row in waiting if row["number"]]
    if worker["failed_jobs"]:
        found.append(("A job of the worker failed.", context.url("health"), "Read why"))
    return found


WAITING = {
    "failed events": ("failed event waits for its next try", "events", {"status": "failed"}, "Look at them"),
    "parked events": ("parked event", "events", {"status": "parked"}, "Look at them"),
    "events in quarantine": ("event in quarantine", "health", {}, "Read why"),
    "refused pushes and conflicts": ("refused push or conflict", "object-storage", {}, "Decide them"),
}
"""What is said of one of each, the page that shows it, and what is there."""


def _waits(context: Context, row: Row) -> tuple[str, str, str]:
    """What waits, and the address of the account that it is of."""
    number, account = row["number"], row["account_id"]
    one, page, parameters, label = WAITING[row["what"]]
    shown = f"{number}" if number < queries.COUNTED else f"{number} or more"
    of = f" of {account}" if account is not None and account != context.account else ""
    where = context.url(page, **({"account": account} if account else {}), **parameters)
    return f"{shown} {one if number == 1 else row['what']}{of}.", where, label
