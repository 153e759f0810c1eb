# ruff: noqa: E501 - SQL is kept in one piece
"""Whose stamp is believed, whose page claims a customer, which spelling of a sub is a member, and what is paid now."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

Conn = psycopg.Connection[dict[str, Any]]

NAMED = {"payments_subject_type": "user", "payments_subject_id": "ada"}


def begin(
    conn: Conn, sub: str = "ada", subject: tuple[str, str] | None = None, **metadata: str
) -> tuple[str, dict[str, Any]]:
    """A checkout begun by a user: its id, and what Stripe is asked."""
    kind, name = subject or ("user", sub)
    with conn.transaction():
        conn.execute(
            "select set_config('role', 'payments_user', true), set_config('request.jwt.claims', %s, true)",
            [json.dumps({"sub": sub})],
        )
        row = conn.execute(
            "select id::text from payments.begin_checkout('live', 'payment', '[{\"price\": \"price_1\"}]', 'https://a.example/', 'https://a.example/', %s, %s, metadata => %s::jsonb)",
            [kind, name, json.dumps(metadata)],
        ).fetchone()
    assert row is not None
    asked = conn.execute("select payments.checkout_request(%s) as r", [row["id"]]).fetchone()
    assert asked is not None
    return row["id"], asked["r"]


def deliver(conn: Conn, type_: str, data: dict[str, Any], **more: Any) -> None:
    event = {
        "id": f"evt_{type_}_{data['id']}",
        "object": "event",
        "type": type_,
        "livemode": True,
        "created": 1790000000,
        "data": {"object": data},
        **more,
    }
    done = conn.execute(
        "select processing_status, error from payments.ingest_stripe_event('live', %s)", [json.dumps(event)]
    ).fetchone()
    assert done == {"processing_status": "processed", "error": None}


def session(id_: str, metadata: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"id": id_, "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid", "livemode": True,
            "amount_total": 1900, "currency": "eur", "created": 1790000000, "customer": f"cus_{id_}", "metadata": metadata, **more}  # fmt: skip


def mapped(conn: Conn) -> list[str]:
    return [
        row["c"] for row in conn.execute("select provider_customer_id as c from payments.customer_mappings order by 1")
    ]


# Stamps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("customer.created", "customer"),
        ("customer.subscription.created", "subscription"),
        ("checkout.session.completed", "checkout.session"),
        ("invoice.paid", "invoice"),
        ("invoice.paid", "invoice of a subscription"),
        ("invoice.paid", "invoice of a subscription, as it was told before"),
    ],
)
@pytest.mark.parametrize(
    ("stamp", "rule", "believed"),
    [
        ("another", "any", False), ("another", "strict", False), ("", "any", True), (None, "any", True), (None, "strict", False),
        ("own", "any", True), ("own", "strict", True), ("own ", "any", False),
    ],
)  # fmt: skip
def test_whose_stamp_is_believed(
    conn: Conn, type_: str, kind: str, stamp: str | None, rule: str, believed: bool
) -> None:
    conn.execute("select payments.name_installation('own')")
    conn.execute("select payments.allow_stamps(%s)", [rule])
    metadata = NAMED | ({} if stamp is None else {"payments_installation": stamp})
    told = session("x_1", metadata) | {"object": kind.partition(" ")[0], "customer": "cus_1", "status": "active"}
    if "invoice" in kind:
        told |= {"status": "paid", "amount_paid": 1900, "total": 1900}
    if "subscription," in kind:
        told |= {"metadata": {}, "subscription": "sub_1", "subscription_details": {"metadata": metadata}}
    elif "of a" in kind:
        details = {"subscription": "sub_1", "metadata": metadata}
        told |= {"metadata": {}, "parent": {"type": "subscription_details", "subscription_details": details}}
    deliver(conn, type_, told)
    assert bool(mapped(conn)) is believed


@pytest.mark.parametrize("keep", [True, False])
def test_a_former_name_is_believed_unless_it_was_given_up(conn: Conn, keep: bool) -> None:
    conn.execute("select payments.name_installation('former')")
    conn.execute("select payments.name_installation('now', %s)", [keep])
    deliver(
        conn,
        "customer.created",
        {"id": "cus_1", "object": "customer", "metadata": NAMED | {"payments_installation": "former"}},
    )
    assert bool(mapped(conn)) is keep


@pytest.mark.parametrize(
    "metadata",
    [{}, {"payments_checkout_id": "none"}, {"payments_installation": "another", "payments_checkout_id": "ATTEMPT"}],
)
def test_a_session_that_merely_points_at_an_attempt_is_not_its_answer(conn: Conn, metadata: dict[str, str]) -> None:
    attempt, _ = begin(conn)
    stamps = {key: value.replace("ATTEMPT", attempt) for key, value in metadata.items()}
    deliver(conn, "checkout.session.completed", session("cs_link", stamps, client_reference_id=attempt))
    row = conn.execute("select status, checkout_session_id from payments.stripe_checkout_sessions").fetchone()
    assert row == {"status": "initialized", "checkout_session_id": None}


def test_a_second_session_does_not_take_an_attempt_over(conn: Conn) -> None:
    _, asked = begin(conn)
    deliver(conn, "checkout.session.completed", session("cs_1", asked["metadata"]))
    deliver(conn, "checkout.session.expired", session("cs_2", asked["metadata"], status="expired"))
    row = conn.execute("select status, checkout_session_id from payments.stripe_checkout_sessions").fetchone()
    assert row == {"status": "completed", "checkout_session_id": "cs_1"}


# Who has left -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["checkout.session", "subscription"])
@pytest.mark.parametrize("stays", [True, False])
def test_a_page_of_somebody_who_has_left_claims_no_customer(conn: Conn, kind: str, stays: bool) -> None:
    conn.execute(
        "create table public.team_members (team_id text, user_id text); insert into public.team_members values ('t1', 'mallory')"
    )
    conn.execute(
        "select payments.register_subject_type('team', 'public.team_members', subject_column => 'team_id', user_column => 'user_id')"
    )
    _, asked = begin(conn, "mallory", ("team", "t1"))
    if not stays:
        conn.execute("delete from public.team_members")
    type_ = "checkout.session.completed" if kind == "checkout.session" else "customer.subscription.created"
    deliver(conn, type_, session("x_1", asked["metadata"]) | {"object": kind})
    assert mapped(conn) == (["cus_x_1"] if stays else [])


# Spellings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "member", "own", "others"),
    [
        ("bigint", "7", "7", ["07", "+7", "7 ", "0x7", "7.0"]),
        ("numeric", "1.50", "1.50", ["1.5", "1.500", "15e-1"]),
        ("double precision", "1.5", "1.5", ["1.50", "15e-1"]),
        ("timestamptz", "2026-01-01 00:00:00+00", None, ["2026-01-01", "January 1, 2026", "20260101"]),
        ("boolean", "true", "true", ["t", "yes", "1", "TRUE"]),
        ("varchar(3)", "ada", "ada", ["ada ", "adam"]),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"]),
        ("interval", "1 day", "1 day", ["24:00:00", "P1D", "1 d"]),
        ("numeric", "1000", "1000", ["1e3", "1E3", "1000.0", " 1000", "1_000"]),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
        ("char(5)", "ada", "ada", ["ada ", "ada  ", " ada"]),
        ("text", "ada ", "ada ", ["ada", "ada  ", "Ada "]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("style", ["ISO, MDY", "German, DMY", "SQL, DMY"])
def test_a_sub_is_spelled_as_the_member(
    conn: Conn, type_: str, member: str, own: str | None, others: list[str], style: str
) -> None:
    conn.execute(
        f"create table public.members (team_id text, usr {type_}); insert into public.members values ('t1', '{member}')"
    )
    conn.execute(
        "select payments.register_subject_type('team', 'public.members', subject_column => 'team_id', user_column => 'usr')"
    )
    conn.execute("select set_config('datestyle', %s, false)", [style])
    for sub in [*others, *([own] if own else [])]:
        with conn.transaction():
            conn.execute(
                "select set_config('role', 'payments_user', true), set_config('request.jwt.claims', %s, true)",
                [json.dumps({"sub": sub})],
            )
            found = conn.execute(
                "select subject_id from payments.billable_subjects() where subject_type = 'team'"
            ).fetchall()
        assert bool(found) is (sub == own), sub


# Paid now ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "more", "paid"),
    [
        ("checkout.session.completed", {}, True),
        ("checkout.session.completed", {"payment_status": "unpaid"}, False),
        ("checkout.session.completed", {"payment_status": "no_payment_required", "amount_total": 0}, True),
        ("checkout.session.completed", {"payment_status": "no_payment_required", "mode": "subscription", "amount_total": 0}, False),
        ("checkout.session.async_payment_succeeded", {}, True),
        ("checkout.session.async_payment_failed", {"payment_status": "unpaid"}, False),
        ("checkout.session.expired", {"status": "expired", "payment_status": "unpaid"}, False),
        ("checkout.session.completed", {"metadata": {}}, False),
        ("payment_intent.succeeded", {"object": "payment_intent", "status": "succeeded"}, False),
    ],
)  # fmt: skip
def test_what_is_paid_now(conn: Conn, type_: str, more: dict[str, Any], paid: bool) -> None:
    attempt, asked = begin(conn, order_id="42")
    deliver(conn, type_, session("cs_1", asked["metadata"]) | more)
    found = conn.execute("select c.* from payments.webhook_events e, payments.paid_checkout(e) c").fetchall()
    assert len(found) == int(paid)
    if paid:
        (row,) = found
        assert (str(row["checkout_id"]), row["environment"], row["subject_id"], row["metadata"]) == (
            attempt,
            "live",
            "ada",
            {"order_id": "42"},
        )
        assert (row["amount"], row["currency"], row["checkout_session_id"]) == (
            more.get("amount_total", 1900),
            "eur",
            "cs_1",
        )


def test_another_accounts_session_pays_nothing_here(conn: Conn) -> None:
    _, asked = begin(conn)
    deliver(conn, "checkout.session.completed", session("cs_1", asked["metadata"]), account="acct_connected")
    assert conn.execute("select c.* from payments.webhook_events e, payments.paid_checkout(e) c").fetchall() == []


# What may be asked for --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "sqlstate"),
    [
        ("close_environment('live')", "42501"), ("close_environment('test')", None), ("allow_prices('mirrored')", "PY001"),
        ("allow_prices('active')", "PY001"), ("allow_prices('any')", None),
    ],
)  # fmt: skip
def test_what_owners_allow(conn: Conn, setting: str, sqlstate: str | None) -> None:
    conn.execute(f"select payments.{setting}")
    if sqlstate is None:
        begin(conn)
        return
    with pytest.raises(psycopg.Error) as refused:
        begin(conn)
    assert refused.value.sqlstate == sqlstate
    conn.execute("select payments.open_environment('live'), payments.allow_prices('active')")
    price = {"object": "price", "livemode": True, "product": "prod_1", "currency": "eur"}
    conn.execute(
        "select payments.store_stripe_objects('live', %s::jsonb)",
        [json.dumps([price | {"id": "price_1", "active": True}])],
    )
    begin(conn)


@pytest.mark.parametrize(("ids", "named", "sqlstate"), [
    (None, "bpc_1", None), (["bpc_1"], "bpc_1", None), (["bpc_1"], None, None), (["bpc_1"], "bpc_2", "PY001"), ([], "bpc_1", "PY001"), ([], None, None),
])  # fmt: skip
def test_portal_configurations_can_be_limited(
    conn: Conn, ids: list[str] | None, named: str | None, sqlstate: str | None
) -> None:
    deliver(conn, "customer.created", {"id": "cus_1", "object": "customer", "metadata": NAMED})
    conn.execute("select payments.allow_portal_configurations(%s)", [ids])
    outcome = None
    try:
        with conn.transaction():
            conn.execute(
                """select set_config('role', 'payments_user', true), set_config('request.jwt.claims', '{"sub": "ada"}', true)"""
            )
            conn.execute("select payments.begin_portal_session('live', 'user', 'ada', configuration_id => %s)", [named])
    except psycopg.Error as refused:
        outcome = refused.sqlstate
    assert outcome == sqlstate


# Guests and plans -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition", ["true", "customer_email >= 'z'", "customer_email < 'z'", "url is null", "status = 'open'"]
)
def test_a_plan_tells_a_guest_nothing_of_others_rows(conn: Conn, condition: str) -> None:
    def plan(secret: str) -> str:
        with conn.transaction():
            conn.execute(
                "select set_config('role', 'payments_anon', true), set_config('payments.guest_secret', %s, true)",
                [secret],
            )
            conn.execute(
                "set local enable_indexscan = off; set local enable_bitmapscan = off; set local enable_indexonlyscan = off"
            )
            rows = conn.execute(
                f"explain (analyze, costs off, timing off, summary off, buffers off) select id from payments.stripe_checkout_sessions where {condition}"
            )
            return "\n".join(row["QUERY PLAN"] for row in rows)

    with conn.transaction():
        conn.execute(
            "select set_config('role', 'payments_anon', true), set_config('payments.guest_secret', %s, true)",
            ["the victim's own secret of 128 bits"],
        )
        conn.execute("""insert into payments.stripe_checkout_sessions (environment, mode, line_items, success_url, cancel_url, customer_email)
                        values ('live', 'payment', '[{"price": "p"}]', 'https://a.example/', 'https://a.example/', 'zoe@victim.example')""")
    told = plan("another guest's secret of 128 bits")
    assert "InitPlan" not in told
    assert "never executed" not in told


@pytest.mark.parametrize("status", ["initialized", "failed", "expired", "open", "completed"])
@pytest.mark.parametrize("days", [6, 8])
def test_guests_unused_attempts_are_purged(conn: Conn, status: str, days: int) -> None:
    begin(conn)
    conn.execute(
        "update payments.stripe_checkout_sessions set status = %s, created_at = now() - %s * interval '1 day'",
        [status, days],
    )
    assert conn.execute("select payments.purge_guest_attempts() as n").fetchone() == {"n": 0}
    conn.execute("update payments.stripe_checkout_sessions set owner_key = 'guest:x'")
    purged = days > 7 and status in ("initialized", "failed", "expired")
    assert conn.execute("select payments.purge_guest_attempts() as n").fetchone() == {"n": int(purged)}
