# ruff: noqa: E501 - SQL is kept in one piece
"""Mallory may create things of her own. She plants them on ours, under ours, or in place of ours."""

import pytest

from tests.access.stage import ADA, ADMIN, GUEST, HARMLESS, MALLORY, NOTHING, SERVICE, Attempt, Stage

TABLE = "payments.stripe_checkout_sessions"
LEDGER = "payments.webhook_events"
THIEF = "create function hostile.steal() returns trigger language plpgsql as $$ begin raise notice '%', new; return new; end $$;"

ATTEMPTS = [
    Attempt(
        "plants a trigger on checkouts",
        MALLORY,
        f"{THIEF} create trigger t after insert on {TABLE} for each row execute function hostile.steal()",
        "42501",
    ),
    Attempt(
        "plants a trigger on the ledger",
        MALLORY,
        f"{THIEF} create trigger t before insert on {LEDGER} for each row execute function hostile.steal()",
        "42501",
    ),
    Attempt(
        "plants a constraint trigger",
        MALLORY,
        f"{THIEF} create constraint trigger t after insert on {LEDGER} deferrable for each row execute function hostile.steal()",
        "42501",
    ),
    Attempt(
        "plants an event trigger",
        MALLORY,
        "create function hostile.ddl() returns event_trigger language plpgsql as 'begin end'; create event trigger t on ddl_command_end execute function hostile.ddl()",
        "42501",
    ),
    Attempt(
        "uses our trigger on a table of its own",
        MALLORY,
        f"create table hostile.copy (like {TABLE}); create trigger t before insert on hostile.copy for each row execute function payments_private.prepare_checkout()",
        "42501",
    ),
    Attempt("disables a trigger", MALLORY, f"alter table {TABLE} disable trigger prepare_checkout", "42501"),
    Attempt("disables triggers for its session", MALLORY, "set session_replication_role = replica", "42501"),
    Attempt("drops a trigger", MALLORY, f"drop trigger prepare_checkout on {TABLE}", "42501"),
    Attempt("plants a rule", MALLORY, f"create rule r as on insert to {TABLE} do also select 1", "42501"),
    Attempt("replaces the view's rule", MALLORY, "create or replace view payments.dead_events as select 1", "42501"),
    Attempt("plants a policy", MALLORY, f"create policy p on {TABLE} for select using (true)", "42501"),
    Attempt("alters a policy", MALLORY, f"alter policy users_read_their_attempts on {TABLE} using (true)", "42501"),
    Attempt("drops a policy", MALLORY, f"drop policy users_read_their_attempts on {TABLE}", "42501"),
    Attempt("switches row security off", MALLORY, f"alter table {TABLE} disable row level security", "42501"),
    Attempt(
        "plants an index with a function",
        MALLORY,
        f"create function hostile.f(text) returns text immutable language sql as 'select $1'; create index on {TABLE} (hostile.f(url))",
        "42501",
    ),
    Attempt("plants a unique index", MALLORY, f"create unique index on {TABLE} (environment)", "42501"),
    Attempt("plants a check", MALLORY, f"alter table {TABLE} add check (false)", "42501"),
    Attempt("plants a default", MALLORY, f"alter table {TABLE} alter status set default 'completed'", "42501"),
    Attempt("plants a column", MALLORY, f"alter table {TABLE} add column x text", "42501"),
    Attempt(
        "plants statistics", MALLORY, f"create statistics hostile.s on environment, owner_key from {TABLE}", "42501"
    ),
    Attempt("inherits from a table", MALLORY, f"create table hostile.child () inherits ({TABLE})", "42501"),
    Attempt("refers to the ledger", MALLORY, f"create table hostile.child (id uuid references {LEDGER} (id))", "42501"),
    Attempt(
        "reads the ledger through a view of its own",
        MALLORY,
        f"create view hostile.v as select * from {LEDGER}; select * from hostile.v",
        "42501",
    ),
    Attempt(
        "reads checkouts through a view of its own",
        MALLORY,
        f"create view hostile.v as select * from {TABLE}; select * from hostile.v",
        NOTHING,
    ),
    Attempt(
        "reads checkouts through a definer function of its own",
        MALLORY,
        f"create function hostile.f() returns setof {TABLE} language sql security definer as 'select * from {TABLE}'; select * from hostile.f()",
        NOTHING,
    ),
    Attempt(
        "keeps the ledger in a materialized view",
        MALLORY,
        f"create materialized view hostile.m as select * from {LEDGER}",
        "42501",
    ),
    Attempt(
        "makes a function of Ada's rights",
        MALLORY,
        "create function hostile.f() returns int language sql security definer as 'select 1'; alter function hostile.f() owner to payments_owner",
        "42501",
    ),
    Attempt(
        "replaces a function",
        MALLORY,
        "create or replace function payments.caller_key() returns text language sql as $$ select 'user:ada' $$",
        "42501",
    ),
    Attempt(
        "alters a function's settings",
        MALLORY,
        "alter function payments.caller_key() set search_path = hostile",
        "42501",
    ),
    Attempt("takes a function over", MALLORY, "alter function payments.caller_key() owner to attack_user", "42501"),
    Attempt("drops a function", MALLORY, "drop function payments.caller_key() cascade", "42501"),
    Attempt("moves a function", MALLORY, "alter function payments.caller_key() set schema hostile", "42501"),
    Attempt("drops a table", MALLORY, f"drop table {TABLE} cascade", "42501"),
    Attempt("drops the schema", MALLORY, "drop schema payments cascade", "42501"),
    Attempt("renames the schema", MALLORY, "alter schema payments rename to p", "42501"),
    Attempt("makes a table in our schema", MALLORY, "create table payments.mine (id int)", "42501"),
    Attempt("makes a table in our internals", MALLORY, "create table payments_private.mine (id int)", "42501"),
    Attempt("makes a type in our schema", MALLORY, "create type payments.mine as enum ('a')", "42501"),
    Attempt(
        "makes a leakproof function",
        MALLORY,
        "create function hostile.f(text) returns boolean leakproof language sql as 'select true'",
        "42501",
    ),
    Attempt(
        "makes a function in C",
        MALLORY,
        "create function hostile.f() returns int language c as 'libc.so.6', 'getpid'",
        "42501",
    ),
    Attempt(
        "makes a cast for our rows",
        MALLORY,
        f"create function hostile.f({TABLE}) returns text language sql as $$ select 'x' $$; create cast ({TABLE} as text) with function hostile.f({TABLE}) as assignment",
        "42501",
    ),
    Attempt(
        "makes an operator class that lies",
        MALLORY,
        "create operator class hostile.c default for type text using btree as storage text",
        "42501",
    ),
    Attempt(
        "is an administrator and plants a trigger",
        ADMIN,
        f"create trigger t after insert on {LEDGER} for each row execute function pg_catalog.suppress_redundant_updates_trigger()",
        "42501",
    ),
    Attempt(
        "is the service and plants a trigger",
        SERVICE,
        f"create trigger t before update on {LEDGER} for each row execute function pg_catalog.suppress_redundant_updates_trigger()",
        "42501",
    ),
    Attempt("is a guest and plants a policy", GUEST, f"create policy p on {TABLE} using (true)", "42501"),
    Attempt("publishes the ledger", MALLORY, f"create publication p for table {LEDGER}", "42501"),
    Attempt(
        "subscribes to a server of its own",
        MALLORY,
        "create subscription s connection 'host=evil.example' publication p with (connect = false)",
        "42501",
    ),
    Attempt("comments on a table", MALLORY, f"comment on table {TABLE} is 'send card numbers here'", "42501"),
    Attempt("locks everybody out", MALLORY, f"begin; lock table {TABLE} in access exclusive mode", "42501"),
    Attempt("locks the ledger", MALLORY, f"begin; lock table {LEDGER} in access share mode", "42501"),
    Attempt("clusters a table", ADA, f"cluster {TABLE} using stripe_checkout_sessions_pkey", "42501"),
    Attempt("reindexes a table", ADA, f"reindex table {TABLE}", "42501"),
    Attempt(
        "reads through a temporary function as default",
        MALLORY,
        f"create temp table t (a int, b bigint default (length('x'))); create function pg_temp.n() returns bigint language sql as 'select count(*) from {LEDGER}'; alter table pg_temp.t alter b set default pg_temp.n(); insert into t (a) values (1)",
        "42501",
    ),
    Attempt("keeps a row of ours in a table of its own", MALLORY, f"create table hostile.rows (r {TABLE})", HARMLESS),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
