# ruff: noqa: E501 - SQL is kept in one piece
"""Advisory locks are everybody's: who may run SQL may hold one that the package waits for, if it knows its key.

Keys are derived with a secret. Who watches pg_locks sees those that are held, and can delay what needs the same object
again: that is waited for a bounded time and then refused, naming the session. It loses nothing and changes nothing.
"""

import time

import psycopg
import pytest

from tests.access.stage import ADMIN, GUEST, MALLORY, SERVICE, STRANGER, Caller, Stage

EVENT = '{"id": "evt_late", "object": "event", "type": "product.created", "livemode": false, "created": 1, "data": {"object": {"id": "prod_late", "object": "product"}}}'
INGEST = f"select processing_status from payments.ingest_stripe_event('test', '{EVENT}')"

NAMES = ["test", "live", "test:product:prod_late", "purge", "retry", "webhook_endpoint:test"]


@pytest.mark.parametrize("who", [MALLORY, GUEST, STRANGER], ids=["user", "guest", "stranger"])
def test_keys_are_not_known_from_names(who: Caller, stage: Stage) -> None:
    with stage.connected(who) as attacker, stage.connected(SERVICE) as service:
        for name in NAMES:
            for key in (f"hashtextextended('payments:{name}', 0)", f"hashtext('payments:{name}')::bigint"):
                assert attacker.run(f"select pg_advisory_lock({key})").sqlstate is None
        with service.conn.transaction(force_rollback=True):
            assert service.run(INGEST).rows == [("processed",)]


@pytest.mark.parametrize("who", [MALLORY, GUEST, SERVICE, ADMIN, STRANGER], ids=lambda who: who.login)
@pytest.mark.parametrize("mode", ["access share", "row share", "exclusive"])
@pytest.mark.parametrize("area", ["test", "live", "purge"])
def test_nobody_locks_an_environment(who: Caller, mode: str, area: str, stage: Stage) -> None:
    with stage.connected(who) as attacker:
        refused = attacker.run(f"begin; lock table payments_private.lock_of_{area} in {mode} mode")
        assert refused.sqlstate == "42501"
        assert attacker.run("rollback").sqlstate is None
        assert attacker.run("select payments_private.lock_key('payments:test')").sqlstate == "42501"
        assert attacker.run("select payments_private.lock_secret()").sqlstate == "42501"


def keys_held(stage: Stage, service: psycopg.Connection[object]) -> list[int]:
    """What everybody sees in pg_locks of the advisory locks of a session."""
    query = "select (classid::bigint << 32 | objid::bigint) from pg_locks where locktype = 'advisory' and pid = %s"
    return [row[0] for row in stage.conn.execute(query, [service.info.backend_pid])]


@pytest.mark.parametrize("limit", ["0", "200ms"])
def test_a_key_seen_in_pg_locks_delays_for_a_bounded_time(limit: str, stage: Stage) -> None:
    with stage.connected(STRANGER) as attacker, stage.connected(SERVICE) as service:
        attacker.run("set application_name = 'not yours'")
        with service.conn.transaction(force_rollback=True):
            service.run(INGEST)
            keys = keys_held(stage, service.conn)
        before = stage.fingerprint()
        for key in keys:
            attacker.run(f"select pg_advisory_lock({key})")
        service.run(f"set lock_timeout = '{limit}'")
        began = time.monotonic()
        late = service.run(INGEST.replace("processing_status", "processing_status, error"))
        assert time.monotonic() - began < 5
        ((status, error),) = late.rows
        assert (status, error[:5]) == ("failed", "55P03")
        assert f"pid {attacker.conn.info.backend_pid} (user attack_stranger, application not yours)" in error
        assert stage.changed_since(before) == ["rows of payments.webhook_events"], "it is kept, to be tried again"
        assert service.run("show lock_timeout").rows == [(limit,)]
        attacker.run("select pg_advisory_unlock_all()")
        with service.conn.transaction(force_rollback=True):
            assert service.run(INGEST).rows == [("processed",)]
            assert service.run("show lock_timeout").rows == [(limit,)]


@pytest.mark.parametrize("other", ["payments.rebuild_projections('test')", "payments.verify_projections('test')"])
def test_other_objects_are_not_delayed(other: str, stage: Stage) -> None:
    """Nor is what needs the environment as a whole."""
    with stage.connected(STRANGER) as attacker, stage.connected(SERVICE) as service, stage.connected(ADMIN) as admin:
        with service.conn.transaction(force_rollback=True):
            service.run(INGEST)
            keys = keys_held(stage, service.conn)
        for key in keys:
            attacker.run(f"select pg_advisory_lock({key})")
        with service.conn.transaction(force_rollback=True):
            assert service.run(INGEST.replace("prod_late", "prod_other")).rows == [("processed",)]
        with admin.conn.transaction(force_rollback=True):
            assert admin.run(f"select {other}").sqlstate is None


def test_who_needs_the_whole_environment_is_told_who_works_in_it(stage: Stage) -> None:
    with stage.connected(SERVICE) as service, stage.connected(ADMIN) as admin:
        with service.conn.transaction(force_rollback=True):
            service.run(INGEST)
            admin.run("set lock_timeout = '100ms'")
            refused = admin.run("select payments.rebuild_projections('test')")
        assert refused.sqlstate == "55P03"
        assert f"pid {service.conn.info.backend_pid} (user attack_service" in str(refused.error[1])


def test_held_locks_do_not_keep_a_user_from_its_checkout(stage: Stage) -> None:
    with (
        stage.connected(MALLORY) as attacker,
        psycopg.connect(stage.server.url(stage.database, "attack_user")) as other,
    ):
        attacker.run(
            "select pg_advisory_lock(hashtextextended('payments:test', 0)), pg_advisory_lock(hashtextextended('payments:live', 0))"
        )
        other.execute("set lock_timeout = '200ms'")
        other.execute("""select set_config('request.jwt.claims', '{"sub": "erin"}', false)""")
        begun = other.execute(
            """select status from payments.begin_checkout('test', 'payment', '[{"price": "p"}]', 'https://a.example/', 'https://a.example/')"""
        ).fetchone()
        assert begun == ("initialized",)
        other.rollback()
