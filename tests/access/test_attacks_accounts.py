"""Connected accounts: whoever sells, buys or holds one gets at nothing of the platform's or of another account's.

The platform and three accounts have objects of the very same ids, e-mail addresses and metadata, which names Ada. Ada
owns the first account, Bob the second, Carol's team the third. Mallory owns nothing. Amounts tell the four apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import Connection, all_processed, ingest

A, B, C, OURS = "acct_1Ada", "acct_2Bob", "acct_3Team", "acct_0Ours"
AMOUNTS = {None: 1, A: 2, B: 3, C: 4}
CALLER = {"user": "payments_user", "guest": "payments_anon"}
NAMED = {"payments_subject_type": "user", "payments_subject_id": "ada"}
Refusal = tuple[str, ...]

FOREIGN: Refusal = ("42501",)
"""The caller has no right to it."""


def told(event_id: str, kind: str, by: str | None, item: Json, created: int = 10) -> Json:
    return {
        "id": event_id, "object": "event", "type": kind, "created": 1_790_000_000 + created, "livemode": False,
        "data": {"object": item}, **({"account": by} if by else {}),
    }  # fmt: skip


def life(by: str | None) -> list[Json]:
    """One of everything, under the ids that everybody else's have too."""
    n = AMOUNTS[by]
    shared = {"livemode": False, "created": 1_790_000_000, "metadata": NAMED}
    price = {"id": "price_same", "object": "price", "product": "prod_same", "active": True, "currency": "usd",
             "unit_amount": n * 100, "type": "one_time", **shared}  # fmt: skip
    item = {"id": "si_same", "object": "subscription_item", "quantity": n, "price": price}
    objects: list[tuple[str, Json]] = [
        ("product.created", {"id": "prod_same", "object": "product", "name": f"of {n}", "active": True}),
        ("price.created", price),
        ("customer.created", {"id": "cus_same", "object": "customer", "email": "ada@shop.example"}),
        ("payment_method.attached", {"id": "pm_same", "object": "payment_method", "customer": "cus_same",
                                     "type": "card", "card": {"brand": "visa", "last4": f"000{n}"}}),
        ("customer.subscription.created", {"id": "sub_same", "object": "subscription", "customer": "cus_same",
                                           "status": "active", "items": {"object": "list", "data": [item]}}),
        ("payment_intent.succeeded", {"id": "pi_same", "object": "payment_intent", "customer": "cus_same", "amount": n,
                                      "amount_received": n, "currency": "usd", "status": "succeeded"}),
    ]  # fmt: skip
    return [told(f"evt_{kind}", kind, by, object_ | shared) for kind, object_ in objects]


WORLD = f"""
select payments.connect_account('test', '{{"id": "{OURS}", "object": "account"}}', false);
create table public.members (team_id text, user_id text);
insert into public.members values ('t1', 'carol');
select payments.register_subject_type('team', 'public.members', 'team_id', 'user_id');
select payments.register_account('test', '{A}', 'user', 'ada', 'direct', 'users',
                                 fee_amount => 90, fee_currency => 'usd');
select payments.register_account('test', '{B}', 'user', 'bob', 'destination', 'owner', fee_percent => 50);
select payments.register_account('test', '{C}', 'team', 't1', 'direct', 'owner');
select payments.open_to_users(what)
  from unnest('{{subscriptions,transactions,account_transactions,catalogue,payment_methods}}'::text[]) what;
"""


@pytest.fixture(scope="module")
def world(module_conn: Connection) -> Connection:
    module_conn.execute(WORLD.encode())
    assert all_processed(ingest(module_conn, [event for by in (B, A, None, C) for event in life(by)]))
    return module_conn


@pytest.fixture
def conn(world: Connection, scratch_conn: Connection) -> Connection:
    return scratch_conn


@contextmanager
def acting(conn: Connection, who: str) -> Iterator[None]:
    """As a user by its sub, as a guest, or as a member of another of the package's roles."""
    role = who if who.startswith("payments_") else CALLER["guest" if who == "guest" else "user"]
    with conn.transaction():
        conn.execute(
            "select set_config('request.jwt.claims', %s, true), set_config('payments.guest_secret', %s, true)",
            ["" if who == "guest" else json.dumps({"sub": who}), "a guest's secret of 22 letters"],
        )
        conn.execute(f"set local role {role}")
        yield
        conn.execute("reset role")


def answer(conn: Connection, who: str, statement: str) -> Any:
    """The rows that a caller gets, or the SQLSTATE with which it is refused."""
    try:
        with acting(conn, who):
            cursor = conn.execute(statement.encode())
            return [tuple(row.values()) for row in cursor.fetchall()] if cursor.description else []
    except psycopg.Error as refused:
        return (refused.sqlstate,)


def checkout(account: str = A, subject: str | None = "mallory", **more: str) -> str:
    """A call of begin_checkout; `more` are arguments as SQL."""
    given = {
        "mode": "'payment'", "line_items": """'[{"price": "price_same"}]'""",
        "subject_type": "'user'" if subject else "null", "subject_id": f"'{subject}'" if subject else "null",
        "account_id": f"'{account}'", **more,
    }  # fmt: skip
    named = ", ".join(f"{name} => {value}" for name, value in given.items())
    return (
        "select status from payments.begin_checkout(environment => 'test', success_url => 'https://shop.example',"
        f" cancel_url => 'https://shop.example', {named})"
    )


def portal(account: str, subject: str) -> str:
    return (
        f"select customer_id from payments.begin_portal_session('test', 'user', '{subject}', account_id => '{account}')"
    )


def insert(column: str, value: str) -> str:
    seller = "" if column == "seller_account_id" else "seller_account_id, "
    return f"""insert into payments.stripe_checkout_sessions (environment, mode, line_items, success_url, cancel_url,
      {seller}{column}) values ('test', 'payment', '[{{"price": "price_same"}}]', 'https://shop.example',
      'https://shop.example', {f"'{A}', " if seller else ""}{value})"""


BEGUN = [("initialized",)]
REGISTER = f"select payments.register_account('test', '{B}', 'user', 'mallory', 'direct', 'users')"
MINE = "select account_id, amount from payments.account_transactions"


@dataclass(frozen=True)
class Attempt:
    what: str
    who: str
    statement: str
    expected: Refusal | list[tuple[Any, ...]] = FOREIGN

    def __str__(self) -> str:
        return f"{self.who} {self.what}".replace(" ", "_")


ATTEMPTS = [
    # A foreign account.
    Attempt("sells through an account that is Bob's alone", "mallory", checkout(B)),
    Attempt("sells through a team's account", "mallory", checkout(C)),
    Attempt("sells through an account that nobody registered", "mallory", checkout("acct_9")),
    Attempt("sells through our own account by its name", "mallory", checkout(OURS)),
    Attempt("names two accounts", "mallory", checkout(f"{A},{B}"), ("PY001",)),
    Attempt("names an account for a subject that is another's", "mallory", checkout(A, "ada")),
    Attempt("names a live account under test", "mallory", checkout(A).replace("'test'", "'live'")),
    Attempt("sells through an account that is open to users", "guest", checkout(A, None)),
    Attempt("sells through Bob's account by an insert", "mallory", insert("seller_account_id", f"'{B}'")),
    Attempt("visits a portal as another", "mallory", portal(A, "ada")),
    Attempt("visits a portal as whom the account's metadata names", "ada", portal(A, "ada"), ("PY004",)),
    Attempt("visits the portal of an account that sells on ours", "bob", portal(B, "bob"), ("PY004",)),
    Attempt("visits a portal of our own account by its name", "ada", portal(OURS, "ada"), ("PY004",)),
    # The fee and where the money goes.
    Attempt("names a fee with an item", "ada",
            checkout(A, "ada", line_items="""'[{"price": "price_same", "application_fee_amount": 0}]'"""), ("PY001",)),
    Attempt("names a destination with an item", "ada",
            checkout(B, "ada", line_items="""'[{"price": "price_same", "transfer_data": {}}]'"""), ("PY001",)),
    Attempt("names an account in a stamp", "ada", checkout(A, "ada", metadata="""'{"payments_account": "x"}'"""),
            ("PY001",)),
    Attempt("asks for a price of which no fee is known", "bob",
            checkout(B, "bob", line_items="""'[{"price": "price_none"}]'"""), ("PY001",)),
    Attempt("gives begin_checkout a fee", "ada", checkout(A, "ada", fee_amount="1"), ("42883",)),
    *(Attempt(f"inserts {column}", "ada", insert(column, value)) for column, value in {
        "account_id": f"'{B}'", "customer_id": "'cus_same'", "owner_key": "'user:bob'", "status": "'completed'",
        "checkout_session_id": "'cs_1'", "payment_status": "'paid'", "request_hash": "'x'", "id": "gen_random_uuid()",
    }.items()),
    *(Attempt(f"updates {column}", "ada", f"update payments.stripe_checkout_sessions set {column} = null")
      for column in ("seller_account_id", "account_id", "customer_id", "metadata", "line_items")),
    Attempt("reads terms", "ada", "select from payments_private.checkout_terms"),
    Attempt("writes terms", "ada", "update payments_private.checkout_terms set fee_amount = 1"),
    *(Attempt("stores a key for an account", who,
              f"select payments.store_account_key('test', '{A}', '{{}}', false, 'x', 'x')")
      for who in ("ada", "guest", "payments_service", "payments_admin")),
    *(Attempt("reads a key of an account", who, f"select payments.account_key('test', '{A}')")
      for who in ("ada", "guest", "payments_keys", "payments_admin")),
    Attempt("tells whose key is whose", "ada", "select payments.tell_account_keys('test', '{}')"),
    Attempt("asks for terms by name", "ada",
            "select payments_private.terms_asked_of_stripe('00000000-0000-4000-8000-000000000001')"),
    # Another account's rows.
    Attempt("reads her account's payments", "ada", MINE, [(A, 2)]),
    Attempt("reads his account's payments", "bob", MINE, [(B, 3)]),
    Attempt("reads her team's account's payments", "carol", MINE, [(C, 4)]),
    Attempt("reads payments of no account of hers", "mallory", MINE, []),
    Attempt("asks for another account by its id", "ada", f"{MINE} where account_id = '{B}' or amount = 1", []),
    Attempt("reads payments with a sub that holds another's key", "user:bob", MINE, []),
    Attempt("reads payments", "guest", MINE),
    Attempt("reads payments", "payments_service", MINE),
    Attempt("goes below the view", "ada", "select from payments_private.transactions_of_own_accounts"),
    Attempt("asks which accounts there are", "ada", "select from payments_private.current_accounts()"),
    Attempt("asks whether an account sells", "mallory", f"select payments_private.sells_directly('test', '{B}')"),
    Attempt("reads the accounts", "ada", "select from payments.accounts"),
    Attempt("reads the accounts", "payments_service", "select from payments.accounts"),
    Attempt("takes an account", "mallory", "update payments.accounts set subject_id = 'mallory'"),
    Attempt("takes an account", "payments_admin", "update payments.accounts set subject_id = 'mallory'"),
    # Objects of accounts that name Ada, and have the ids of hers.
    Attempt("reads transactions", "ada", "select amount from payments.transactions", [(1,)]),
    Attempt("reads subscriptions", "ada", "select subscription_id from payments.stripe_subscriptions", [("sub_same",)]),
    Attempt("reads items", "ada", "select quantity from payments.stripe_subscription_items", [(1,)]),
    Attempt("reads payment methods", "ada", "select last4 from payments.stripe_payment_methods", [("0001",)]),
    Attempt("reads products", "bob", "select name from payments.stripe_products", [("of 1",)]),
    Attempt("reads prices", "guest", "select unit_amount from payments.stripe_prices", [(100,)]),
    *(Attempt(f"reads {table}", "bob", f"select id from payments.{table}", [])
      for table in ("transactions", "stripe_subscriptions", "stripe_subscription_items", "stripe_payment_methods")),
    # Who says whose an account is.
    *(Attempt("registers", who, REGISTER)
      for who in ("mallory", "ada", "guest", "payments_service", "payments_admin", "payments_keys")),
    *(Attempt("trusts an account", who, f"select payments.trust_accounts('{{{A}}}')")
      for who in ("ada", "payments_service", "payments_admin")),
]  # fmt: skip


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(conn: Connection, attempt: Attempt) -> None:
    assert answer(conn, attempt.who, attempt.statement) == attempt.expected


def test_a_test_customer_opens_no_live_payment_methods(conn: Connection) -> None:
    """Though a live customer has its id; nor the other way round."""
    live = next(event for event in life(None) if event["type"] == "payment_method.attached")
    theirs = live["data"]["object"] | {"card": {"brand": "visa", "last4": "9999"}, "livemode": True}
    told_live = live | {"livemode": True, "data": {"object": theirs}}
    assert all_processed(ingest(conn, [told_live], "live"))
    methods = "select environment, last4 from payments.stripe_payment_methods order by 1"
    assert answer(conn, "ada", methods) == [("test", "0001")]
    conn.execute("update payments.customer_mappings set environment = 'live'")
    assert answer(conn, "ada", methods) == [("live", "9999")]


def test_items_are_read_where_their_account_is_trusted(conn: Connection) -> None:
    """And nowhere else, though the subscription that Ada has there has the id of all others."""
    conn.execute("select payments.trust_accounts(%s)", [[C]])
    conn.execute("select payments.rebuild_projections('test')")
    quantities = "select quantity from payments.stripe_subscription_items order by 1"
    assert answer(conn, "ada", quantities) == [(1,), (4,)]
    conn.execute("update payments.stripe_subscriptions set subject_id = 'bob' where account_id is null")
    assert (answer(conn, "ada", quantities), answer(conn, "bob", quantities)) == ([(4,)], [(1,)])


def request_of(conn: Connection, who: str, call: str) -> Json:
    assert answer(conn, who, call) == BEGUN
    row = conn.execute(
        "select s.account_id, s.customer_id, payments.checkout_request(s.id) as request"
        " from payments.stripe_checkout_sessions s"
    ).fetchone()
    assert row is not None
    return row


def test_metadata_is_metadata_whatever_it_says(conn: Connection) -> None:
    wishes = {"application_fee_amount": "0", "transfer_data": B, "on_behalf_of": B, "account": B}
    row = request_of(conn, "ada", checkout(A, "ada", metadata=f"'{json.dumps(wishes)}'"))
    asked = row["request"]
    assert row["account_id"] == A
    assert {name: asked["metadata"][name] for name in wishes} == wishes
    assert asked["payment_intent_data"] == {"metadata": asked["metadata"], "application_fee_amount": 90}
    assert "transfer_data" not in asked
    assert "on_behalf_of" not in asked


def test_a_fee_in_per_cent_is_of_the_prices_where_the_charge_is_made(conn: Connection) -> None:
    """The account's price has the platform's id and another amount."""
    row = request_of(conn, "bob", checkout(B, "bob"))
    told_to_stripe = row["request"]["payment_intent_data"]
    assert (told_to_stripe["application_fee_amount"], told_to_stripe["transfer_data"]) == (50, {"destination": B})
    conn.execute("delete from payments.stripe_checkout_sessions")
    conn.execute(f"select payments.register_account('test', '{C}', 'team', 't1', 'direct', 'owner', fee_percent => 50)")
    row = request_of(conn, "carol", checkout(C, "carol"))
    assert row["request"]["payment_intent_data"]["application_fee_amount"] == 200


@pytest.mark.parametrize("email", ["ada@shop.example", "ADA@shop.example"])
def test_an_email_address_is_nobodys_customer(conn: Connection, email: str) -> None:
    """The platform and every account have a customer with it."""
    row = request_of(conn, "mallory", checkout(A, "mallory", customer_email=f"'{email}'"))
    assert row["customer_id"] is None
    assert "customer" not in row["request"]


def test_our_customer_is_not_asked_of_an_account_that_has_one_of_that_id(conn: Connection) -> None:
    assert request_of(conn, "ada", checkout(A, "ada"))["customer_id"] is None
    conn.execute("delete from payments.stripe_checkout_sessions")
    assert request_of(conn, "ada", checkout(A, "ada", account_id="null"))["customer_id"] == "cus_same"


GONE = {
    "given to another": f"select payments.register_account('test', '{B}', 'user', 'ada', 'destination', 'owner')",
    "nobody's": f"select payments.register_account('test', '{B}', null, null, 'destination', 'owner')",
    "closed": f"select payments.register_account('test', '{B}', 'user', 'bob')",
    "deauthorized": None,
}


@pytest.mark.parametrize("how", GONE)
def test_what_is_taken_away_sells_no_more_to_whom_it_was(conn: Connection, how: str) -> None:
    """Nor is the earlier request, repeated under its key, another way in. What was begun stays readable."""
    call = checkout(B, "bob", idempotency_key="'order:1'")
    assert answer(conn, "bob", call) == answer(conn, "bob", call) == BEGUN
    take_away(conn, B, GONE[how])
    assert answer(conn, "bob", call) == FOREIGN
    assert answer(conn, "bob", checkout(B, "bob")) == FOREIGN
    assert answer(conn, "bob", "select seller_account_id from payments.stripe_checkout_sessions") == [(B,)]
    still_his = how in ("closed", "deauthorized")
    assert answer(conn, "bob", MINE) == ([(B, 3)] if still_his else [])
    assert answer(conn, "ada", f"{MINE} order by 2") == [(A, 2), *([(B, 3)] if how == "given to another" else [])]


def take_away(conn: Connection, account: str, statement: str | None) -> None:
    if statement is not None:
        conn.execute(statement.encode())
    else:
        ours = {"id": "ca_1", "object": "application"}
        ingest(conn, [told("evt_gone", "account.application.deauthorized", account, ours)])


def test_who_has_left_the_team_has_left_its_account(conn: Connection) -> None:
    with acting(conn, "carol"):
        assert len(conn.execute(MINE).fetchall()) == 1
        conn.execute("reset role")
        conn.execute("delete from public.members")
        conn.execute("set local role payments_user")
        assert conn.execute(MINE).fetchall() == []
    assert answer(conn, "carol", checkout(C, "carol")) == FOREIGN
    conn.execute("insert into public.members values ('t1', 'dan')")
    assert (answer(conn, "carol", MINE), answer(conn, "dan", MINE)) == ([], [(C, 4)])


def test_a_buyer_visits_no_portal_of_an_account_that_has_left(conn: Connection) -> None:
    row = request_of(conn, "carol", checkout(A, "carol"))
    session = row["request"] | {"id": "cs_1", "object": "checkout.session", "livemode": False, "created": 1_790_000_001,
                                "status": "complete", "payment_status": "paid", "customer": "cus_same"}  # fmt: skip
    conn.execute(
        "select payments.finish_checkout(%s, %s)", [session["metadata"]["payments_checkout_id"], json.dumps(session)]
    )
    assert answer(conn, "carol", portal(A, "carol")) == [("cus_same",)]
    take_away(conn, A, None)
    assert answer(conn, "carol", portal(A, "carol")) == ("PY004",)


@pytest.mark.parametrize("by", [A, B])
def test_an_accounts_word_is_of_itself_and_makes_no_owner(conn: Connection, by: str) -> None:
    """Neither its metadata, nor an event that it sends of another account, nor that another should have left."""
    before = conn.execute("select account_id, subject_key, charge_type, fee_amount from payments.accounts").fetchall()
    names = {
        "metadata": {**NAMED, "payments_subject_id": "mallory"},
        "object": "account",
        "business_profile": {"name": "x"},
    }
    ingest(conn, [told(f"evt_{of}", "account.updated", by, {**names, "id": of}) for of in (A, B, C, "acct_9", OURS)])
    take_away(conn, by, None)
    after = conn.execute("select account_id, subject_key, charge_type, fee_amount from payments.accounts").fetchall()
    assert sorted(after, key=str) == sorted(before, key=str)
    changed = conn.execute("select account_id from payments.accounts where name = 'x'").fetchall()
    gone = conn.execute("select account_id from payments.accounts where deauthorized_at is not null").fetchall()
    assert changed == gone == [{"account_id": by}]
    assert answer(conn, "mallory", MINE) == []


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("kind", ["customer", "subscription", "checkout.session", "invoice", "payment_intent"])
def test_an_accounts_metadata_gives_nobody_anything(conn: Connection, kind: str, stamped: bool) -> None:
    """It names Mallory, and her own attempt at the platform with every stamp that we gave it."""
    row = request_of(conn, "mallory", checkout(A, "mallory", account_id="null"))
    metadata = row["request"]["metadata"] if stamped else NAMED | {"payments_subject_id": "mallory"}
    events = {
        "customer": "customer.created", "subscription": "customer.subscription.created", "invoice": "invoice.paid",
        "checkout.session": "checkout.session.completed", "payment_intent": "payment_intent.succeeded",
    }  # fmt: skip
    paid = {"customer": "cus_m", "status": "paid" if kind == "invoice" else "active", "amount": 9, "currency": "usd",
            "payment_status": "paid", "total": 9, "amount_paid": 9, "created": 1_790_000_000}  # fmt: skip
    if kind == "checkout.session":
        paid["status"] = "complete"
    elif kind == "payment_intent":
        paid |= {"status": "succeeded", "amount_received": 9}
    forged = {"id": "x_forged", "object": kind, "livemode": False, "metadata": metadata, **paid}
    assert all_processed(ingest(conn, [told("evt_forged", events[kind], B, forged)]))
    attempt = conn.execute("select status, customer_id from payments.stripe_checkout_sessions").fetchall()
    assert attempt == [{"status": "initialized", "customer_id": None}]
    for table in ("customer_mappings", "stripe_subscriptions", "transactions"):
        assert not conn.execute(f"select from payments.{table} where subject_id = 'mallory'").fetchall(), table
    for table in ("stripe_subscriptions", "stripe_subscription_items", "transactions", "account_transactions"):
        assert answer(conn, "mallory", f"select id from payments.{table}") == [], table
