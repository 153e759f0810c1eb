"""A platform and connected accounts with the same ids, payers and metadata: each has its rows, as if it were alone.

All live by the same script and with the same seed, so that every object of one has its namesake at all others, down to
the ids of events. Amounts, names and endings tell them apart. What one would be if nobody else had told anything is
computed by telling a database of it alone, in true order; then all tell at once, in any order, some things twice.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import pytest

from tests.linked_tables.shop import OWNER
from tests.stripe_simulator.events import event
from tests.stripe_simulator.merchant import Attempt, Merchant
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import LOCAL, Connection, all_processed, finish, ingest, ingest_batch
from tests.support.servers import Server

TRUSTED, ANSWERED, LIAR = "acct_trusted", "acct_answered", "acct_liar"
ACCOUNTS = (None, TRUSTED, ANSWERED, LIAR)
"""One may name our subjects; one began checkouts through us; one writes our attempts' ids into its own sessions."""

TEAM = ("team", "shared")
TABLES = (
    "stripe_products", "stripe_prices", "customers", "customer_mappings", "stripe_subscriptions",
    "stripe_subscription_items", "stripe_payment_methods", "stripe_checkout_sessions", "transactions", "accounts",
    "stripe_objects", "webhook_events",
)  # fmt: skip
LINKED = ("goods", "teams", "orders", "backs")
HIDDEN = [*LOCAL, "request_hash", "received_at", "processed_at", "attempt_count"]
OF_ITSELF = ["account.updated", "account.application.authorized", "account.application.deauthorized"]


@dataclass
class Life:
    """What one account tells, in true order, and what it was asked."""

    account: str | None
    events: list[Json]
    attempts: list[Attempt]
    answers: dict[str, Json]
    linked: dict[str, list[str]] = field(default_factory=dict)
    """The products and refunds whose metadata name a row of the application's."""


def live(account: str | None, whole: bool) -> Life:
    n = ACCOUNTS.index(account) + 1
    m = Merchant("shared", gaps=cycle([0, 1, 0, 2, 1]), account=account)
    product, other = m.make_product(f"Gold {n}"), m.make_product("Same name")
    price, plan = m.make_price(product, 1000 + n), m.make_price(other, 100 * n, "usd", "month")
    customer = m.make_customer("payer@example.test", {"payments_subject_type": "team", "payments_subject_id": "shared"})
    sub, _, _ = m.subscribe(customer, plan)
    bought = m.checkout(price, TEAM)
    back = m.refund(bought, 10 * n)
    disputed = m.pay_outside(700 + n, customer=customer)
    m.dispute(disputed, "won" if n % 2 else "open")
    m.rename_customer(customer, f"Payer of {n}")
    m.rename_product(product, f"Gold of {n}")
    m.tick(at_least=1)
    m.change_quantity(sub, n + 1)
    if whole:
        more_of(m, n, price, plan)
    if n == 2:
        m.cancel(sub)
        m.delete_product(other)
    elif n == 3:
        m.refund(bought, 5, "failed")
        m.cancel(sub, at_period_end=True)
    life = Life(account, m.events, m.attempts, m.answers, {"goods": [product.id, other.id], "backs": [back.id]})
    tell_of_methods(life)
    tell_of_rows(life)
    tell_of_itself(life, m.now)
    return life if account in (None, LIAR) else with_attempts_of_its_own(life)


def more_of(m: Merchant, n: int, price: Any, plan: Any) -> None:
    for outcome in ("delayed_paid", "delayed_failed", "expired", "failed_paid", "captured"):
        m.checkout(price, ("user", outcome), outcome, email="payer@example.test")
    member, _ = m.checkout_subscription(plan, ("team", "other"))
    m.tick(at_least=1)
    m.renew(member, "failed_paid" if n % 2 else "several")
    stranger = m.make_customer("payer@example.test")
    m.bill(stranger, 500 * n, "usd")
    m.delete_customer(stranger)


def tell_of_methods(life: Life) -> None:
    """Each customer gets a card when it is made, which is its default from the next change on."""
    methods: dict[str, Json] = {}
    for told in list(life.events):
        shown = told["data"]["object"]
        if shown["object"] != "customer" or shown.get("deleted"):
            continue
        if shown["id"] in methods:
            shown["invoice_settings"]["default_payment_method"] = methods[shown["id"]]["id"]
        elif told["type"] == "customer.created":
            last4 = f"000{ACCOUNTS.index(life.account)}"
            methods[shown["id"]] = card = {
                "id": f"pm_{shown['id']}", "object": "payment_method", "customer": shown["id"], "type": "card",
                "card": {"brand": "visa", "last4": last4, "exp_month": 1, "exp_year": 2030}, "livemode": False,
                "metadata": dict(shown["metadata"]), "created": told["created"],
            }  # fmt: skip
            number = len(methods)
            life.events.append(
                event(f"evt_pm_{number}", "payment_method.attached", card, created=told["created"],
                      account=life.account)
            )  # fmt: skip


def tell_of_rows(life: Life) -> None:
    """Products and refunds name the application's row in their metadata."""
    for told in life.events:
        shown = told["data"]["object"]
        if shown["object"] in ("product", "refund") and "metadata" in shown:
            shown["metadata"]["row"] = shown["id"]


def tell_of_itself(life: Life, now: int) -> None:
    """And of the others, which counts for nothing."""
    if life.account is None:
        return
    for number, of in enumerate(ACCOUNTS[1:]):
        shown = {
            "id": of, "object": "account", "country": "DE", "charges_enabled": of == life.account,
            "payouts_enabled": True, "business_profile": {"name": f"{of} by {life.account}"},
            "metadata": {"payments_subject_type": "team", "payments_subject_id": "shared"},
        }  # fmt: skip
        at = now if of == life.account else now + 1000  # what others say is the newest
        life.events.append(event(f"evt_of_{number}", OF_ITSELF[0], shown, created=at, account=life.account))
    ours: Json = {"id": "ca_ours", "object": "application"}
    for number, kind in enumerate(OF_ITSELF[1:] if life.account == LIAR else OF_ITSELF[:0:-1]):
        life.events.append(event(f"evt_access_{number}", kind, ours, created=now + number, account=life.account))


def with_attempts_of_its_own(life: Life) -> Life:
    """Two attempts cannot have one id, which is the only one of ours in their sessions."""
    text = json.dumps([life.events, life.answers])
    own = {a.id: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{life.account} {a.id}")) for a in life.attempts}
    for was, is_now in own.items():
        text = text.replace(was, is_now)
    life.events, life.answers = json.loads(text)
    life.attempts = [Attempt(own[a.id], a.mode, a.subject, a.price, a.customer_email) for a in life.attempts]
    return life


def began_through_us(life: Life) -> bool:
    return life.account != LIAR


def lives(whole: bool) -> list[Life]:
    return [live(account, whole) for account in ACCOUNTS]


def name_of(account: str | None) -> str:
    return account or "platform"


@pytest.fixture(scope="module")
def linked(server: Server, unlinked: Connection, module_conn: Connection) -> Connection:
    """An application with four tables for each account, of which nothing has been told."""
    server.login(OWNER)
    module_conn.execute(f"create schema app authorization {OWNER}")
    for account in ACCOUNTS:
        of = name_of(account)
        module_conn.execute(
            f"""set role {OWNER};
                create table app.goods_{of} (id text primary key);
                create table app.teams_{of} (id text primary key);
                create table app.orders_{of} (id uuid primary key, checkout uuid);
                create table app.backs_{of} (id text primary key);
                insert into app.teams_{of} values ('shared'), ('other');
                reset role""".encode()
        )
        named = {"by": "metadata", "match": {"metadata_key": "row", "column": "id"}}
        team = {"subject_type": "team", "subject_column": "id"}
        for table, kind, more in (
            ("goods", "product", named),
            ("teams", "customer", {"by": "subject", "match": team}),
            ("teams", "subscription", {"by": "subject", "match": team}),
            ("orders", "payment", {"by": "checkout", "match": {"checkout_column": "checkout"}}),
            ("backs", "object", {**named, "object_type": "refund",
                                 "columns": {"refund": "id", "amount": "amount", "state": "status"}}),
        ):  # fmt: skip
            link(module_conn, f"app.{table}_{of}", kind, account, more)
    return module_conn


def link(conn: Connection, table: str, kind: str, account: str | None, more: dict[str, Any]) -> None:
    given = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in more.items()}
    names = "".join(f", {name} => %({name})s" for name in given)
    conn.execute(
        f"select payments.link_table(%(t)s::text::regclass, %(k)s, 'test', account_id => %(a)s{names})".encode(),
        {"t": table, "k": kind, "a": account} | given,
    )


@pytest.fixture(scope="module")
def unlinked(module_conn: Connection) -> Connection:
    module_conn.execute("select payments.trust_accounts(%s)", [[TRUSTED]])
    return module_conn


def prepare(conn: Connection, told: list[Life]) -> None:
    """What the application has of each account before anything is told: its attempts, and rows that hold ids."""
    conn.execute("set local session_replication_role = replica")  # attempts need no caller
    for life in told:
        for attempt in life.attempts if began_through_us(life) else []:
            conn.execute(
                """insert into payments.stripe_checkout_sessions
                     (id, environment, mode, subject_type, subject_id, owner_key, customer_email, line_items,
                      success_url, cancel_url, request_hash, account_id, seller_account_id)
                   values (%s, 'test', %s, %s, %s, 'user:tester', %s, %s, 'https://shop.example.test/thanks',
                           'https://shop.example.test/cancel', 'x', %s, %s)""",
                [attempt.id, attempt.mode, *attempt.subject, attempt.customer_email,
                 json.dumps([{"price": attempt.price, "quantity": 1}]), life.account, life.account],
            )  # fmt: skip
    conn.execute("set local session_replication_role = origin")
    for life in told if is_linked(conn) else ():
        of = name_of(life.account)
        for table, names in life.linked.items():
            for name in names:
                conn.execute(f"insert into app.{table}_{of} (id) values (%s)".encode(), [name])
        for attempt in life.attempts:
            conn.execute(f"insert into app.orders_{of} (id, checkout) values (%s, %s)".encode(), [attempt.id] * 2)


def is_linked(conn: Connection) -> bool:
    return bool(conn.execute("select from pg_namespace where nspname = 'app'").fetchall())


def answer(conn: Connection, life: Life) -> None:
    """Stripe's answers to the attempts that were begun through us."""
    for attempt, session in life.answers.items() if began_through_us(life) else ():
        finish(conn, attempt, session)


def rows(conn: Connection, account: str | None) -> dict[str, list[Json]]:
    """All rows of an account in our tables and in the application's."""
    found: dict[str, list[Json]] = {}
    for table in TABLES:
        hidden = [*HIDDEN, *([] if table == "stripe_checkout_sessions" else ["id"])]
        condition = "true" if account is None else "account_id = %(account)s"
        if account is None:
            condition = "account_id is null" if table != "accounts" else "false"
        statement = f"select to_jsonb(t) - %(hidden)s::text[] as row from payments.{table} t where {condition}"
        found[table] = [r["row"] for r in conn.execute(statement.encode(), {"hidden": hidden, "account": account})]
    for table in LINKED if is_linked(conn) else ():
        statement = f"select to_jsonb(t) as row from app.{table}_{name_of(account)} t"
        found[table] = [r["row"] for r in conn.execute(statement.encode())]
    return {table: sorted(each, key=lambda row: json.dumps(row, sort_keys=True)) for table, each in found.items()}


def alone(conn: Connection, life: Life) -> dict[str, list[Json]]:
    with conn.transaction(force_rollback=True):
        prepare(conn, [life])
        answer(conn, life)
        assert all_processed(ingest_batch(conn, life.events))
        return rows(conn, life.account)


def in_parts(events: list[Json], chance: random.Random) -> Iterator[list[Json]]:
    """The events in any order, some of them twice, in batches and one by one."""
    order = [*events, *chance.sample(events, len(events) // 8)]
    chance.shuffle(order)
    place = 0
    while place < len(order):
        size = chance.choice([1, 1, 2, 5, 16, 40])
        yield order[place : place + size]
        place += size


def together(conn: Connection, told: list[Life], seed: int) -> None:
    chance = random.Random(seed)
    parts = list(in_parts([event for life in told for event in life.events], chance))
    answered = {chance.randrange(len(parts)): life for life in told}
    prepare(conn, told)
    for number, part in enumerate(parts):
        if number in answered:
            answer(conn, answered.pop(number))
        assert all_processed(ingest(conn, part) if len(part) == 1 else ingest_batch(conn, part))
    for life in told:
        answer(conn, life)  # again, or because two fell together


def differences(found: dict[str, list[Json]], expected: dict[str, list[Json]]) -> list[str]:
    """One line for each row that is on one side only."""
    return [
        f"{table} {side} {json.dumps(row, sort_keys=True)}"
        for table in expected
        for side, some, others in (("<", found, expected), (">", expected, found))
        for row in some[table]
        if row not in others[table]
    ]


@pytest.mark.slow
def test_the_lives_share_everything_but_what_tells_them_apart(linked: Connection, scratch_conn: Connection) -> None:
    """Else the others would prove nothing: every kind of row is there, and most have a namesake of other contents."""
    told = lives(whole=True)
    found = {life.account: alone(scratch_conn, life) for life in told}
    for life in told:
        empty = {table for table, each in found[life.account].items() if not each}
        assert empty == {None: {"accounts"}, LIAR: {"customer_mappings", "stripe_checkout_sessions"},
                         ANSWERED: {"customer_mappings"}}.get(life.account, set()), life.account  # fmt: skip
    kinds = {(r["type"], r["status"]) for r in found[None]["transactions"]}
    assert {"refund", "dispute", "one_time_payment", "subscription_invoice", "failed_payment"} <= {
        kind for kind, _ in kinds
    }
    for table, key in {"transactions": "provider_object_id", "customers": "provider_customer_id",
                       "stripe_subscriptions": "subscription_id", "stripe_products": "product_id",
                       "stripe_payment_methods": "payment_method_id"}.items():  # fmt: skip
        ids = [{row[key] for row in found[life.account][table]} for life in told]
        assert set.intersection(*ids), table
        assert not any(row in found[TRUSTED][table] for row in found[None][table]), table
    assert {r["stripe_customer_id"] for r in found[TRUSTED]["teams"]} - {None}
    assert {r["stripe_customer_id"] for r in found[LIAR]["teams"]} == {None}
    assert all(r["subject_id"] is None for a in (ANSWERED, LIAR) for r in found[a]["transactions"])


def test_each_accounts_rows_are_those_it_would_have_alone(unlinked: Connection, scratch_conn: Connection) -> None:
    mingled(scratch_conn, whole=False, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_so_are_those_of_whole_lives_and_linked_tables(linked: Connection, scratch_conn: Connection, seed: int) -> None:
    mingled(scratch_conn, whole=True, seed=seed)


def mingled(conn: Connection, whole: bool, seed: int) -> None:
    told = lives(whole)
    expected = {life.account: alone(conn, life) for life in told}
    together(conn, told, seed)
    for account in ACCOUNTS:
        assert differences(rows(conn, account), expected[account]) == [], account
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []
    conn.execute("select payments.rebuild_projections('test')")
    for account in ACCOUNTS:
        assert differences(rows(conn, account), expected[account]) == [], f"{account}, rebuilt"
