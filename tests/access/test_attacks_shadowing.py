# ruff: noqa: E501 - SQL is kept in one piece
"""Mallory puts objects of her own where our functions might look: temporary types and tables, a hostile search path.

``pg_temp.spy`` tells who runs it: whoever it is, it must be Mallory.
"""

import pytest

from tests.access.stage import ADMIN, GUEST, HARMLESS, MALLORY, NOTHING, SERVICE, Attempt, Caller, Stage

SPY = """
create function pg_temp.spy(anyelement) returns boolean language plpgsql as $spy$
begin
  if current_user <> session_user then
    raise notice 'sesame: % runs code of %', current_user, session_user;
  end if;
  return true;
end $spy$;
"""
BEGIN = """payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://a.example/', 'https://a.example/', metadata => '{"a": "b"}')"""
TYPES = [
    "text",
    "jsonb",
    "json",
    "uuid",
    "name",
    "timestamptz",
    "bool",
    "int4",
    "int8",
    "record",
    "regclass",
    "regprocedure",
    "interval",
    "bytea",
]
BASE = {"record": "text"}

CALLS = {
    "asks who it is": (MALLORY, "select payments.caller_key()"),
    "asks whom it may bill": (MALLORY, "select * from payments.billable_subjects()"),
    "begins a checkout": (MALLORY, f"begin; select {BEGIN}; rollback"),
    "inserts a checkout": (
        MALLORY,
        """begin; insert into payments.stripe_checkout_sessions (environment, mode, line_items, success_url, cancel_url) values ('test', 'payment', '[{"price": "price_1", "quantity": 2}]', 'https://a.example/', 'https://a.example/'); rollback""",
    ),
    "opens a portal": (MALLORY, "select payments.begin_portal_session('test', 'user', 'mallory')"),
    "reads through a policy": (MALLORY, "select * from payments.stripe_checkout_sessions"),
    "reads transactions": (MALLORY, "select amount from payments.transactions"),
    "reads items": (MALLORY, "select quantity from payments.stripe_subscription_items"),
    "is a guest and begins a checkout": (GUEST, f"begin; select {BEGIN}; rollback"),
    "is the service and ingests": (
        SERVICE,
        """begin; select * from payments.ingest_stripe_event('test', '{"id": "evt_x", "object": "event", "type": "charge.succeeded", "livemode": false, "created": 1760000000, "data": {"object": {"id": "ch_x", "object": "charge", "amount": 1, "customer": "cus_x", "payment_intent": "pi_x"}}}'); rollback""",
    ),
    "is the service and asks for a request": (SERVICE, "begin; select payments.checkout_request(null); rollback"),
    "is the service and fails a checkout": (
        SERVICE,
        "begin; select payments.fail_checkout('00000000-0000-4000-8000-000000000ada', 'x') is null; rollback",
    ),
    "is the service and stores objects": (
        SERVICE,
        """begin; select payments.store_stripe_objects('test', '[{"id": "prod_x", "object": "product"}]'); rollback""",
    ),
    "is the service and retries": (SERVICE, "begin; select payments.retry_failed_events(); rollback"),
    "is an administrator and replays": (
        ADMIN,
        "begin; select payments.replay_event('00000000-0000-4000-8000-000000000007') is null; rollback",
    ),
    "is an administrator and verifies": (
        ADMIN,
        "begin; select count(*) from payments.verify_projections('test'); rollback",
    ),
    "is an administrator and rebuilds": (
        ADMIN,
        "begin; select count(*) from payments.rebuild_projections('test'); rollback",
    ),
}


def shadow(base: str) -> str:
    return f"create domain pg_temp.{base} as pg_catalog.{BASE.get(base, base)} check (pg_temp.spy(value));"


def everything(who: Caller, call: str) -> str:
    """All types at once, the spies' own declarations first."""
    return SPY + "".join(map(shadow, TYPES)) + call


HOSTILE = """
create function hostile.lies(anyelement, anyelement) returns boolean language sql as 'select true';
create function hostile.lies(text, text) returns boolean language sql as 'select true';
create operator hostile.= (leftarg = text, rightarg = text, function = hostile.lies);
create operator hostile.= (leftarg = anyelement, rightarg = anyelement, function = hostile.lies);
create operator hostile.~~ (leftarg = text, rightarg = text, function = hostile.lies);
create operator hostile.~ (leftarg = text, rightarg = text, function = hostile.lies);
create function hostile.current_setting(text, boolean) returns text language sql as $$ select '{"sub": "ada"}' $$;
create function hostile.current_setting(text) returns text language sql as $$ select 'ada' $$;
create function hostile.nullif(text, text) returns text language sql as $$ select 'ada' $$;
create function hostile.caller_key() returns text language sql as $$ select 'user:ada' $$;
create function hostile.current_subject_keys() returns text[] language sql as $$ select array['user:ada'] $$;
create function hostile.encode(bytea, text) returns text language sql as $$ select 'x' $$;
create function hostile.length(text) returns integer language sql as 'select 30';
create table hostile.stripe_checkout_sessions (id int);
create table hostile.customer_mappings (id int);
set search_path = hostile, pg_catalog, payments, public;
"""
READ = "select * from payments.stripe_checkout_sessions"
BILL = """select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://a.example/', 'https://a.example/', 'user', 'ada')"""
PRIVATE = [
    "caller_claims",
    "current_subject_keys",
    "json_text",
    "check_url",
    "prepare_checkout",
    "new_id",
    "environment_or_fail",
]

ATTEMPTS = [
    *(
        Attempt(f"{what} among temporary types", who, everything(who, call), HARMLESS)
        for what, (who, call) in CALLS.items()
    ),
    *(
        Attempt(
            f"begins a checkout beside a temporary type {name}",
            MALLORY,
            f"{SPY}{shadow(name)} begin; select {BEGIN}; rollback",
            HARMLESS,
        )
        for name in TYPES
    ),
    Attempt(
        "puts a spy into a temporary range type",
        MALLORY,
        f"{SPY} create type pg_temp.text as range (subtype = pg_catalog.int4); select payments.caller_key()",
        HARMLESS,
    ),
    Attempt(
        "makes text an enum",
        MALLORY,
        "create type pg_temp.text as enum ('ada'); select payments.caller_key()",
        HARMLESS,
    ),
    Attempt("makes jsonb a row", MALLORY, f"create type pg_temp.jsonb as (sub pg_catalog.text); {READ}", HARMLESS),
    Attempt(
        "puts temporary tables before ours",
        MALLORY,
        f"create temp table customer_mappings (provider_customer_id text); insert into customer_mappings values ('cus_1'); create temp table settings (name text, value text); create temp table clock (stands_at timestamptz, one_row boolean); {READ}",
        NOTHING,
    ),
    Attempt(
        "puts temporary views before the catalogue",
        MALLORY,
        f"create temp view pg_class as select 1 as oid; create temp view pg_roles as select 1 as oid; create temp view pg_proc as select 1 as oid; {READ}",
        NOTHING,
    ),
    Attempt(
        "sets pg_temp as the only path",
        MALLORY,
        f'set search_path = pg_temp; create function pg_temp.current_setting(text, boolean) returns text language sql as $$ select \'{{"sub": "ada"}}\' $$; {READ}',
        NOTHING,
    ),
    Attempt("reads on a hostile path", MALLORY, HOSTILE + READ, NOTHING),
    Attempt("bills on a hostile path", MALLORY, HOSTILE + BILL, "42501"),
    Attempt(
        "opens a portal on a hostile path",
        MALLORY,
        HOSTILE + "select payments.begin_portal_session('test', 'user', 'ada')",
        "42501",
    ),
    Attempt(
        "asks who it is on a hostile path",
        MALLORY,
        HOSTILE + "select payments.caller_key() operator(pg_catalog.=) 'user:mallory'",
        [(True,)],
    ),
    Attempt(
        "asks whom it may bill on a hostile path",
        MALLORY,
        HOSTILE + "select subject_type, subject_id from payments.billable_subjects()",
        [("user", "mallory")],
    ),
    Attempt(
        "is Dan, by a name that equals every other",
        Caller("attack_user", '{"sub": "dan"}'),
        HOSTILE + "select count(*) from payments.transactions",
        [(0,)],
    ),
    Attempt(
        "has a short secret of great length",
        MALLORY,
        HOSTILE
        + "select set_config('request.jwt.claims', '', false), set_config('payments.guest_secret', 'x', false); select payments.caller_key() is null",
        [(True,)],
    ),
    Attempt(
        "puts objects of our names into public",
        MALLORY,
        f"create table public.stripe_checkout_sessions (id int); create function public.caller_key() returns text language sql as $$ select 'user:ada' $$; set search_path = public, payments; {READ}; drop table public.stripe_checkout_sessions; drop function public.caller_key()",
        HARMLESS,
    ),
    Attempt(
        "overloads one of our functions",
        MALLORY,
        "create function payments.begin_checkout(text) returns text language sql as $$ select 'x' $$",
        "42501",
    ),
    *(
        Attempt(
            f"calls {name} through a path",
            MALLORY,
            f"set search_path = payments_private, payments; select {name}()",
            "42883",
        )
        for name in PRIVATE
    ),
    Attempt("makes a schema of our name in its path", MALLORY, "create schema payments_private", "42501"),
    Attempt(
        "casts text with a function of its own",
        MALLORY,
        "create function hostile.to_key(text) returns uuid language sql as 'select null::uuid'; create cast (text as uuid) with function hostile.to_key(text) as implicit",
        "42501",
    ),
    Attempt(
        "gives null another meaning",
        MALLORY,
        f"set transform_null_equals = on; {READ} where subject_key = null",
        NOTHING,
    ),
    Attempt(
        "gives backslashes another meaning",
        MALLORY,
        f"set standard_conforming_strings = off; set backslash_quote = on; {READ}",
        HARMLESS,
    ),
    Attempt(
        "lets columns win over variables",
        MALLORY,
        f"load 'plpgsql'; set plpgsql.variable_conflict = 'use_column'; {READ}",
        "42501",
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
