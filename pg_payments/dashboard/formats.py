"""How values look to people: amounts by currency, times, links into Stripe's own dashboard."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import quote

from markupsafe import Markup

from pg_payments.counted import counted
from pg_payments.errors import InvalidRequest

NO_DECIMALS = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)  # Stripe: Supported currencies, zero-decimal
THREE_DECIMALS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
NOTHING = "\N{EN DASH}"
"""What is shown of nothing."""
STRIPE = "https://dashboard.stripe.com"
PLACES = {
    "payment_intent": "payments", "charge": "payments", "invoice": "invoices", "refund": "refunds",
    "dispute": "disputes", "customer": "customers", "subscription": "subscriptions", "product": "products",
    "price": "prices", "event": "events", "payout": "payouts",
}  # fmt: skip
"""The pages of Stripe's dashboard; other objects have none of their own."""
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def decimals(currency: str | None) -> int:
    """How many digits the currency's minor unit is."""
    code = (currency or "").lower()
    return 0 if code in NO_DECIMALS else 3 if code in THREE_DECIMALS else 2


def amount(minor: int | None, currency: str | None) -> str:
    """`1,234.50 EUR`; `1,234 JPY`; what Stripe did not say is a dash."""
    if minor is None:
        return NOTHING
    places = decimals(currency)
    return f"{Decimal(minor).scaleb(-places):,.{places}f} {(currency or '').upper()}".strip()


def minor_units(text: str | None, currency: str | None, name: str) -> int | None:
    """An amount that somebody typed, in the currency's minor unit. Raises `InvalidRequest`."""
    if text is None:
        return None
    try:
        value = Decimal(text.replace(",", "").replace(" ", "")).scaleb(decimals(currency))
    except InvalidOperation:
        raise InvalidRequest(f"{name}: {text!r} is not an amount", detail=name, hint="write it as 12.50") from None
    if not value.is_finite() or value != value.to_integral_value() or abs(value) >= 2**63:
        raise InvalidRequest(
            f"{name}: {text!r} is not an amount of {(currency or 'this currency').upper()}",
            detail=name,
            hint="write it as 12.50, with no more decimals than the currency has",
        )
    return int(value)


def day(text: str | None, name: str, *, after: bool = False) -> datetime | None:
    """The beginning of a day (UTC) that somebody typed, or its end. Raises `InvalidRequest`."""
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
        return datetime(found.year, found.month, found.day, tzinfo=UTC) + timedelta(days=1 if after else 0)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name}: {text!r} is not a day", detail=name, hint="write it as 2026-11-26") from None


def time(at: datetime | None) -> Markup:
    """A time that the page's script shows in the viewer's zone; the exact one in UTC is in its title."""
    if at is None:
        return Markup("&ndash;")
    utc = at.astimezone(UTC)
    exact = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{} {} {}, {:02}:{:02} UTC</time>').format(
        f"{utc:%Y-%m-%dT%H:%M:%S}Z", exact, utc.day, MONTHS[utc.month - 1], utc.year, utc.hour, utc.minute
    )


def age(at: datetime | None, now: datetime | None = None) -> str:
    """`5 minutes ago`."""
    if at is None:
        return "never"
    return span((now or datetime.now(UTC)) - at) + " ago"


def span(length: timedelta | None) -> str:
    """`5 minutes`."""
    if length is None:
        return NOTHING
    seconds = max(0, int(length.total_seconds()))
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (size == 86_400 and seconds >= size):
            count = seconds // size
            return counted(count, name)
    return counted(seconds, "second")


def stripe_link(object_type: str | None, object_id: str | None, environment: str, account: str | None) -> str | None:
    """The object's page in Stripe's dashboard, if it has one there."""
    place = PLACES.get(object_type or "")
    if place is None or not object_id:
        return None
    parts = [STRIPE, *([account] if account else []), *(["test"] if environment == "test" else []), place]
    return "/".join([*parts, quote(object_id, safe="")])


def short(text: object, longest: int = 80) -> str:
    """A beginning, where the whole would not fit."""
    whole = "" if text is None else str(text)
    return whole if len(whole) <= longest else whole[: longest - 1] + "…"


def words(name: str | None) -> str:
    """`one_time_payment` as people write it."""
    return (name or NOTHING).replace("_", " ")
