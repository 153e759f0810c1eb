"""What the database raises finds its class by SQLSTATE alone."""

import psycopg
import pytest

from pg_payments.errors import BY_SQLSTATE, DatabaseUnavailable, Forbidden, PaymentsError, from_database_error


def raised_by(conn: psycopg.Connection[object], statement: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(statement)
    return caught.value


def translated(error: psycopg.Error) -> PaymentsError:
    found = from_database_error(error)
    assert found is not None
    return found


@pytest.mark.parametrize(("sqlstate", "kind"), sorted(BY_SQLSTATE.items()))
def test_our_states_keep_what_the_server_said(
    conn: psycopg.Connection[object], sqlstate: str, kind: type[PaymentsError]
) -> None:
    statement = f"do $$ begin raise 'what' using errcode = '{sqlstate}', detail = 'which', hint = 'what next'; end $$"
    error = translated(raised_by(conn, statement))
    assert type(error) is kind
    assert (error.message, error.detail, error.hint) == ("what", "which", "what next")


def test_a_policy_that_says_no_is_forbidden(conn: psycopg.Connection[object]) -> None:
    conn.execute("set role payments_anon")
    assert type(translated(raised_by(conn, "table payments.transactions"))) is Forbidden


def test_other_errors_are_nobodys(conn: psycopg.Connection[object]) -> None:
    assert from_database_error(raised_by(conn, "select 1 / 0")) is None


def test_a_server_out_of_reach_is_unavailable(conn: psycopg.Connection[object]) -> None:
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect("host=/nowhere")
    assert type(translated(refused.value)) is DatabaseUnavailable
    assert type(translated(raised_by(conn, "select pg_terminate_backend(pg_backend_pid())"))) is DatabaseUnavailable


def test_each_code_and_state_is_one_class() -> None:
    classes = PaymentsError.__subclasses__()
    assert len({kind.code for kind in classes}) == len(classes)
    states = [kind.sqlstate for kind in classes if kind.sqlstate]
    assert len(set(states)) == len(states)
