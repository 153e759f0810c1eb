"""Every function that a machine offers has its counterpart at a router, with the same name, arguments and grants."""

import re
from pathlib import Path

import psycopg
import pytest

from pg_payments.errors import ConfigurationError
from pg_payments.router import generate, shards
from pg_payments.router.routes import LEFT_OUT, ROUTES
from tests.access.matrix import FUNCTIONS
from tests.router.test_shards import TWO, written

Connection = psycopg.Connection[dict[str, object]]


def test_no_function_of_the_interface_is_forgotten(scratch_conn: Connection) -> None:
    found = generate.interface(scratch_conn)
    granted = {name.partition("(")[0] for name, roles in FUNCTIONS.items() if name.startswith("payments.") and roles}
    of_groups = {
        name
        for name in granted
        if any(
            role.startswith("payments_")
            for key, roles in FUNCTIONS.items()
            if key.startswith(f"{name}(")
            for role in roles.split()
        )
    }
    assert {f"payments.{function.name}" for function in found} == of_groups
    for function in found:
        assert (generate.route_of(function) is None) == (function.name in LEFT_OUT)
    assert set(ROUTES) <= {function.name for function in found}


def test_the_script_has_each_function_with_its_arguments_and_grants(scratch_conn: Connection, tmp_path: Path) -> None:
    found = generate.interface(scratch_conn)
    text = generate.script(shards.read(written(tmp_path, TWO)), found, generate.relations(scratch_conn))
    for function in found:
        if function.name not in LEFT_OUT:
            assert len(re.findall(rf"^create function payments\.{function.name}\(", text, re.M)) == 1
            signature = f"payments.{function.name}({function.identity})"
            assert f"grant execute on function {signature} to {', '.join(function.granted)};" in text


def test_a_function_that_nobody_decided_on_is_refused(scratch_conn: Connection) -> None:
    scratch_conn.execute("create function payments.brand_new(x text) returns text language sql return x")
    scratch_conn.execute("grant execute on function payments.brand_new(text) to payments_service")
    (new,) = [function for function in generate.interface(scratch_conn) if function.name == "brand_new"]
    with pytest.raises(ConfigurationError, match=r"payments\.brand_new"):
        generate.route_of(new)


def test_becoming_a_caller_gives_a_login_nothing_that_it_has_not(scratch_conn: Connection) -> None:
    conn = scratch_conn
    conn.execute("create role router_test_service login in role payments_service")
    conn.execute("create role router_test_gateway login in role payments_service, payments_user, payments_anon")

    def become(login: str, role: str, acting_as: str | None) -> None:
        with conn.transaction():
            conn.execute(f"set local session authorization {login}")
            if acting_as:
                conn.execute(f"set local role {acting_as}")
            conn.execute("select payments.become_caller(%s, '{}')", [role])

    def refused(login: str, role: str, acting_as: str | None = None) -> str:
        with pytest.raises(psycopg.Error) as caught:
            become(login, role, acting_as)
        return str(caught.value.sqlstate)

    assert refused("router_test_service", "payments_user") in ("42501", "22023")
    assert refused("router_test_gateway", "payments_owner") == "PY001"
    assert refused("router_test_gateway", "payments_admin") == "PY001"
    assert refused("router_test_gateway", "payments_user", acting_as="payments_service") == "PY002"
    assert refused("router_test_gateway", "payments_user", acting_as="payments_anon") == "42501"
    with conn.transaction(force_rollback=True):
        conn.execute("set local session authorization router_test_gateway")
        conn.execute("""select payments.become_caller('payments_user', '{"sub": "u1"}')""")
        row = conn.execute("select current_user::text as who, payments.caller_key() as key").fetchone()
        assert row == {"who": "payments_user", "key": "user:u1"}


def test_the_script_refuses_a_database_that_has_the_package_itself(scratch_conn: Connection) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="a router has a database of its own"):
        scratch_conn.execute(generate.REFUSALS)


def test_without_pl_proxy_the_script_says_which_package_brings_it(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        if conn.execute("select 1 from pg_available_extensions where name = 'plproxy'").fetchone():
            conn.execute(generate.REFUSALS)
            return
        with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
            conn.execute(generate.REFUSALS)
        assert f"postgresql-{conn.info.server_version // 10000}-plproxy" in str(caught.value.diag.message_hint)
