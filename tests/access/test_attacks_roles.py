# ruff: noqa: E501 - SQL is kept in one piece
"""Out of the role one is in, into one that may more."""

import pytest

from tests.access.stage import ADMIN, GUEST, MALLORY, NOTHING, SERVICE, STRANGER, Attempt, Caller, Stage

GROUPS = ["payments_owner", "payments_service", "payments_admin", "payments_keys"]
READ = "select * from payments.stripe_checkout_sessions"

ATTEMPTS = [
    *(Attempt(f"becomes {group}", MALLORY, f"set role {group}", "42501") for group in GROUPS),
    *(
        Attempt(f"becomes {group} for a transaction", MALLORY, f"begin; set local role {group}", "42501")
        for group in GROUPS
    ),
    *(
        Attempt(f"becomes {group} by a setting", MALLORY, f"select set_config('role', '{group}', false)", "42501")
        for group in GROUPS
    ),
    *(Attempt(f"logs on as {group}", MALLORY, f"set session authorization {group}", "42501") for group in GROUPS),
    *(Attempt(f"grants itself {group}", MALLORY, f"grant {group} to attack_user", "42501") for group in GROUPS),
    *(
        Attempt(f"is the service and becomes {group}", SERVICE, f"set role {group}", "42501")
        for group in ["payments_owner", "payments_admin", "payments_keys", "payments_user", "payments_anon"]
    ),
    *(
        Attempt(f"is an administrator and becomes {group}", ADMIN, f"set role {group}", "42501")
        for group in ["payments_owner", "payments_service", "payments_keys", "payments_user"]
    ),
    *(
        Attempt(f"is a guest and becomes {group}", GUEST, f"set role {group}", "42501")
        for group in [*GROUPS, "payments_user"]
    ),
    *(
        Attempt(f"is a stranger and becomes {group}", STRANGER, f"set role {group}", "42501")
        for group in [*GROUPS, "payments_user", "payments_anon"]
    ),
    Attempt("becomes a superuser", MALLORY, "set role postgres", "42501"),
    Attempt(
        "resets its role",
        MALLORY,
        f"set role payments_user; reset role; set role none; reset session authorization; {READ}",
        NOTHING,
    ),
    Attempt(
        "resets its role in the middle of a transaction",
        MALLORY,
        f"begin; set local role payments_user; reset role; {READ}",
        NOTHING,
    ),
    Attempt("discards everything", MALLORY, "discard all", [], first="select 1"),
    Attempt("makes a role", MALLORY, "create role accomplice in role payments_owner", "42501"),
    Attempt("makes itself a superuser", MALLORY, "alter role attack_user superuser", "42501"),
    Attempt("lets itself bypass row security", MALLORY, "alter role attack_user bypassrls", "42501"),
    Attempt("lets everybody bypass row security", MALLORY, "alter role payments_user bypassrls", "42501"),
    Attempt("lets the owner log in", MALLORY, "alter role payments_owner login password 'x'", "42501"),
    Attempt(
        "sets the search path of all users", MALLORY, "alter role payments_user set search_path = hostile", "42501"
    ),
    Attempt(
        "sets the search path of the database",
        MALLORY,
        "do $$ begin execute format('alter database %I set search_path = hostile', current_database()); end $$",
        "42501",
    ),
    Attempt("sets a claim for all", MALLORY, """alter role all set request.jwt.claims = '{"sub": "ada"}'""", "42501"),
    Attempt(
        "sets replaying for the owner",
        MALLORY,
        "alter role payments_owner set payments.replaying = '00000000-0000-4000-8000-000000000007'",
        "42501",
    ),
    Attempt("drops a group", MALLORY, "drop role payments_service", "42501"),
    Attempt("drops what a group owns", MALLORY, "drop owned by payments_owner cascade", "42501"),
    Attempt("takes over what a group owns", MALLORY, "reassign owned by payments_owner to attack_user", "42501"),
    Attempt(
        "changes default rights",
        MALLORY,
        "alter default privileges for role payments_owner grant all on tables to attack_user",
        "42501",
    ),
    Attempt("renames the package's role", MALLORY, "alter role payments_user rename to payments_nobody", "42501"),
    Attempt("throws others out of the group", MALLORY, "revoke payments_anon from attack_guest", "42501"),
    Attempt("grants what it has to a friend", MALLORY, "grant payments_user to attack_stranger", "42501"),
    Attempt("grants a table to everybody", MALLORY, "grant select on payments.webhook_events to public", "42501"),
    Attempt(
        "grants its own right on",
        MALLORY,
        "grant insert (environment) on payments.stripe_checkout_sessions to attack_stranger; select has_column_privilege('attack_stranger', 'payments.stripe_checkout_sessions', 'environment', 'insert')",
        [(False,)],
    ),
    Attempt("grants the internals", MALLORY, "grant usage on schema payments_private to attack_user", "42501"),
    Attempt(
        "revokes another's right", MALLORY, "revoke select on payments.webhook_events from payments_admin", "42501"
    ),
    Attempt(
        "is both user and guest and reads",
        Caller("attack_both", '{"sub": "mallory"}', "a guest's secret of no importance"),
        READ,
        NOTHING,
    ),
    Attempt("is the service and opens reading", SERVICE, "select payments.open_to_users('transactions')", "42501"),
    Attempt("runs a program", MALLORY, "copy (select 1) to program 'id'", "42501"),
    Attempt("reads a program", MALLORY, "create temp table t (a text); copy t from program 'id'", "42501"),
    Attempt("writes a file", MALLORY, "copy (select 1) to '/tmp/x'", "42501"),
    Attempt("reads a file", MALLORY, "select pg_read_file('/etc/passwd')", "42501"),
    Attempt("reads the server's log settings", MALLORY, "alter system set log_statement = 'all'", "42501"),
    Attempt("reads the server's own passwords", MALLORY, "select * from pg_authid", "42501"),
    Attempt(
        "ends somebody else's session",
        MALLORY,
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'",
        "42501",
    ),
    Attempt("makes an extension", MALLORY, "create extension dblink", ("42501", "0A000", "58P01")),
    Attempt("loads a library", MALLORY, "load '/tmp/evil.so'", ("42501", "58P01")),
    Attempt(
        "writes functions in an untrusted language", MALLORY, "create language plpython3u", ("42501", "0A000", "58P01")
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
