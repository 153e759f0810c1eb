# ruff: noqa: E501 - SQL is kept in one piece
"""What is inside stays inside: private functions by whatever way, the service's and administrators' work, clock, settings, registry."""

import pytest

from tests.access.stage import ADA, ADMIN, GUEST, HARMLESS, MALLORY, SERVICE, STRANGER, Attempt, Caller, Stage

EVENT = """'{"id": "evt_forged", "object": "event", "type": "ping", "livemode": false, "created": 1, "data": {"object": {}}}'"""
ADAS = "'00000000-0000-4000-8000-000000000ada'"
SERVICES = {
    "ingests an event": f"select * from payments.ingest_stripe_event('test', {EVENT})",
    "ingests events": f"select * from payments.ingest_stripe_events('test', array[{EVENT}])",
    "stores objects": """select payments.store_stripe_objects('test', '[{"id": "sub_sesame", "object": "subscription", "status": "canceled"}]')""",
    "asks for a checkout's request": f"select payments.checkout_request({ADAS})",
    "finishes a checkout": f"select payments.finish_checkout({ADAS}, '{{}}')",
    "fails a checkout": f"select payments.fail_checkout({ADAS}, 'x')",
    "asks for a portal's request": f"select payments.portal_request({ADAS})",
    "finishes a portal": f"select payments.finish_portal_session({ADAS}, '{{}}')",
    "fails a portal": f"select payments.fail_portal_session({ADAS}, 'x')",
    "connects an account": """select payments.connect_account('test', '{"id": "acct_1"}', false)""",
    "replaces an account": """select payments.replace_account('test', '{"id": "acct_1"}', false, 'x', 'x')""",
    "finishes a sync": "select payments.finish_sync('test', '{}')",
    "reads a stored key": "select payments.stored_secret('test', 'secret_key')",
    "changes a stored key": "select payments.reencrypt_secret('test', 'secret_key', 'x', 'y')",
    "reads the webhook secrets": "select * from payments.webhook_secrets('test')",
    "reads the webhook endpoint": "select * from payments.webhook_endpoint('test')",
    "replaces the webhook endpoint": "select payments.record_webhook_endpoint('test', 'we_1', 'https://evil.example', 'x')",
    "forgets a key": "select payments.forget_key('test')",
    "retries events": "select payments.retry_failed_events()",
}
ADMINS = {
    "replays an event": "select payments.replay_event('00000000-0000-4000-8000-000000000007')",
    "rebuilds": "select payments.rebuild_projections('test')",
    "verifies": "select * from payments.verify_projections('test')",
}
OWNERS = {
    "registers a membership table": "select payments.register_subject_type('team', 'hostile.mine', 'a', 'b')",
    "registers a function": "select payments.register_subject_type('team', 'hostile.teams()'::regprocedure)",
    "unregisters a type": "select payments.unregister_subject_type('team')",
    "opens reading": "select payments.open_to_users('transactions')",
    "closes reading": "select payments.close_to_users('transactions')",
    "allows origins": "select payments.allow_origins(null)",
}
PREPARED = "create table hostile.mine (a text, b text); create function hostile.teams() returns setof text language sql as $$ select 't1' $$;"
INSIDE = "payments_private.current_subject_keys()"

ATTEMPTS = [
    *(Attempt(f"{what} as a user", ADA, sql, "42501") for what, sql in (SERVICES | ADMINS).items()),
    *(Attempt(f"{what} as a guest", GUEST, sql, "42501") for what, sql in (SERVICES | ADMINS).items()),
    *(Attempt(f"{what} as a stranger", STRANGER, sql, "42501") for what, sql in (SERVICES | ADMINS).items()),
    *(Attempt(f"{what} as the service", SERVICE, sql, "42501") for what, sql in ADMINS.items()),
    *(
        Attempt(f"{what} as an administrator", ADMIN, sql, "42501")
        for what, sql in SERVICES.items()
        if what != "retries events"
    ),
    *(Attempt(f"{what} as a user", MALLORY, PREPARED + sql, "42501") for what, sql in OWNERS.items()),
    *(
        Attempt(
            f"{what} as the service",
            SERVICE,
            sql.replace("hostile.mine", "pg_catalog.pg_class").replace("hostile.teams", "pg_catalog.now"),
            "42501",
        )
        for what, sql in OWNERS.items()
    ),
    *(
        Attempt(
            f"{what} as an administrator",
            ADMIN,
            sql.replace("hostile.mine", "pg_catalog.pg_class").replace("hostile.teams", "pg_catalog.now"),
            "42501",
        )
        for what, sql in OWNERS.items()
    ),
    Attempt("calls an internal function", MALLORY, f"select {INSIDE}", "42501"),
    Attempt("calls it as a column", MALLORY, f"select ({INSIDE}).x", "42501"),
    Attempt("calls it as a table", MALLORY, f"select * from {INSIDE}", "42501"),
    Attempt(
        "calls it as a default",
        MALLORY,
        f"create table hostile.t (a text[] default {INSIDE}); insert into hostile.t default values",
        "42501",
    ),
    Attempt(
        "calls it as a check",
        MALLORY,
        "create table hostile.t (a jsonb check (payments_private.json_text(a) is null))",
        "42501",
    ),
    Attempt(
        "calls it as an index",
        MALLORY,
        "create table hostile.t (a jsonb); create index on hostile.t (payments_private.json_text(a))",
        "42501",
    ),
    Attempt(
        "calls it as a cast",
        MALLORY,
        "create type hostile.c as (a int); create cast (jsonb as hostile.c) with function payments_private.json_text(jsonb)",
        "42501",
    ),
    Attempt(
        "calls it as an aggregate",
        MALLORY,
        "create aggregate hostile.a (jsonb) (sfunc = payments_private.json_text, stype = text)",
        "42501",
    ),
    Attempt(
        "calls it as an operator",
        MALLORY,
        "create operator hostile.@@@ (rightarg = jsonb, function = payments_private.json_text)",
        "42501",
    ),
    Attempt("calls it as a window", MALLORY, f"select {INSIDE} over ()", "42501"),
    Attempt(
        "calls it from a function",
        MALLORY,
        f"create function hostile.f() returns text[] language sql security definer as 'select {INSIDE}'",
        "42501",
    ),
    Attempt(
        "calls it from an atomic function",
        MALLORY,
        f"create function hostile.f() returns text[] begin atomic select {INSIDE}; end",
        "42501",
    ),
    Attempt("calls it in a DO", MALLORY, f"do $$ begin perform {INSIDE}; end $$", "42501"),
    Attempt(
        "calls it by its name in text",
        MALLORY,
        "select 'payments_private.current_subject_keys()'::regprocedure",
        "42501",
    ),
    Attempt(
        "calls the lookup of a registered type", MALLORY, "select payments_private.subjects_of_team('ada')", "42501"
    ),
    Attempt(
        "calls the generated lookup for another user",
        MALLORY,
        "select payments_private.subject_keys_of('ada')",
        "42501",
    ),
    Attempt("is the service and calls an internal function", SERVICE, f"select {INSIDE}", "42501"),
    Attempt(
        "is an administrator and reads quarantine", ADMIN, "select * from payments_private.stashed_events", "42501"
    ),
    Attempt("is the service and reads quarantine", SERVICE, "select * from payments_private.stashed_events", "42501"),
    Attempt(
        "finds a table inside by its number",
        MALLORY,
        "select (select oid from pg_class where relname = 'clock' and relnamespace = 'payments_private'::regnamespace)::regclass::text",
        HARMLESS,
    ),
    Attempt("stops the clock", MALLORY, "insert into payments_private.clock values ('2000-01-01')", "42501"),
    Attempt(
        "is the service and stops the clock",
        SERVICE,
        "insert into payments_private.clock values ('2000-01-01')",
        "42501",
    ),
    Attempt(
        "is an administrator and stops the clock",
        ADMIN,
        "insert into payments_private.clock values ('2000-01-01')",
        "42501",
    ),
    Attempt(
        "changes a setting", MALLORY, "insert into payments_private.settings values ('metadata_prefix', '')", "42501"
    ),
    Attempt(
        "is the service and changes a setting",
        SERVICE,
        "insert into payments_private.settings values ('max_attempts', '0')",
        "42501",
    ),
    Attempt(
        "registers by writing the registry",
        MALLORY,
        "insert into payments_private.subject_types (subject_type, lookup) values ('team', 'x')",
        "42501",
    ),
    Attempt(
        "opens reading by writing it down",
        MALLORY,
        "insert into payments_private.open_readings (what) values ('transactions')",
        "42501",
    ),
    Attempt(
        "claims a customer",
        MALLORY,
        "insert into payments_private.customer_claims values ('test', '', 'cus_1', 'hand', now(), 'user', 'mallory')",
        "42501",
    ),
    Attempt("looks into what is installed", MALLORY, "select * from payments_migrations.applied_migration", "42501"),
    Attempt(
        "is an administrator and edits what is installed",
        ADMIN,
        "delete from payments_migrations.applied_migration",
        "42501",
    ),
    Attempt(
        "sets our settings as GUCs",
        MALLORY,
        "set payments.replaying = '00000000-0000-4000-8000-000000000007'; set payments.clock = '2000-01-01'; set payments.metadata_prefix = ''; select count(*) from payments.transactions",
        [(0,)],
    ),
    Attempt("calls through an empty claims role", Caller("attack_stranger"), "select payments.caller_key()", "42501"),
    Attempt(
        "asks for a function's source, which is no secret",
        MALLORY,
        "select pg_get_functiondef('payments.caller_key()'::regprocedure) is null",
        HARMLESS,
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
