# ruff: noqa: E501 - SQL is kept in one piece
"""The ledger: the service may see what became of an event, never what a payer said; and what is processed stays so."""

import pytest

from tests.access.stage import ADMIN, GUEST, HARMLESS, MALLORY, NOTHING, SERVICE, Attacker, Attempt, Stage

LEDGER = "payments.webhook_events"
PAID = "'00000000-0000-4000-8000-000000000007'"

ATTEMPTS = [
    Attempt("reads bodies", SERVICE, f"select payload from {LEDGER}", "42501"),
    Attempt("reads unreadable bodies", SERVICE, f"select raw_payload from {LEDGER}", "42501"),
    Attempt("reads everything", SERVICE, f"select * from {LEDGER}", "42501"),
    Attempt("reads rows as a whole", SERVICE, f"select e from {LEDGER} e", "42501"),
    Attempt("reads rows as JSON", SERVICE, f"select to_jsonb(e) from {LEDGER} e", "42501"),
    Attempt("reads rows as text", SERVICE, f"select e::text from {LEDGER} e", "42501"),
    Attempt("reads bodies as a function", SERVICE, f"select payload(e) from {LEDGER} e", "42501"),
    Attempt("reads bodies of a whole row", SERVICE, f"select (e).payload from {LEDGER} e", "42501"),
    Attempt("filters by bodies", SERVICE, f"select id from {LEDGER} where payload::text like '%@%'", "42501"),
    Attempt("sorts by bodies", SERVICE, f"select id from {LEDGER} order by payload", "42501"),
    Attempt("groups by bodies", SERVICE, f"select count(*) from {LEDGER} group by payload", "42501"),
    Attempt("counts bodies", SERVICE, f"select count(payload) from {LEDGER}", "42501"),
    Attempt("joins by bodies", SERVICE, f"select 1 from {LEDGER} a join {LEDGER} b using (payload)", "42501"),
    Attempt(
        "joins naturally", SERVICE, f"select 1 from {LEDGER} a natural join (values (null::jsonb)) v (payload)", "42501"
    ),
    Attempt("copies bodies", SERVICE, f"copy {LEDGER} (payload) to stdout", "42501"),
    Attempt("copies all", SERVICE, f"copy {LEDGER} to stdout", "42501"),
    Attempt("copies a query", SERVICE, f"copy (select payload from {LEDGER}) to stdout", "42501"),
    Attempt("prints the table", SERVICE, f"table {LEDGER}", "42501"),
    Attempt("dumps it as XML", SERVICE, f"select table_to_xml('{LEDGER}', true, false, '')", ("42501", "0A000")),
    Attempt("reads dead events with their errors", SERVICE, "select * from payments.dead_events", "42501"),
    Attempt("makes an event pending", SERVICE, f"update {LEDGER} set processing_status = 'pending'", "42501"),
    Attempt(
        "makes an event pending as replaying does",
        SERVICE,
        f"set payments.replaying = {PAID}; update {LEDGER} set processing_status = 'pending' where id = {PAID}",
        "42501",
    ),
    Attempt(
        "deletes an event to have it again", SERVICE, f"delete from {LEDGER} where provider_event_id = 'evt_7'", "42501"
    ),
    Attempt(
        "inserts an event",
        SERVICE,
        f"insert into {LEDGER} (environment, provider_event_id, processing_status) values ('test', 'evt_x', 'processed')",
        "42501",
    ),
    Attempt("truncates the ledger", SERVICE, f"truncate {LEDGER}", "42501"),
    Attempt("locks an event", SERVICE, f"select id from {LEDGER} for update", "42501"),
    Attempt(
        "delivers a processed event again",
        SERVICE,
        """select processing_status, duplicate from payments.ingest_stripe_event('test', '{"id": "evt_7", "object": "event", "type": "payment_intent.succeeded", "livemode": false, "created": 1760000010, "data": {"object": {"id": "pi_other", "object": "payment_intent", "amount": 1}}}')""",
        [("processed", True)],
    ),
    Attempt(
        "delivers a live event to the test endpoint",
        SERVICE,
        """select * from payments.ingest_stripe_event('test', '{"id": "evt_l", "object": "event", "livemode": true, "data": {"object": {}}}')""",
        "PY008",
    ),
    Attempt("delivers no event", SERVICE, "select * from payments.ingest_stripe_event('test', '[]')", "PY007"),
    Attempt(
        "delivers to another environment", SERVICE, "select * from payments.ingest_stripe_event('prod', '{}')", "PY001"
    ),
    Attempt(
        "answers an attempt with another's session",
        SERVICE,
        """select payments.finish_checkout('00000000-0000-4000-8000-000000000ada', '{"id": "cs_x", "object": "checkout.session", "livemode": false, "metadata": {"payments_checkout_id": "00000000-0000-4000-8000-000000000999"}, "url": "https://evil.example/"}')""",
        "PY006",
    ),
    Attempt(
        "answers an attempt with a second session",
        SERVICE,
        """select payments.finish_checkout('00000000-0000-4000-8000-000000000ada', '{"id": "cs_x", "object": "checkout.session", "livemode": false, "metadata": {"payments_checkout_id": "00000000-0000-4000-8000-000000000ada"}}')""",
        "PY006",
    ),
    Attempt(
        "answers an attempt with a live session",
        SERVICE,
        """select payments.finish_checkout('00000000-0000-4000-8000-000000000ada', '{"id": "cs_test_1", "object": "checkout.session", "livemode": true}')""",
        "PY008",
    ),
    Attempt(
        "answers an attempt with something else",
        SERVICE,
        """select payments.finish_checkout('00000000-0000-4000-8000-000000000ada', '{"id": "pi_1", "object": "payment_intent"}')""",
        "PY001",
    ),
    Attempt(
        "is an administrator and changes a processed event",
        ADMIN,
        f"update {LEDGER} set processing_status = 'pending' where id = {PAID}",
        "42501",
    ),
    Attempt(
        "is an administrator and changes it as replaying does",
        ADMIN,
        f"set payments.replaying = {PAID}; update {LEDGER} set processing_status = 'pending' where id = {PAID}",
        "42501",
    ),
    Attempt("is an administrator and deletes an event", ADMIN, f"delete from {LEDGER}", "42501"),
    Attempt(
        "is an administrator and edits a transaction", ADMIN, "update payments.transactions set amount = 0", "42501"
    ),
    Attempt(
        "is an administrator and maps a customer",
        ADMIN,
        "insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id) values ('test', 'user', 'mallory', 'cus_1')",
        "42501",
    ),
    Attempt(
        "is an administrator and replays what can't be read",
        ADMIN,
        "select payments.replay_event('00000000-0000-4000-8000-00000000dead')",
        "PY006",
    ),
    Attempt(
        "is a user and replays",
        MALLORY,
        f"set payments.replaying = {PAID}; select payments.replay_event({PAID})",
        "42501",
    ),
    Attempt("is a guest and updates an event", GUEST, f"update {LEDGER} set processing_status = 'processed'", "42501"),
    Attempt(
        "finishes a checkout that is not", SERVICE, "select payments.finish_checkout(gen_random_uuid(), '{}')", "PY005"
    ),
    Attempt(
        "fails a checkout that has its session",
        SERVICE,
        "select status from payments.fail_checkout('00000000-0000-4000-8000-000000000999', 'x')",
        [("open",)],
    ),
    Attempt("retries a number of events below zero", SERVICE, "select payments.retry_failed_events(-1)", "PY001"),
    Attempt(
        "looks for bodies in the statistics",
        SERVICE,
        "select * from pg_stats where schemaname = 'payments' and attname in ('payload', 'raw_payload')",
        NOTHING,
    ),
    Attempt(
        "looks for bodies in the server's activity",
        SERVICE,
        "select query from pg_stat_activity where usename <> current_user and query not like '<%'",
        HARMLESS,
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)


def test_the_owner_itself_does_not_change_a_processed_event(stage: Stage) -> None:
    """Not even by an accident of whoever has every right: PY006, whatever the column."""
    for change in ["processing_status = 'pending'", "payload = '{}'", "id = gen_random_uuid()", "updated_at = now()"]:
        before = stage.fingerprint()
        assert Attacker(stage.conn).run(f"update {LEDGER} set {change} where id = {PAID}").sqlstate == "PY006"
        assert stage.changed_since(before) == []
