"""The helpers for applications' own suites: installed as documented, tried by the example suite, a right to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from pg_payments.schema.migrate import status
from pg_payments.schema.script import helpers_for_tests
from tests.support.pgtap import load_pgtap, run_pgtap
from tests.support.servers import Server
from tests.support.tools import ROOT, command, psql, write

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

EXAMPLE = ROOT / "docs/example_suite.sql"
EVENT_TYPES = """
    customer.created product.created price.created checkout.session.completed checkout.session.expired
    payment_intent.succeeded payment_intent.payment_failed payment_intent.canceled charge.succeeded charge.refunded
    charge.failed charge.refund.updated charge.dispute.created refund.created invoice.created invoice.paid
    customer.subscription.created customer.subscription.deleted
"""


@pytest.fixture(scope="module")
def helped(module_conn: Conn) -> Conn:
    """A migrated database with the helpers."""
    module_conn.execute(helpers_for_tests())
    return module_conn


@pytest.fixture
def test(helped: Conn) -> Iterator[Conn]:
    with helped.transaction(force_rollback=True):
        yield helped


def value(conn: Conn, query: str, *parameters: Any) -> Any:
    row = conn.execute(query, parameters).fetchone()
    assert row is not None
    return next(iter(row.values()))


# Installing


def test_the_script_brings_them_on_request(empty_database_url: str, tmp_path: Path) -> None:
    plain, helped = command("sql").stdout, command("sql", "--with-test-helpers").stdout
    assert "payments_test" not in plain
    assert helped.startswith(plain.rstrip("\n"))
    done = psql(empty_database_url, "-1", "-f", str(write(tmp_path / "all.sql", helped)))
    assert (done.returncode, done.stderr) == (0, "")
    assert status(empty_database_url).up_to_date
    with psycopg.connect(empty_database_url, row_factory=dict_row) as conn:
        assert value(conn, "select payments_test.deliver(payments_test.event('product.created'))") == "processed"


def test_they_come_alone_and_again(database_url: str) -> None:
    printed = command("sql", "--only-test-helpers").stdout
    for _ in range(2):
        done = psql(database_url, "-1", script=printed, options="-c client_min_messages=warning")
        assert (done.returncode, done.stderr) == (0, "")
    assert status(database_url).up_to_date


# The example


def test_the_example_suite_passes(server: Server, template: str, pytestconfig: pytest.Config) -> None:
    assert pytestconfig.cache
    with server.database(template) as name:
        url = server.url(name)
        load_pgtap(url, Path(pytestconfig.cache.mkdir("pgtap")))
        psql(url, "-1", script=helpers_for_tests())
        passed, complaints = run_pgtap(url, EXAMPLE)
    assert complaints == []
    planned = re.search(r"plan\((\d+)\)", EXAMPLE.read_text(encoding="utf-8"))
    assert planned
    assert passed == int(planned[1])


# What they do


def test_acting_as_somebody(test: Conn) -> None:
    who = "select current_user::text || ' ' || coalesce(payments.caller_key(), 'nobody')"
    test.execute("select payments_test.as_user('ada', 'payments_user', '{\"email\": \"ada@shop.example\"}')")
    assert value(test, who) == "payments_user user:ada"
    assert value(test, "select current_setting('request.jwt.claims')::jsonb ->> 'email'") == "ada@shop.example"
    test.execute("select payments_test.as_guest(role => 'payments_anon')")
    assert value(test, who).startswith("payments_anon guest:")
    test.execute("select payments_test.as_guest(null, 'payments_anon')")
    assert value(test, who) == "payments_anon nobody"
    test.execute("select payments_test.as_service()")
    assert value(test, "select current_user::text") == "payments_service"
    test.execute("select payments_test.as_self()")
    assert value(test, who) == f"{test.info.user} nobody"


@pytest.mark.parametrize("event_type", EVENT_TYPES.split())
@pytest.mark.parametrize("livemode", [False, True])
def test_events_of_every_type_are_taken(test: Conn, event_type: str, livemode: bool) -> None:
    event = value(test, "select payments_test.event(%s, livemode => %s)", event_type, livemode)
    assert (event["type"], event["livemode"]) == (event_type, livemode)
    assert event["data"]["object"]["id"]
    deliver = "select payments_test.deliver(%s)"
    assert value(test, deliver, Jsonb(event)) == "processed"
    environment = value(
        test, "select environment from payments.webhook_events where provider_event_id = %s", event["id"]
    )
    assert environment == ("live" if livemode else "test")


def test_what_is_given_goes_over_what_is_made_up(test: Conn) -> None:
    event = value(
        test,
        """select payments_test.event('customer.subscription.updated', '{"id": "sub_1", "status": "past_due"}',
                                      previous_attributes => '{"status": "active"}')""",
    )
    assert (event["data"]["object"]["id"], event["data"]["object"]["status"]) == ("sub_1", "past_due")
    assert event["data"]["previous_attributes"] == {"status": "active"}


def test_the_clock(test: Conn) -> None:
    test.execute("select payments_test.as_user('ada', 'payments_user')")
    test.execute("select payments_test.stop_clock('2030-01-01 00:00+00')")
    test.execute("select payments_test.move_clock('1 day')")
    assert value(test, "select payments_test.now() = '2030-01-02 00:00+00'")
    assert value(test, "select payments_test.event('product.created') -> 'created'") == 1_893_542_400
    assert value(test, "select current_user::text") == "payments_user"
    test.execute("select payments_test.start_clock()")
    assert value(test, "select payments_test.now() < '2030-01-01'") == (value(test, "select now() < '2030-01-01'"))


def test_a_made_up_subject(test: Conn) -> None:
    customer = value(test, "select payments_test.make_subject('club', 'chess', array['ada', 'bob'])")
    for sub, clubs in {"ada": ["chess"], "bob": ["chess"], "carl": []}.items():
        test.execute("select payments_test.as_user(%s, 'payments_user')", [sub])
        found = test.execute("select subject_id from payments.billable_subjects() where subject_type = 'club'")
        assert [row["subject_id"] for row in found] == clubs
    test.execute("select payments_test.as_user('ada', 'payments_user')")
    portal = "select customer_id from payments.begin_portal_session('test', 'club', 'chess')"
    assert value(test, portal) == customer


def test_a_subject_of_the_applications_own_type(test: Conn) -> None:
    test.execute("create table public.teams (team_id text, user_id text)")
    test.execute("select payments.register_subject_type('team', 'public.teams', 'team_id', 'user_id')")
    assert value(test, "select payments_test.make_subject('team', 'red')").startswith("cus_")
    with pytest.raises(psycopg.errors.RaiseException, match="membership table"):
        test.execute("select payments_test.make_subject('team', 'red', array['ada'])")


# To whom they give no right


def test_they_give_nobody_a_right(server: Server, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(helpers_for_tests())
    login = server.login("test_direct", "payments_user")
    name = str(conninfo_to_dict(database_url)["dbname"])
    with psycopg.connect(server.url(name, login), autocommit=True) as conn:
        for attempt in (
            "select payments_test.as_user('ada', 'payments_owner')",
            "select payments_test.as_service()",
            "select payments_test.stop_clock('2030-01-01')",
            "select payments_test.start_clock()",
            "select payments_test.deliver(jsonb_build_object('id', 'evt_1'))",
            "select payments_test.make_subject('user', 'ada')",
            "select payments_test.open_checkout(gen_random_uuid())",
            "select payments_test.pay(gen_random_uuid())",
            "insert into payments_test.members values ('team', 'red', 'ada')",
            "create table payments_test.planted (id int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(attempt)
    with psycopg.connect(database_url) as conn:
        definers = conn.execute(
            "select proname from pg_catalog.pg_proc where pronamespace = 'payments_test'::regnamespace and prosecdef"
        )
        assert definers.fetchall() == []


def test_a_deployer_may_use_them(server: Server, template: str) -> None:
    """No superuser is needed: a member of the owner and of the roles that it acts as installs them and runs tests."""
    login = server.login("test_suite", "payments_owner", "payments_service", "payments_user", "payments_anon")
    with server.database(template) as name:
        with psycopg.connect(server.url(name)) as admin:
            admin.execute(f"grant create on database {name} to {login}")
        with psycopg.connect(server.url(name, login), row_factory=dict_row) as conn:
            conn.execute(helpers_for_tests())
            assert value(conn, "select payments_test.make_subject('club', 'chess', array['ada'])").startswith("cus_")
            conn.execute("select payments_test.as_user('ada', 'payments_user')")
            checkout = value(
                conn,
                """select id from payments.begin_checkout('test', 'subscription', '[{"price": "price_1"}]',
                                   'https://shop.example', 'https://shop.example', 'club', 'chess')""",
            )
            assert value(conn, "select payments_test.pay(%s)", checkout) == "processed"
            conn.execute("select payments_test.as_self(), payments_test.move_clock('1 day')")
            assert value(conn, "select subject_key from payments.stripe_subscriptions") == "club:chess"
