"""What users read of their own: nothing until it is opened, then their subjects' rows, the columns meant for users."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from pg_payments.schema.migrate import migrate, rollback
from pg_payments.schema.sql_files import packaged

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

TABLES = {
    "subscriptions": ("stripe_subscriptions", "stripe_subscription_items"),
    "transactions": ("transactions",),
    "account_transactions": ("account_transactions",),
    "catalogue": ("stripe_products", "stripe_prices"),
    "payment_methods": ("stripe_payment_methods",),
}
COLUMNS = {
    "stripe_subscriptions": """id environment subscription_id subject_type subject_id status current_period_start
        current_period_end cancel_at_period_end cancel_at canceled_at trial_start trial_end""",
    "stripe_subscription_items": """id environment subscription_item_id subscription_id product_id price_id quantity
        current_period_start current_period_end""",
    "transactions": """id environment type status subject_type subject_id provider_object_type provider_object_id
        provider_parent_object_type provider_parent_object_id amount amount_refunded currency description paid_at
        failed_at refunded_at provider_created_at""",
    "account_transactions": """id environment account_id type status provider_object_type provider_object_id
        provider_parent_object_type provider_parent_object_id amount amount_refunded currency description paid_at
        failed_at refunded_at provider_created_at""",
    "stripe_payment_methods": "id environment payment_method_id type brand last4 exp_month exp_year is_default",
    "stripe_products": "id environment product_id name description active default_price_id",
    "stripe_prices": """id environment price_id product_id active currency unit_amount unit_amount_decimal type
        lookup_key billing_scheme tax_behavior recurring_interval recurring_interval_count""",
}
ROLES = """
create role shopper;
grant payments_user to shopper;
create role visitor;
grant payments_anon to visitor;
"""
ROWS = """
create table public.team_members (team_id text, user_id text, role text);
insert into public.team_members values ('t1', 'ada', 'owner'), ('t2', 'bob', 'owner'), ('t2', 'ada', 'guest');
select payments.register_subject_type('team', 'public.team_members', subject_column => 'team_id',
                                      user_column => 'user_id', filter => $$role = 'owner'$$);

insert into payments.stripe_subscriptions (environment, subscription_id, subject_type, subject_id, status, synced_at)
values ('test', 'sub_ada', 'user', 'ada', 'active', now()), ('test', 'sub_bob', 'user', 'bob', 'active', now()),
       ('live', 'sub_t1', 'team', 't1', 'active', now()), ('live', 'sub_t2', 'team', 't2', 'active', now()),
       ('live', 'sub_ada', 'user', 'bob', 'active', now()), ('test', 'sub_nobody', null, null, 'active', now());
insert into payments.stripe_subscription_items (environment, subscription_item_id, subscription_id)
select environment, 'si_' || subscription_id, subscription_id from payments.stripe_subscriptions;
insert into payments.transactions (environment, subject_type, subject_id, type, status,
                                   provider_object_type, provider_object_id)
select environment, subject_type, subject_id, 'one_time_payment', 'succeeded',
       'payment_intent', 'pi_' || subscription_id
  from payments.stripe_subscriptions;
insert into payments.stripe_products (environment, product_id, active, synced_at)
values ('test', 'on', true, now()), ('test', 'off', false, now()), ('test', 'unsaid', null, now());
insert into payments.stripe_prices (environment, price_id, active, synced_at)
values ('test', 'on', true, now()), ('test', 'off', false, now()), ('test', 'unsaid', null, now());
"""


@pytest.fixture
def shop(scratch_conn: Conn) -> Conn:
    scratch_conn.execute(ROLES + ROWS)
    return scratch_conn


def read(conn: Conn, query: str, sub: str | None = None, role: str = "shopper") -> list[Any]:
    """The first column of a query as a user, or as a guest."""
    with conn.transaction():
        conn.execute("select set_config('request.jwt.claims', %s, true)", [f'{{"sub": "{sub}"}}' if sub else ""])
        conn.execute(f"set local role {role}")
        rows = conn.execute(query).fetchall()
        conn.execute("reset role")
    return sorted((next(iter(row.values())) for row in rows), key=str)


def is_closed(conn: Conn, what: str, role: str = "shopper") -> bool:
    """Whether no column of it can be read; half a table would be neither closed nor open."""
    answers = set()
    for table in TABLES[what]:
        for column in COLUMNS[table].split():
            try:
                with conn.transaction():
                    read(conn, f"select {column} from payments.{table}", "ada", role)
                answers.add(False)
            except psycopg.errors.InsufficientPrivilege:
                answers.add(True)
    (closed,) = answers
    return closed


@pytest.mark.parametrize("what", TABLES)
def test_closed_until_opened_and_after_closing(shop: Conn, what: str) -> None:
    assert is_closed(shop, what)
    for _ in range(2):
        shop.execute("select payments.open_to_users(%s)", [what])
        assert not is_closed(shop, what)
        assert all(is_closed(shop, other) for other in TABLES if other != what)
        assert is_closed(shop, what, "visitor") == (what != "catalogue")
    for _ in range(2):
        shop.execute("select payments.close_to_users(%s)", [what])
        assert is_closed(shop, what)
        assert is_closed(shop, what, "visitor")


@pytest.mark.parametrize("what", TABLES)
def test_the_columns_are_those_and_no_others(shop: Conn, what: str) -> None:
    shop.execute("select payments.open_to_users(%s)", [what])
    for table in TABLES[what]:
        readable = shop.execute(
            """select a.attname as name from pg_catalog.pg_attribute a
                where a.attrelid = %s::regclass and a.attnum > 0
                  and has_column_privilege('payments_user', a.attrelid, a.attnum, 'select')""",
            [f"payments.{table}"],
        ).fetchall()
        assert {row["name"] for row in readable} == set(COLUMNS[table].split())
        is_view = what == "account_transactions"  # and has no more columns than those
        missing = psycopg.errors.UndefinedColumn if is_view else psycopg.errors.InsufficientPrivilege
        with pytest.raises(missing), shop.transaction():
            read(shop, f"select created_at from payments.{table}", "ada")
        for verb in ("insert", "update", "delete", "truncate", "references", "trigger"):
            found = shop.execute("select has_table_privilege('payments_user', %s, %s)", [f"payments.{table}", verb])
            assert found.fetchone() == {"has_table_privilege": False}


def test_users_read_the_rows_of_subjects_they_may_bill(shop: Conn) -> None:
    shop.execute("select payments.open_to_users('subscriptions'), payments.open_to_users('transactions')")
    subscriptions = "select environment || ' ' || subscription_id from payments.stripe_subscriptions"
    items = "select environment || ' ' || subscription_item_id from payments.stripe_subscription_items"
    transactions = "select environment || ' ' || provider_object_id from payments.transactions"
    for sub, own in {
        "ada": ["live sub_t1", "test sub_ada"],
        "bob": ["live sub_ada", "live sub_t2", "test sub_bob"],
        "carl": [],
        None: [],
    }.items():
        assert read(shop, subscriptions, sub) == own
        assert read(shop, items, sub) == [name.replace("sub_", "si_sub_") for name in own]
        assert read(shop, transactions, sub) == [name.replace("sub_", "pi_sub_") for name in own]


def test_a_membership_that_ends_takes_the_reading_with_it(shop: Conn) -> None:
    shop.execute("select payments.open_to_users('transactions')")
    query = "select provider_object_id from payments.transactions"
    assert read(shop, query, "ada") == ["pi_sub_ada", "pi_sub_t1"]
    shop.execute("update public.team_members set role = 'guest'")
    assert read(shop, query, "ada") == ["pi_sub_ada"]


@pytest.mark.parametrize("role", ["shopper", "visitor"])
def test_everybody_reads_what_is_for_sale(shop: Conn, role: str) -> None:
    shop.execute("select payments.open_to_users('catalogue')")
    assert read(shop, "select product_id from payments.stripe_products", None, role) == ["on"]
    assert read(shop, "select price_id from payments.stripe_prices", None, role) == ["on"]


@pytest.mark.slow
def test_what_is_open_stays_open_when_policies_are_reloaded(database_url: str, conn: Conn) -> None:
    def opened() -> list[str]:
        return [what for what in TABLES if not is_closed(conn, what, "payments_user")]

    conn.execute(ROWS)
    conn.execute("select payments.open_to_users('subscriptions'), payments.open_to_users('catalogue')")
    migrate(database_url, force=True)
    assert opened() == ["subscriptions", "catalogue"]
    conn.execute("select payments.close_to_users('catalogue')")
    migrate(database_url, force=True)
    assert opened() == ["subscriptions"]


@pytest.mark.slow
def test_the_rollback_closes(database_url: str, conn: Conn) -> None:
    conn.execute("select payments.open_to_users('transactions')")
    rollback(database_url, steps=sum(file.name >= "0009" for file in packaged().migrations()), drop_data=True)
    assert is_closed(conn, "transactions", "payments_user")
    migrate(database_url)
    assert is_closed(conn, "transactions", "payments_user")


@pytest.mark.parametrize("function", ["open_to_users", "close_to_users"])
def test_only_what_there_is_and_only_by_the_owner(shop: Conn, function: str) -> None:
    for what in ("customers", "", None, "Transactions"):
        with pytest.raises(psycopg.Error) as refused, shop.transaction():
            shop.execute(f"select payments.{function}(%s)", [what])
        assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY001", "what")
    for role in ("payments_user", "payments_anon", "payments_service", "payments_admin"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), shop.transaction():
            shop.execute(f"set local role {role}; select payments.{function}('transactions')")


def test_a_member_of_the_owner_opens(shop: Conn) -> None:
    shop.execute("create role deployer; grant payments_owner to deployer; set local role deployer")
    shop.execute("select payments.open_to_users(what) from unnest(%s::text[]) what", [list(TABLES)])
    shop.execute("reset role")
    assert not any(is_closed(shop, what) for what in TABLES)
    shop.execute("set local role deployer")
    shop.execute("select payments.close_to_users(what) from unnest(%s::text[]) what", [list(TABLES)])
    shop.execute("reset role")
    assert all(is_closed(shop, what) for what in TABLES)
