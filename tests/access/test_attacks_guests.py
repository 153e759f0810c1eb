# ruff: noqa: E501 - SQL is kept in one piece
"""Guests have nothing but a secret. Others guess it, forge it, do without it, or buy what guests may not."""

import pytest

from tests.access.stage import ADA, GUEST, MALLORY, NOTHING, Attempt, Caller, Stage

ALL = "select * from payments.stripe_checkout_sessions"
ONCE = """'test', 'payment', '[{"price": "price_1"}]', 'https://a.example/', 'https://a.example/'"""
BUY = f"select status from payments.begin_checkout({ONCE})"
VICTIM = "the secret of the guest who was here first"


def guest(secret: str, claims: str = "") -> Caller:
    return Caller("attack_guest", claims, secret)


HASH = "encode(sha256(convert_to('the secret of the guest who was here first', 'UTF8')), 'hex')"

ATTEMPTS = [
    Attempt("reads all attempts", GUEST, ALL, NOTHING),
    Attempt(
        "reads one whose id it has learnt", GUEST, f"{ALL} where id = '00000000-0000-4000-8000-000000000999'", NOTHING
    ),
    Attempt("has no secret", guest(""), ALL, NOTHING),
    Attempt("has no secret and buys", guest(""), BUY, "PY002"),
    Attempt("has a short secret", guest("1234"), ALL, NOTHING),
    Attempt("has a short secret and buys", guest("1234"), BUY, "PY001"),
    Attempt("has a secret of blanks", guest(" "), ALL, NOTHING),
    Attempt("has the secret but for its last letter", guest(VICTIM[:-1]), ALL, NOTHING),
    Attempt("has the secret in capitals", guest(VICTIM.upper()), ALL, NOTHING),
    Attempt("has the secret and a blank", guest(f"{VICTIM} "), ALL, NOTHING),
    Attempt(
        "has the hash for a secret", GUEST, f"select set_config('payments.guest_secret', {HASH}, false); {ALL}", NOTHING
    ),
    Attempt(
        "has the owner's key for a secret",
        GUEST,
        f"select set_config('payments.guest_secret', 'guest:' || {HASH}, false); {ALL}",
        NOTHING,
    ),
    Attempt("has a pattern for a secret", guest("%%%%%%%%%%%%%%%%%%%%%%%%%%"), ALL, NOTHING),
    Attempt(
        "has another's secret in a cookie that nobody reads",
        guest("", '{"guest_secret": "the secret of the guest who was here first"}'),
        ALL,
        NOTHING,
    ),
    Attempt(
        "has headers that are no JSON",
        GUEST,
        f"select set_config('payments.guest_secret', '', false), set_config('request.headers', '{{', false); {ALL}",
        NOTHING,
    ),
    Attempt(
        "has a number for a secret in its headers",
        GUEST,
        """select set_config('payments.guest_secret', '', false), set_config('request.headers', '{"x-payments-guest-secret": 1111111111111111111111111}', false); """
        + BUY,
        "PY002",
    ),
    Attempt("claims to be a user", guest("", '{"sub": "ada"}'), ALL, NOTHING),
    Attempt("claims to be a user and buys", guest("", '{"sub": "ada"}'), BUY, "42501"),
    Attempt(
        "claims to be a user and bills it",
        guest("", '{"sub": "ada"}'),
        f"select payments.begin_checkout({ONCE}, 'user', 'ada')",
        "42501",
    ),
    Attempt(
        "claims a guest's key for a sub",
        GUEST,
        f"select set_config('request.jwt.claims', json_build_object('sub', 'guest:' || {HASH})::text, false); {ALL}",
        NOTHING,
    ),
    Attempt(
        "is a user and claims a guest's key for a sub",
        MALLORY,
        f"select set_config('request.jwt.claims', json_build_object('sub', 'guest:' || {HASH})::text, false); {ALL}",
        NOTHING,
    ),
    Attempt(
        "is a user and brings the guest's secret as well",
        Caller("attack_user", '{"sub": "mallory"}', VICTIM),
        ALL,
        NOTHING,
    ),
    Attempt(
        "is both, and claims to be a user of another name",
        Caller("attack_both", '{"sub": "mallory"}', VICTIM),
        ALL,
        NOTHING,
    ),
    Attempt("subscribes", GUEST, f"select payments.begin_checkout({ONCE.replace('payment', 'subscription')})", "PY001"),
    Attempt(
        "subscribes as a user of no team",
        GUEST,
        f"select payments.begin_checkout({ONCE.replace('payment', 'subscription')}, 'user', 'mallory')",
        "42501",
    ),
    Attempt("bills a user", GUEST, f"select payments.begin_checkout({ONCE}, 'user', 'ada')", "42501"),
    Attempt("bills a team", GUEST, f"select payments.begin_checkout({ONCE}, 'team', 't1')", "42501"),
    Attempt("bills the guests", GUEST, f"select payments.begin_checkout({ONCE}, 'guest', 'x')", "42501"),
    Attempt("asks whom it may bill", GUEST, "select * from payments.billable_subjects()", "42501"),
    Attempt("reads transactions", GUEST, "select amount from payments.transactions", "42501"),
    Attempt("reads subscriptions", GUEST, "select status from payments.stripe_subscriptions", "42501"),
    Attempt("reads the catalogue, which is open", GUEST, "select name from payments.stripe_products", [("Poster",)]),
    Attempt("reads the catalogue's metadata", GUEST, "select metadata from payments.stripe_prices", "42501"),
    Attempt(
        "squats the key of another guest",
        GUEST,
        f"select status from payments.begin_checkout({ONCE}, idempotency_key => 'cart:1')",
        [("initialized",)],
        begins=1,
    ),
    Attempt(
        "buys and reads it back, which is all it may",
        GUEST,
        f"{BUY}; select owner_key = payments.caller_key() from payments.stripe_checkout_sessions",
        [(True,)],
        begins=1,
    ),
    Attempt("updates what it began", GUEST, "update payments.stripe_checkout_sessions set url = ''", "42501"),
    Attempt(
        "was a user before, on the same connection",
        GUEST,
        ALL,
        NOTHING,
        first="""select set_config('request.jwt.claims', '{"sub": "ada"}', true)""",
    ),
    Attempt(
        "is a user who has a guest's row by its owner's key",
        ADA,
        f"select count(*) from payments.stripe_checkout_sessions where owner_key = 'guest:' || {HASH}",
        [(0,)],
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
