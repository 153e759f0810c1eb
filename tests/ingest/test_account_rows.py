"""payments.accounts: what Stripe says of connected accounts, whose they are, and what their owners read."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest

from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, ingest

A, B = "acct_1Ada", "acct_2Bob"


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


def told(event_id: str, kind: str, created: int, by: str | None, item: Json) -> Json:
    account = {"account": by} if by else {}
    return {
        "id": event_id, "object": "event", "type": kind, "created": 1_790_000_000 + created, "livemode": False,
        "data": {"object": item}, **account,
    }  # fmt: skip


def described(event_id: str, created: int, name: str, by: str | None = A, of: str = A, enabled: bool = True) -> Json:
    item = {
        "id": of, "object": "account", "country": "DE", "charges_enabled": enabled, "payouts_enabled": not enabled,
        "business_profile": {"name": name},
    }  # fmt: skip
    return told(event_id, "account.updated", created, by, item)


def access(event_id: str, created: int, kind: str, by: str = A) -> Json:
    return told(event_id, f"account.application.{kind}", created, by, {"id": "ca_1", "object": "application"})


def payment(by: str | None, amount: int) -> Json:
    intent = {
        "id": "pi_same", "object": "payment_intent", "amount": amount, "amount_received": amount, "currency": "usd",
        "status": "succeeded", "created": 1_790_000_000, "livemode": False,
        "metadata": {"payments_subject_type": "user", "payments_subject_id": "ada"},
    }  # fmt: skip
    return told(f"evt_paid_{by}", "payment_intent.succeeded", 1, by, intent)


def rows(conn: Connection) -> list[tuple[Any, ...]]:
    found = conn.execute(
        "select account_id, name, country, charges_enabled, payouts_enabled, deauthorized_at is not null as gone"
        " from payments.accounts order by account_id"
    )
    return [tuple(row.values()) for row in found]


def due(conn: Connection) -> list[str]:
    return sorted(r["account_id"] for r in conn.execute("select * from payments.accounts_due('test', 'sync', 9)"))


def refused(conn: Connection, statement: str, role: str = "none") -> tuple[str | None, str | None]:
    with conn.transaction(force_rollback=True):
        conn.execute(f"set local role {role}")
        with pytest.raises(psycopg.Error) as raised, conn.transaction():
            conn.execute(statement)
    return raised.value.sqlstate, raised.value.diag.message_detail


def seen(conn: Connection, sub: str, columns: str = "account_id || amount") -> list[str]:
    with conn.transaction():
        conn.execute("select set_config('request.jwt.claims', %s, true)", [f'{{"sub": "{sub}"}}'])
        conn.execute("set local role payments_user")
        found = conn.execute(f"select {columns} as seen from payments.account_transactions order by 1").fetchall()
        conn.execute("reset role")
    return [row["seen"] for row in found]


def test_events_in_any_order_describe_an_account(conn: Connection) -> None:
    events = [
        described("evt_1", 1, "Early", enabled=False), described("evt_2", 5, "Late"),
        access("evt_3", 2, "authorized"), access("evt_4", 7, "deauthorized"), access("evt_5", 3, "deauthorized"),
        described("evt_6", 1, "Bob's", B, B), access("evt_7", 3, "deauthorized", B),
        access("evt_8", 4, "authorized", B),
    ]  # fmt: skip
    for seed in range(6):
        random.Random(seed).shuffle(events)
        with conn.transaction(force_rollback=True):
            ingest(conn, events)
            assert rows(conn) == [(A, "Late", "DE", True, False, True), (B, "Bob's", "DE", True, False, False)], seed
            assert due(conn) == [B]


def test_nobody_describes_another_account(conn: Connection) -> None:
    conn.execute("""select payments.connect_account('test', '{"id": "acct_ours", "object": "account"}', false)""")
    ingest(conn, [
        described("evt_1", 1, "Itself"), described("evt_2", 9, "Foreign", by=B, of=A),
        described("evt_3", 9, "Ours", by=B, of="acct_ours"), access("evt_4", 9, "deauthorized", by=B),
        described("evt_5", 1, "Own", by=None, of="acct_ours"),
    ])  # fmt: skip
    assert rows(conn) == [(A, "Itself", "DE", True, False, False), (B, None, None, None, None, True)]
    ingest(conn, [described("evt_6", 10, "The platform's word", by=None)])
    assert rows(conn)[0][1] == "The platform's word"


def test_a_deauthorized_account_is_not_asked_and_keeps_its_rows(conn: Connection) -> None:
    ingest(conn, [payment(A, 5), described("evt_1", 1, "Ada's")])
    conn.execute("select payments.request_refresh('test', 'customer', 'cus_1', %s)", [A])
    conn.execute("select payments.request_refresh('test', 'customer', 'cus_1', %s)", [B])
    ingest(conn, [access("evt_2", 9, "deauthorized")])
    assert [r["account_id"] for r in conn.execute("select * from payments.claim_refreshes()")] == [B]
    assert [r["amount"] for r in conn.execute("select amount from payments.transactions")] == [5]
    ingest(conn, [access("evt_3", 10, "authorized")])
    assert [r["account_id"] for r in conn.execute("select * from payments.claim_refreshes()")] == [A]


def test_registering(conn: Connection) -> None:
    register = (
        "select * from payments.register_account('test', 'acct_1Ada', subject_type => 'user', subject_id => 'ada')"
    )
    first, second = conn.execute(register).fetchone(), conn.execute(register).fetchone()
    assert first is not None
    assert first == second
    assert first["subject_key"] == "user:ada"
    assert due(conn) == [A]
    waiting = conn.execute("select account, object_type, object_id from payments_private.refresh_queue").fetchall()
    assert [tuple(w.values()) for w in waiting] == [(A, "account", A)]
    ingest(conn, [described("evt_1", 1, "Ada's")])
    row = conn.execute("select name, subject_key from payments.accounts").fetchone()
    assert row == {"name": "Ada's", "subject_key": "user:ada"}
    conn.execute("select payments.register_account('test', 'acct_1Ada')")
    assert conn.execute("select subject_key from payments.accounts").fetchall() == [{"subject_key": None}]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("'staging', 'acct_a'", "environment"), ("'test', 'cus_a'", "account_id"), ("'test', null", "account_id"),
        ("'test', 'acct_ours'", "account_id"), ("'test', 'acct_a', 'user'", "subject"),
        ("'test', 'acct_a', 'User', 'ada'", "subject_type"), ("'test', 'acct_a', 'user', ''", "subject_id"),
    ],
)  # fmt: skip
def test_wrong_registrations(conn: Connection, arguments: str, field: str) -> None:
    conn.execute("""select payments.connect_account('test', '{"id": "acct_ours", "object": "account"}', false)""")
    state, detail = refused(conn, f"select payments.register_account({arguments})")
    assert state == "PY001"
    assert field == "environment" or detail == field  # whose DETAIL is its value
    assert rows(conn) == []


def test_an_owner_reads_its_accounts_payments_and_no_others(conn: Connection) -> None:
    ingest(conn, [payment(None, 1), payment(A, 2), payment(B, 3), payment("acct_3Nobody", 4)])
    conn.execute(f"select payments.register_account('test', '{A}', 'user', 'ada')")
    conn.execute(f"select payments.register_account('test', '{B}', 'user', 'bob')")
    conn.execute(f"select payments.register_account('live', '{B}', 'user', 'ada')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
        seen(conn, "ada")
    conn.execute("select payments.open_to_users('account_transactions')")
    assert (seen(conn, "ada"), seen(conn, "bob"), seen(conn, "carol")) == ([f"{A}2"], [f"{B}3"], [])
    for table in ("transactions", "accounts", "customers"):  # metadata names ada in all of them: that opens nothing
        assert refused(conn, f"select from payments.{table}", "payments_user")[0] == "42501"
    conn.execute(f"select payments.register_account('test', '{A}', 'user', 'bob')")
    assert (seen(conn, "ada"), seen(conn, "bob")) == ([], [f"{A}2", f"{B}3"])
    conn.execute("select payments.close_to_users('account_transactions')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
        seen(conn, "bob")


def test_only_the_owner_registers(conn: Connection) -> None:
    for role in ("payments_user", "payments_anon", "payments_service", "payments_admin", "payments_keys"):
        statement = "select payments.register_account('test', 'acct_a', 'user', 'mallory')"
        assert refused(conn, statement, role)[0] == "42501", role


def test_what_becomes_ours_is_no_account_any_more(conn: Connection) -> None:
    ingest(conn, [described("evt_1", 1, "Ada's"), described("evt_2", 1, "Bob's", B, B)])
    conn.execute(f"""select payments.connect_account('test', '{{"id": "{A}", "object": "account"}}', false)""")
    assert [row[0] for row in rows(conn)] == [B]


@pytest.mark.parametrize(
    "asks",
    [
        "payments.request_refresh('test', 'customer', 'cus_1', 'acct_1Ada')",
        "payments.begin_list('test', 'acct_1Ada', 'customers', now(), true)",
        "payments.begin_sweep('test', 'acct_1Ada')", "payments.take_read('test', 'acct_1Ada')",
    ],
)  # fmt: skip
def test_nor_where_it_is_asked_for_by_name(conn: Connection, asks: str) -> None:
    ingest(conn, [access("evt_1", 1, "deauthorized")])
    assert refused(conn, f"select {asks}") == ("PY006", A)
    ingest(conn, [access("evt_2", 2, "authorized")])
    conn.execute(f"select {asks}")


def test_a_rebuild_computes_accounts_and_keeps_whose_they_are(conn: Connection) -> None:
    ingest(conn, [described("evt_1", 1, "Ada's"), access("evt_2", 2, "deauthorized", by=B)])
    ingest(conn, [described("evt_3", 1, "The platform's word", by=None, of="acct_3Carol")])
    conn.execute(f"select payments.register_account('test', '{A}', 'user', 'ada')")
    before = conn.execute("select * from payments.accounts order by account_id").fetchall()
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []
    conn.execute(
        "update payments.accounts set name = 'wrong',"
        " deauthorized_at = case account_id when %s then null else now() end",
        [B],
    )
    found = conn.execute("select projection, key from payments.verify_projections('test')").fetchall()
    assert {row["key"].split(" ")[0] for row in found if row["projection"] == "accounts"} == {A, B, "acct_3Carol"}
    conn.execute("select payments.rebuild_projections('test')")
    after = conn.execute("select * from payments.accounts order by account_id").fetchall()
    assert [row | {"updated_at": None} for row in after] == [row | {"updated_at": None} for row in before]


def test_a_barrier_keeps_others_rows_from_a_callers_conditions(conn: Connection) -> None:
    ingest(conn, [payment(None, 1), payment(A, 2), payment(B, 3)])
    conn.execute(f"select payments.register_account('test', '{A}', 'user', 'ada')")
    conn.execute(f"select payments.register_account('test', '{B}', 'user', 'bob')")
    conn.execute("select payments.open_to_users('account_transactions')")
    conn.execute(
        """create function public.told(amount bigint) returns boolean language plpgsql cost 0.0001 as
           $$ begin raise notice 'saw %', amount; return true; end $$"""
    )
    told: list[str] = []
    conn.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
    with conn.transaction():
        conn.execute("""select set_config('request.jwt.claims', '{"sub": "ada"}', true)""")
        conn.execute("set local role payments_user")
        conn.execute("select id from payments.account_transactions where public.told(amount)")
        conn.execute("reset role")
    assert told == ["saw 2"]
