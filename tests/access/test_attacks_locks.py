# ruff: noqa: E501 - SQL is kept in one piece
"""Advisory locks are everybody's: who may run SQL may hold one that the package waits for.

What that can do is delay an event, for as long as the attacker stays connected. It loses nothing and changes nothing.
"""

import psycopg

from tests.access.stage import MALLORY, SERVICE, Stage

EVENT = '{"id": "evt_late", "object": "event", "type": "product.created", "livemode": false, "created": 1, "data": {"object": {"id": "prod_late", "object": "product"}}}'


def test_a_held_lock_delays_and_loses_nothing(stage: Stage) -> None:
    with stage.connected(MALLORY) as attacker, stage.connected(SERVICE) as service:
        before = stage.fingerprint()
        attacker.run("select pg_advisory_lock(hashtextextended('payments:test', 0))")
        service.run("set lock_timeout = '200ms'")
        late = service.run(f"select processing_status from payments.ingest_stripe_event('test', '{EVENT}')")
        assert late.sqlstate == "55P03"
        assert stage.changed_since(before) == []
        attacker.run("select pg_advisory_unlock_all()")
        with service.conn.transaction(force_rollback=True):
            again = service.run(f"select processing_status from payments.ingest_stripe_event('test', '{EVENT}')")
            assert again.rows == [("processed",)]


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
