# ruff: noqa: E501 - SQL is kept in one piece
"""Ten megabytes where a few characters are expected: refused soon, by name where there is one, and nothing kept."""

import time

import pytest

from tests.access.stage import GUEST, MALLORY, NOTHING, SERVICE, Attempt, Stage

HUGE = "repeat('x', 10000000)"
HERE = "'https://a.example/'"
SOON = 10
"""Seconds, on a slow machine with others at work."""


def begin(**changes: str) -> str:
    arguments = {
        "environment": "'test'",
        "mode": "'payment'",
        "line_items": """'[{"price": "price_1"}]'""",
        "success_url": HERE,
        "cancel_url": HERE,
    }
    return (
        "select payments.begin_checkout("
        + ", ".join(f"{name} => {value}" for name, value in (arguments | changes).items())
        + ")"
    )


ATTEMPTS = [
    Attempt("names a huge environment", MALLORY, begin(environment=HUGE), "PY001"),
    Attempt("names a huge mode", MALLORY, begin(mode=HUGE), "PY001"),
    Attempt("bills a huge subject", MALLORY, begin(subject_type="'user'", subject_id=HUGE), "PY001"),
    Attempt("bills a subject of a huge type", MALLORY, begin(subject_type=HUGE, subject_id="'ada'"), "PY001"),
    Attempt("returns to a huge URL", MALLORY, begin(success_url=f"'https://a.example/' || {HUGE}"), "PY001"),
    Attempt("returns to a huge host", MALLORY, begin(cancel_url=f"'https://' || {HUGE}"), "PY001"),
    Attempt("gives a huge e-mail", MALLORY, begin(customer_email=f"{HUGE} || '@' || {HUGE}"), "PY001"),
    Attempt("gives an e-mail of many signs", MALLORY, begin(customer_email="repeat('@', 1000000)"), "PY001"),
    Attempt("has a huge key", MALLORY, begin(idempotency_key=HUGE), "PY001"),
    Attempt("sends a huge value", MALLORY, begin(metadata=f"jsonb_build_object('k', {HUGE})"), "PY001"),
    Attempt("sends a huge key", MALLORY, begin(metadata=f"jsonb_build_object({HUGE}, 'v')"), "PY001"),
    Attempt(
        "sends very many keys",
        MALLORY,
        begin(metadata="(select jsonb_object_agg(n, 'x') from generate_series(1, 300000) n)"),
        "PY001",
    ),
    Attempt(
        "sends very deep metadata",
        MALLORY,
        begin(metadata="(repeat('{\"a\":', 5000) || '1' || repeat('}', 5000))::jsonb"),
        "PY001",
    ),
    Attempt(
        "sends a huge price",
        GUEST,
        begin(line_items=f"jsonb_build_array(jsonb_build_object('price', {HUGE}))"),
        "PY001",
    ),
    Attempt(
        "sends very many line items",
        GUEST,
        begin(line_items="""(select jsonb_agg('{"price": "p"}'::jsonb) from generate_series(1, 300000))"""),
        "PY001",
    ),
    Attempt(
        "sends a huge number of things",
        GUEST,
        begin(line_items="""('[{"price": "p", "quantity": ' || repeat('9', 100000) || '}]')::jsonb"""),
        "PY001",
    ),
    Attempt(
        "opens a portal for a huge subject",
        MALLORY,
        f"select payments.begin_portal_session('test', 'user', {HUGE})",
        ("PY001", "42501"),
    ),
    Attempt(
        "opens a portal with a huge configuration",
        MALLORY,
        f"select payments.begin_portal_session('test', 'user', 'mallory', configuration_id => {HUGE})",
        "PY001",
    ),
    Attempt(
        "returns from the portal to a huge URL",
        MALLORY,
        f"select payments.begin_portal_session('test', 'user', 'mallory', {HUGE})",
        "PY001",
    ),
    Attempt(
        "claims to be huge and reads",
        MALLORY,
        f"select set_config('request.jwt.claims', json_build_object('sub', {HUGE})::text, false) is null; select id from payments.stripe_checkout_sessions",
        NOTHING,
    ),
    Attempt(
        "claims to be huge and buys",
        MALLORY,
        f"select set_config('request.jwt.claims', (select json_build_object('sub', string_agg(md5(n::text), '')) from generate_series(1, 10000) n)::text, false) is null; {begin()}",
        ("54000", "PY001", "PY002"),
    ),
    Attempt(
        "has a huge secret and reads",
        GUEST,
        f"select set_config('payments.guest_secret', {HUGE}, false) is null; select id from payments.stripe_checkout_sessions",
        NOTHING,
    ),
    Attempt(
        "reports a huge failure of nothing",
        SERVICE,
        f"select payments.fail_checkout(gen_random_uuid(), {HUGE})",
        "PY005",
    ),
    Attempt(
        "delivers a huge body that is no event",
        SERVICE,
        f"select * from payments.ingest_stripe_event('test', {HUGE})",
        "PY007",
    ),
    Attempt(
        "delivers to a huge environment",
        SERVICE,
        f"select * from payments.ingest_stripe_event({HUGE}, '{{}}')",
        "PY001",
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    began = time.monotonic()
    stage.refuses(attempt)
    assert time.monotonic() - began < SOON
