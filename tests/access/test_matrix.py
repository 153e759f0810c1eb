# ruff: noqa: E501 - SQL is kept in one piece
"""The matrix as pgTAP, generated: one assertion for each cell, and every object of the catalogue is in a cell."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import psycopg
import pytest

from tests.access.matrix import (
    BOOKKEEPING,
    COLUMN_VERBS,
    COLUMNS,
    FUNCTIONS,
    INTERNALS,
    MEMBER_OF,
    OPENED,
    RIGHTS,
    ROLES,
    SCHEMAS,
    SINCE_17,
    TABLE_VERBS,
    may,
    may_execute,
)
from tests.support.pgtap import run_pgtap
from tests.support.servers import Server

INVENTORIES = {
    "columns": (
        """select n.nspname || '.' || c.relname || '.' || a.attname
             from pg_catalog.pg_attribute a
             join pg_catalog.pg_class c on c.oid = a.attrelid
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname in ('payments', 'payments_private') and c.relkind in ('r', 'p', 'v', 'm', 'f')
              and a.attnum > 0 and not a.attisdropped""",
        [f"{table}.{column}" for table, columns in COLUMNS.items() for column in columns.split()],
    ),
    "functions": (
        """select case when n.nspname = 'payments' or p.proname in ('current_subject_keys', 'current_customer_ids', 'current_subscription_ids',
                      'current_foreign_subscription_ids', 'current_accounts', 'may_sell_through', 'sells_directly')
                    then n.nspname || '.' || p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')'
                    else p.proname::text end
             from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
            where n.nspname in ('payments', 'payments_private')""",
        [*FUNCTIONS, *INTERNALS.split()],
    ),
    "tables of the bookkeeping": (
        "select c.relname::text from pg_catalog.pg_class c where c.relnamespace = 'payments_migrations'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')",
        list(BOOKKEEPING),
    ),
    "sequences, of which there are none": (
        """select c.oid::regclass::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname in ('payments', 'payments_private') and c.relkind = 'S'""",
        [],
    ),
    "schemas": ("select n.nspname::text from pg_catalog.pg_namespace n where n.nspname ~ '^payments'", list(SCHEMAS)),
    "groups": (
        "select r.rolname::text from pg_catalog.pg_roles r where r.rolname ~ '^payments_'",
        [role for role in ROLES if role.startswith("payments_")],
    ),
}


def cell(question: str, expected: bool, name: str) -> str:
    return f"({question}, {str(expected).lower()}, '{name}')"


def batched(answers: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (answers[n : n + size] for n in range(0, len(answers), size))


def cells_of(role: str, version: int, rights: dict[tuple[str, str, str], str]) -> list[str]:
    """All assertions about a role."""
    grantee = f"matrix_{role}" if role in MEMBER_OF else role
    answers = []
    for schema, users in SCHEMAS.items():
        own = role == "payments_owner"
        uses = own or MEMBER_OF.get(role, role) in users
        answers.append(cell(f"has_schema_privilege('{grantee}', '{schema}', 'usage')", uses, f"{role} usage {schema}"))
        answers.append(cell(f"has_schema_privilege('{grantee}', '{schema}', 'create')", own, f"{role} create {schema}"))
    table_verbs = TABLE_VERBS + (SINCE_17 if version >= 17 else ())
    for table, columns in COLUMNS.items():
        for verb in table_verbs:
            question = f"has_table_privilege('{grantee}', '{table}', '{verb}')"
            answers.append(cell(question, may(role, verb, table, "", rights), f"{role} {verb} {table}"))
        for verb, column in product(COLUMN_VERBS, columns.split()):
            question = f"has_column_privilege('{grantee}', '{table}', '{column}', '{verb}')"
            answers.append(cell(question, may(role, verb, table, column, rights), f"{role} {verb} {table}.{column}"))
    for table, verb in product(BOOKKEEPING, table_verbs + COLUMN_VERBS):
        privilege = "has_any_column_privilege" if verb in COLUMN_VERBS else "has_table_privilege"
        question = f"{privilege}('{grantee}', 'payments_migrations.{table}', '{verb}')"
        own = role == "payments_owner"
        answers.append(cell(question, own, f"{role} {verb} payments_migrations.{table}"))
    for function in FUNCTIONS:
        question = f"has_function_privilege('{grantee}', '{function}', 'execute')"
        answers.append(cell(question, may_execute(role, function), f"{role} executes {function}"))
    for name in INTERNALS.split():
        question = (
            f"(select bool_or(has_function_privilege('{grantee}', p.oid, 'execute')) from pg_catalog.pg_proc p "
            f"where p.pronamespace = 'payments_private'::regnamespace and p.proname = '{name}')"
        )
        answers.append(cell(question, role == "payments_owner", f"{role} executes payments_private.{name}"))
    return answers


def run(url: str, file: Path, first: list[str], answers: list[str]) -> list[str]:
    """Runs assertions, many in a statement, in a transaction that leaves nothing; answers the failed ones."""
    asked = [
        f"select is(c.found, c.expected, c.name) from (values {', '.join(some)}) c (found, expected, name);"
        for some in batched(answers, 300)
    ]
    file.write_text(
        "\n".join(["begin;", *first, f"select plan({len(answers)});", *asked, "select * from finish();", "rollback;"])
    )
    return run_pgtap(url, file)[1]


def application(version: int) -> list[str]:
    """An application's two roles, granted as the README says."""
    return [f"create role matrix_{role}; grant {group} to matrix_{role};" for role, group in MEMBER_OF.items()]


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may(role: str, pgtap_url: str, server: Server, tmp_path: Path) -> None:
    answers = cells_of(role, server.version, RIGHTS)
    assert not (complaints := run(pgtap_url, tmp_path / "matrix.sql", application(server.version), answers)), "\n".join(
        complaints
    )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "what",
    ["everything", *(pytest.param(what, marks=pytest.mark.slow) for what in (*OPENED, "everything, then closed"))],
)
def test_what_a_role_may_once_reading_is_opened(
    what: str, role: str, pgtap_url: str, server: Server, tmp_path: Path
) -> None:
    opened = [what] if what in OPENED else list(OPENED)
    first = [f"select payments.open_to_users('{name}') \\g /dev/null" for name in opened]
    rights = dict(RIGHTS)
    if what == "everything, then closed":
        first += [f"select payments.close_to_users('{name}') \\g /dev/null" for name in opened]
    else:
        for name in opened:
            rights |= OPENED[name]
    answers = [answer for answer in cells_of(role, server.version, rights) if "has_column_privilege" in answer]
    complaints = run(pgtap_url, tmp_path / "matrix.sql", [*application(server.version), *first], answers)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("what", INVENTORIES)
def test_every_object_is_in_the_matrix(what: str, database_url: str) -> None:
    question, written = INVENTORIES[what]
    with psycopg.connect(database_url) as conn:
        there = {row[0] for row in conn.execute(question.encode())}
    assert there - set(written) == set(), f"{what} that the matrix says nothing of"
    assert set(written) - there == set(), f"{what} of the matrix that are not there"
