"""Selling for connected accounts: on the owner's terms, through accounts that are open to the caller, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import ingest

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

A, B = "acct_1Ada", "acct_2Bob"
DIRECT = "charge_type => 'direct', open_to => 'users'"
DESTINATION = "charge_type => 'destination', open_to => 'users'"
GUEST = "a guest's secret of 22 letters"


@pytest.fixture
def conn(scratch_conn: Conn) -> Conn:
    return scratch_conn


def register(conn: Conn, terms: str, account: str = A, owner: str = "'user', 'ada'") -> None:
    conn.execute(f"select payments.register_account('test', '{account}', {owner}, {terms})")


def as_caller(conn: Conn, statement: str, values: dict[str, Any], sub: str | None = "carol") -> Row:
    """The row that a statement answers to a user, or without `sub` to a guest."""
    with conn.transaction():
        claims = json.dumps({"sub": sub}) if sub else ""
        conn.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        conn.execute("select set_config('payments.guest_secret', %s, true)", ["" if sub else GUEST])
        conn.execute("set local role payments_user" if sub else "set local role payments_anon")
        row = conn.execute(statement, values).fetchone()
        conn.execute("reset role")
    assert row is not None
    return row


def begin(conn: Conn, account: str | None = A, sub: str | None = "carol", mode: str = "payment", **more: Any) -> Row:
    values = {
        "account": account, "mode": mode, "type": more.get("subject_type", "user" if sub else None),
        "id": more.get("subject_id", sub), "key": more.get("key"),
        "items": json.dumps(more.get("items", [{"price": "price_1", "quantity": 2}])),
    }  # fmt: skip
    return as_caller(
        conn,
        """select * from payments.begin_checkout('test', %(mode)s, %(items)s::jsonb, 'https://shop.example',
             'https://shop.example', %(type)s, %(id)s, idempotency_key => %(key)s, account_id => %(account)s)""",
        values,
        sub,
    )


def visit(conn: Conn, account: str | None = A, sub: str = "carol", subject: str | None = None) -> Row:
    return as_caller(
        conn,
        "select * from payments.begin_portal_session('test', 'user', %(subject)s, account_id => %(account)s)",
        {"subject": subject or sub, "account": account},
        sub,
    )


def refusal(conn: Conn, ask: Any, *given: Any, **more: Any) -> tuple[str | None, str | None]:
    with pytest.raises(psycopg.Error) as raised, conn.transaction():
        ask(conn, *given, **more)
    return raised.value.sqlstate, raised.value.diag.message_detail


def asked(conn: Conn, row: Row) -> Json:
    found = conn.execute("select payments.checkout_request(%s) as request", [row["id"]]).fetchone()
    assert found is not None
    request: Json = found["request"]
    return request


def answered(conn: Conn, row: Row, session_id: str = "cs_1") -> Json:
    """Stripe's answer to an attempt, recorded."""
    session = {
        "id": session_id, "object": "checkout.session", "livemode": False, "created": 1_790_000_000, "status": "open",
        "mode": row["mode"], "payment_status": "unpaid", "metadata": asked(conn, row)["metadata"],
        "url": "https://checkout.example/1",
    }  # fmt: skip
    conn.execute("select payments.finish_checkout(%s, %s)", [row["id"], json.dumps(session)])
    return session


def event(event_id: str, kind: str, by: str | None, item: Json, created: int = 10) -> Json:
    account = {"account": by} if by else {}
    return {
        "id": event_id, "object": "event", "type": kind, "created": 1_790_000_000 + created, "livemode": False,
        "data": {"object": item}, **account,
    }  # fmt: skip


def completed(event_id: str, by: str | None, session: Json, customer: str | None = "cus_same") -> Json:
    paid = {"status": "complete", "payment_status": "paid", "amount_total": 900, "currency": "eur", "url": None}
    return event(event_id, "checkout.session.completed", by, session | paid | {"customer": customer})


def price(by: str | None, price_id: str, amount: int | None, currency: str = "eur", **more: Any) -> Json:
    item = {"id": price_id, "object": "price", "active": True, "currency": currency, "unit_amount": amount, **more}
    return event(f"evt_{price_id}_{by}_{amount}", "price.created", by, item)


def paid(conn: Conn, event_id: str) -> list[Row]:
    return conn.execute(
        """select p.checkout_id, p.account_id from payments.webhook_events e, payments.paid_checkout(e) p
            where e.provider_event_id = %s""",
        [event_id],
    ).fetchall()


def test_whoever_knows_of_no_accounts_asks_as_before(conn: Conn) -> None:
    register(conn, f"{DIRECT}, fee_percent => 10")
    row = begin(conn, None)
    assert (row["account_id"], row["seller_account_id"]) == (None, None)
    assert set(asked(conn, row)["payment_intent_data"]) == {"metadata"}
    assert "currency" not in asked(conn, row)


@pytest.mark.parametrize(
    ("terms", "mode", "expected"),
    [
        (DIRECT, "payment", {}),
        (f"{DIRECT}, fee_amount => 90, fee_currency => 'eur'", "payment", {"application_fee_amount": 90}),
        (f"{DIRECT}, fee_percent => 12.5", "payment", {"application_fee_amount": 250}),
        (f"{DIRECT}, fee_percent => 12.5", "subscription", {"application_fee_percent": 12.5}),
        (DESTINATION, "payment", {"transfer_data": {"destination": A}}),
        (
            f"{DESTINATION}, fee_percent => 5, fee_amount => 7, fee_currency => 'eur', on_behalf_of => true",
            "payment",
            {"transfer_data": {"destination": A}, "on_behalf_of": A, "application_fee_amount": 7},
        ),
        (
            f"{DESTINATION}, fee_percent => 5, fee_amount => 7, fee_currency => 'eur'",
            "subscription",
            {"transfer_data": {"destination": A}, "application_fee_percent": 5},
        ),
    ],
)
def test_stripe_is_asked_on_the_owners_terms(conn: Conn, terms: str, mode: str, expected: Json) -> None:
    ingest(conn, [price(A, "price_1", 1000), price(None, "price_1", 5)])
    register(conn, terms)
    row = begin(conn, mode=mode)
    request = asked(conn, row)
    told = dict(request["payment_intent_data" if mode == "payment" else "subscription_data"])
    assert told.pop("metadata") == request["metadata"]
    assert told == expected
    assert row["account_id"] == (A if terms.startswith(DIRECT) else None)
    assert request.get("currency") == ("eur" if "application_fee_amount" in expected else None)


def test_terms_are_settled_when_an_attempt_begins(conn: Conn) -> None:
    register(conn, f"{DIRECT}, fee_amount => 90, fee_currency => 'eur'")
    row = begin(conn, key="order:1")
    before = asked(conn, row)
    register(conn, f"{DESTINATION}, fee_amount => 1, fee_currency => 'eur'")
    assert asked(conn, row) == before
    assert begin(conn, key="order:1")["id"] == row["id"]


def test_a_key_is_of_one_request(conn: Conn) -> None:
    register(conn, DIRECT)
    register(conn, DIRECT, B, "null, null")
    begin(conn, A, key="order:1")
    for other in (B, None):
        assert refusal(conn, begin, other, key="order:1") == ("PY003", "idempotency_key")


CLOSED = {
    "unknown": "",
    "registered without terms": f"select payments.register_account('test', '{A}', 'user', 'carol')",
    "open to nobody": f"select payments.register_account('test', '{A}', 'user', 'carol', 'direct')",
    "of the other environment": f"select payments.register_account('live', '{A}', 'user', 'carol', 'direct', 'users')",
    "of another owner": f"select payments.register_account('test', '{A}', 'user', 'ada', 'direct', 'owner')",
    "nobody's": f"select payments.register_account('test', '{A}', null, null, 'direct', 'owner')",
    "closed again": f"select payments.register_account('test', '{A}', 'user', 'carol', 'direct', 'users'); "
    f"select payments.register_account('test', '{A}', 'user', 'carol')",
}


@pytest.mark.parametrize("why", CLOSED)
def test_a_foreign_account_is_closed(conn: Conn, why: str) -> None:
    conn.execute(CLOSED[why])
    register(conn, DIRECT, B, "'user', 'carol'")
    assert refusal(conn, begin)[0] == "42501"
    assert refusal(conn, begin, sub=None)[0] == "42501"
    assert begin(conn, B)["account_id"] == B


def test_what_has_withdrawn_its_access_sells_nothing(conn: Conn) -> None:
    register(conn, DIRECT)
    ingest(conn, [event("evt_1", "account.application.deauthorized", A, {"id": "ca_1", "object": "application"})])
    assert refusal(conn, begin)[0] == "42501"


def test_to_whom_it_is_open(conn: Conn) -> None:
    for open_to, answers in {"owner": "ada", "users": "ada carol", "everybody": "ada carol guest"}.items():
        register(conn, f"charge_type => 'direct', open_to => '{open_to}'")
        for sub in ("ada", "carol", None):
            if (sub or "guest") in answers.split():
                assert begin(conn, sub=sub)["account_id"] == A
            else:
                assert refusal(conn, begin, sub=sub)[0] == "42501", (open_to, sub)
    assert refusal(conn, begin, subject_id="ada")[0] == "42501"  # an open account opens no subject


SMUGGLED = {
    "account_id": f"'{A}'", "customer_id": "'cus_1'", "checkout_session_id": "'cs_1'", "status": "'completed'",
}  # fmt: skip


@pytest.mark.parametrize("column", SMUGGLED)
def test_a_caller_writes_the_account_alone(conn: Conn, column: str) -> None:
    register(conn, DIRECT)
    statement = f"""insert into payments.stripe_checkout_sessions
        (environment, mode, line_items, success_url, cancel_url, seller_account_id, {column})
        values ('test', 'payment', '[{{"price": "price_1"}}]', 'https://shop.example', 'https://shop.example', '{A}',
                {SMUGGLED[column]}) returning *"""
    assert refusal(conn, as_caller, statement, {})[0] == "42501"


@pytest.mark.parametrize(
    "items",
    [
        [{"price": "price_1", "application_fee_amount": 1}], [{"price": "price_1", "transfer_data": {}}],
        [{"price_data": {"unit_amount": 1}}], [{"price": "price_1", "destination": B}],
    ],
)  # fmt: skip
def test_a_caller_names_neither_fee_nor_destination(conn: Conn, items: list[Json]) -> None:
    register(conn, f"{DESTINATION}, fee_amount => 90, fee_currency => 'eur'")
    state, detail = refusal(conn, begin, items=items)
    assert (state, detail) == ("PY001", "line_items[0]")


def test_terms_are_nobodys_but_the_owners(conn: Conn) -> None:
    register(conn, f"{DIRECT}, fee_amount => 90, fee_currency => 'eur'")
    row = begin(conn)
    assert "90" not in json.dumps(row, default=str).replace(str(row["id"]), "").replace(row["request_hash"], "").split()
    for role in ("payments_user", "payments_anon", "payments_service", "payments_keys"):
        for statement in (
            "select from payments_private.checkout_terms", "select from payments.accounts",
            "update payments.accounts set fee_percent = 1",
            "insert into payments_private.checkout_terms default values",
        ):  # fmt: skip
            with conn.transaction(force_rollback=True):
                conn.execute(f"set local role {role}")
                with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(statement)


def test_above_policies_closed_is_closed_too(conn: Conn) -> None:
    """What the owner of the tables inserts is never sold as the platform's own."""
    statement = """insert into payments.stripe_checkout_sessions
        (environment, mode, line_items, success_url, cancel_url, seller_account_id)
        values ('test', 'payment', '[{"price": "price_1"}]', 'https://a.example', 'https://a.example', 'acct_x')"""
    conn.execute("""select set_config('request.jwt.claims', '{"sub": "ada"}', false)""")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
        conn.execute(statement)
    conn.execute("select set_config('request.jwt.claims', '', false)")


@pytest.mark.parametrize(
    ("events", "items"),
    [
        ([], [{"price": "price_1"}]),
        ([price(None, "price_1", 1000)], [{"price": "price_1"}]),  # the platform's, under the same id
        ([price(A, "price_1", None)], [{"price": "price_1"}]),
        ([price(A, "price_1", 1000) | {"type": "price.updated"}, price(A, "price_2", 1, "usd")],
         [{"price": "price_1"}, {"price": "price_2"}]),
        ([price(A, "price_1", 1000, active=False)], [{"price": "price_1"}]),
    ],
)  # fmt: skip
def test_no_fee_is_guessed(conn: Conn, events: list[Json], items: list[Json]) -> None:
    ingest(conn, events)
    register(conn, f"{DIRECT}, fee_percent => 10")
    assert refusal(conn, begin, items=items) == ("PY001", "line_items")


def test_an_amount_is_no_fee_of_subscriptions(conn: Conn) -> None:
    register(conn, f"{DIRECT}, fee_amount => 90, fee_currency => 'eur'")
    assert refusal(conn, begin, mode="subscription") == ("PY001", "mode")


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ("charge_type => 'separate'", "charge_type"), ("open_to => 'users'", "charge_type"),
        ("fee_percent => 1", "charge_type"), ("charge_type => 'direct', open_to => 'all'", "open_to"),
        (f"{DIRECT}, fee_percent => 0", "fee_percent"), (f"{DIRECT}, fee_percent => 100.01", "fee_percent"),
        (f"{DIRECT}, fee_percent => 1.005", "fee_percent"), (f"{DIRECT}, fee_percent => 'NaN'", "fee_percent"),
        (f"{DIRECT}, fee_amount => 0, fee_currency => 'eur'", "fee_amount"),
        (f"{DIRECT}, fee_amount => 5", "fee_currency"), (f"{DIRECT}, fee_currency => 'eur'", "fee_currency"),
        (f"{DIRECT}, fee_amount => 5, fee_currency => 'EUR'", "fee_currency"),
        (f"{DIRECT}, on_behalf_of => true", "on_behalf_of"), (f"{DESTINATION}, on_behalf_of => null", "on_behalf_of"),
    ],
)  # fmt: skip
def test_wrong_terms(conn: Conn, terms: str, field: str) -> None:
    assert refusal(conn, register, terms) == ("PY001", field)


def test_a_direct_sale_is_paid_where_it_was_begun(conn: Conn) -> None:
    """Three accounts whose sessions share an id, two of which were begun here."""
    register(conn, DIRECT)
    ours, theirs = begin(conn, None), begin(conn)
    sessions = answered(conn, ours), answered(conn, theirs)
    ingest(conn, [completed("evt_b", B, sessions[1]), completed("evt_a", A, sessions[1])])
    states = conn.execute("select status from payments.stripe_checkout_sessions order by account_id nulls first")
    assert [row["status"] for row in states] == ["open", "completed"]
    ingest(conn, [completed("evt_0", None, sessions[0])])
    assert paid(conn, "evt_a") == [{"checkout_id": theirs["id"], "account_id": A}]
    assert paid(conn, "evt_0") == [{"checkout_id": ours["id"], "account_id": None}]
    assert paid(conn, "evt_b") == []
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


@pytest.mark.parametrize("answer_comes", ["first", "last"])
def test_a_direct_sale_knows_its_price_whenever_stripe_answers(conn: Conn, answer_comes: str) -> None:
    """The process that asked Stripe may be slow to write the answer down."""
    register(conn, DIRECT)
    row = begin(conn)
    session = {
        "id": "cs_1", "object": "checkout.session", "livemode": False, "created": 1_790_000_000, "status": "open",
        "mode": "payment", "payment_status": "unpaid", "metadata": asked(conn, row)["metadata"],
    }  # fmt: skip
    steps: list[Callable[[], object]] = [
        lambda: conn.execute("select payments.finish_checkout(%s, %s)", [row["id"], json.dumps(session)]),
        lambda: ingest(conn, [completed("evt_a", A, session | {"payment_intent": "pi_1"})]),
    ]
    for step in steps if answer_comes == "first" else reversed(steps):
        step()
    state = conn.execute("select status from payments.stripe_checkout_sessions").fetchall()
    prices = conn.execute("select related_object_ids ->> 'price' as price from payments.transactions").fetchall()
    assert (state, prices) == ([{"status": "completed"}], [{"price": "price_1"}])
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def test_a_destination_sale_is_paid_at_the_platform(conn: Conn) -> None:
    register(conn, DESTINATION)
    row = begin(conn)
    session = answered(conn, row)
    ingest(conn, [completed("evt_a", A, session)])
    assert paid(conn, "evt_a") == []
    ingest(conn, [completed("evt_0", None, session)])
    assert paid(conn, "evt_0") == [{"checkout_id": row["id"], "account_id": A}]


@pytest.mark.parametrize("by", [A, B])
@pytest.mark.parametrize("is_answered", [True, False])
def test_a_connected_accounts_own_session_completes_nothing(conn: Conn, by: str, is_answered: bool) -> None:
    """It knows every stamp of ours: they stand in the metadata of sessions on it."""
    register(conn, DIRECT)
    row = begin(conn)
    forged = asked(conn, row)["metadata"]
    if is_answered:
        answered(conn, row)
    session = {
        "id": "cs_forged", "object": "checkout.session", "livemode": False, "created": 1_790_000_001,
        "metadata": forged, "mode": "payment",
    }  # fmt: skip
    ingest(conn, [completed("evt_forged", by, session)])
    state = conn.execute("select status, customer_id from payments.stripe_checkout_sessions").fetchall()
    assert state == [{"status": "open" if is_answered else "initialized", "customer_id": None}]
    assert paid(conn, "evt_forged") == []
    for table in ("customer_mappings", "stripe_subscriptions", "transactions"):
        named = conn.execute(f"select from payments.{table} where subject_type is not null").fetchall()
        assert named == [], table


def test_stripe_is_believed_where_it_answers_ourselves(conn: Conn) -> None:
    register(conn, DIRECT)
    row, other = begin(conn), begin(conn)
    session = answered(conn, row)
    again = answered(conn, row)
    assert session == again
    wrong = json.dumps(session | {"id": "cs_2"})
    for attempt in (row, other):  # another session of the same attempt, and the session of another attempt
        with pytest.raises(psycopg.Error) as raised, conn.transaction():
            conn.execute("select payments.finish_checkout(%s, %s)", [attempt["id"], wrong])
        assert raised.value.sqlstate == "PY006"


def test_the_portal_of_an_account(conn: Conn) -> None:
    """Opens for who has bought there through us, as the customer that Stripe made there, and for nobody else."""
    register(conn, DIRECT)
    register(conn, DIRECT, B, "null, null")
    session = answered(conn, begin(conn))
    assert refusal(conn, visit)[0] == "PY004"
    ingest(conn, [completed("evt_a", A, session, "cus_atA")])
    row = visit(conn)
    assert (row["customer_id"], row["account_id"]) == ("cus_atA", A)
    assert refusal(conn, visit, B)[0] == "PY004"
    assert refusal(conn, visit, None)[0] == "PY004"
    assert refusal(conn, visit, A, "dan")[0] == "PY004"
    assert refusal(conn, visit, A, "dan", "carol")[0] == "42501"
    assert begin(conn)["customer_id"] == "cus_atA"
    assert (begin(conn, None)["customer_id"], begin(conn, B)["customer_id"]) == (None, None)
    register(conn, DESTINATION)
    assert refusal(conn, visit)[0] == "PY004"


def test_customers_of_an_account_are_nobody_elses(conn: Conn) -> None:
    """The platform's mapping is not used on an account, nor the account's on the platform."""
    stamped = {"metadata": {"payments_subject_type": "user", "payments_subject_id": "carol"}}
    register(conn, DIRECT)
    ours, theirs = ({"id": name, "object": "customer", **stamped} for name in ("cus_ours", "cus_theirs"))
    ingest(conn, [event("evt_1", "customer.created", None, ours), event("evt_2", "customer.created", A, theirs)])
    assert begin(conn)["customer_id"] is None
    assert begin(conn, None)["customer_id"] == "cus_ours"
    assert refusal(conn, visit)[0] == "PY004"


def test_the_worker_is_told_on_which_account_to_ask(conn: Conn) -> None:
    register(conn, DIRECT)
    begin(conn)
    begin(conn, None)
    conn.execute("select payments.let_worker_ask(true)")
    claimed = conn.execute("select account_id from payments.claim_checkouts()").fetchall()
    assert sorted(row["account_id"] or "" for row in claimed) == ["", A]
    conn.execute("update payments.stripe_checkout_sessions set ask_after = now()")
    ingest(conn, [event("evt_1", "account.application.deauthorized", A, {"id": "ca_1", "object": "application"})])
    claimed = conn.execute("select account_id from payments.claim_checkouts()").fetchall()
    assert [row["account_id"] for row in claimed] == [None]


def test_what_a_closed_account_has_for_sale_is_not_told(conn: Conn) -> None:
    """Whether the account has a price or not, the answer is that of a price that nobody has."""
    ingest(conn, [price(A, "price_1", 1000), price(None, "price_0", 1000)])
    conn.execute("select payments.allow_prices('mirrored')")
    register(conn, "charge_type => 'direct', open_to => 'owner'")
    told = {refusal(conn, begin, items=[{"price": name}]) for name in ("price_1", "price_none")}
    assert told == {("PY001", "line_items[0].price")}
    assert begin(conn, sub="ada", items=[{"price": "price_1"}])["account_id"] == A
    assert refusal(conn, begin, sub="ada", items=[{"price": "price_0"}])[0] == "PY001"


def test_what_becomes_ours_was_begun_by_ourselves(conn: Conn) -> None:
    register(conn, DIRECT)
    row = begin(conn)
    session = answered(conn, row)
    conn.execute("select payments.connect_account('test', %s, false)", [json.dumps({"id": A, "object": "account"})])
    ingest(conn, [completed("evt_a", A, session)])
    assert [found["checkout_id"] for found in paid(conn, "evt_a")] == [row["id"]]
