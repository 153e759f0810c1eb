# ruff: noqa: E501 - SQL is kept in one piece
"""Mallory may insert a request. It wants to insert an outcome, or an owner."""

import pytest

from tests.access.stage import ADA, GUEST, MALLORY, Attempt, Stage

CHECKOUTS = "payments.stripe_checkout_sessions"
PORTALS = "payments.stripe_customer_portal_sessions"
REQUEST = "environment, mode, line_items, success_url, cancel_url, subject_type, subject_id"
VALUES = """'test', 'payment', '[{"price": "price_1"}]', 'https://shop.example/', 'https://shop.example/', 'user', 'mallory'"""
NOBODYS = (
    """'test', 'payment', '[{"price": "price_1"}]', 'https://shop.example/', 'https://shop.example/', null, null"""
)

FORGED = {
    "id": "'00000000-0000-4000-8000-00000000beef'",
    "status": "'completed'",
    "payment_status": "'paid'",
    "owner_key": "'user:ada'",
    "request_hash": "'0'",
    "checkout_session_id": "'cs_test_1'",
    "customer_id": "'cus_1'",
    "payment_intent_id": "'pi_1'",
    "subscription_id": "'sub_1'",
    "url": "'https://elsewhere.example/'",
    "last_error": "'none'",
    "created_at": "'-infinity'",
    "updated_at": "'infinity'",
}
PORTALS_FORGED = ["id", "status", "owner_key", "customer_id", "url", "last_error", "created_at", "updated_at"]

ATTEMPTS = [
    *(
        Attempt(
            f"inserts {column}",
            MALLORY,
            f"insert into {CHECKOUTS} ({REQUEST}, {column}) values ({VALUES}, {value})",
            "42501",
        )
        for column, value in FORGED.items()
    ),
    *(
        Attempt(
            f"is a guest and inserts {column}",
            GUEST,
            f"insert into {CHECKOUTS} ({REQUEST}, {column}) values ({NOBODYS}, {value})",
            "42501",
        )
        for column, value in FORGED.items()
    ),
    *(
        Attempt(f"updates {column} of its own checkout", ADA, f"update {CHECKOUTS} set {column} = {value}", "42501")
        for column, value in FORGED.items()
    ),
    *(
        Attempt(
            f"inserts {column} of a portal",
            ADA,
            f"insert into {PORTALS} (environment, subject_type, subject_id, {column}) values ('test', 'user', 'ada', {FORGED[column]})",
            "42501",
        )
        for column in PORTALS_FORGED
    ),
    Attempt(
        "inserts the generated key",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, subject_key) values ({VALUES}, 'user:ada')",
        ("428C9", "42501"),
    ),
    Attempt(
        "overrides the generated key",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, subject_key) overriding system value values ({VALUES}, 'user:ada')",
        ("428C9", "42501"),
    ),
    Attempt(
        "names an internal column, for its default",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, status) values ({VALUES}, default)",
        "42501",
    ),
    Attempt(
        "inserts a whole row", MALLORY, f"insert into {CHECKOUTS} select (null::{CHECKOUTS}).*", ("428C9", "42501")
    ),
    Attempt("inserts a row of defaults", MALLORY, f"insert into {CHECKOUTS} default values", "PY001"),
    Attempt(
        "inserts a populated record",
        MALLORY,
        f"""insert into {CHECKOUTS} select * from json_populate_record(null::{CHECKOUTS}, '{{"status": "completed"}}')""",
        ("428C9", "42501"),
    ),
    Attempt(
        "inserts half a subject",
        MALLORY,
        f"insert into {CHECKOUTS} (environment, mode, line_items, success_url, cancel_url, subject_id) values ('test', 'payment', '[]', 'https://a.example/', 'https://a.example/', 'ada')",
        "PY001",
    ),
    Attempt(
        "subscribes nobody",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}) values ({NOBODYS.replace('payment', 'subscription')})",
        "PY001",
    ),
    Attempt("is a guest and bills a user", GUEST, f"insert into {CHECKOUTS} ({REQUEST}) values ({VALUES})", "42501"),
    Attempt(
        "invents a mode",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}) values ({VALUES.replace('payment', 'setup')})",
        "PY001",
    ),
    Attempt(
        "reads its own hash and writes it back", ADA, f"update {CHECKOUTS} set request_hash = request_hash", "42501"
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
