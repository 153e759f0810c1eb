"""What the overview says of payments is what SQL says of all of them, whatever was counted before and changed since."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from pg_payments.database import dashboard as queries
from pg_payments.database import functions
from pg_payments.database.dashboard import Scope
from tests.support.servers import Server
from tests.support.waiting import wait_until

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

OURS = Scope("test")
SCOPES = (OURS, Scope("live"), Scope("test", "acct_shop2"))
DAYS = 9
SINCE = (datetime.now(UTC) - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
MADE = """
insert into payments.transactions (environment, account_id, type, status, provider_object_type, provider_object_id,
  amount, amount_refunded, currency, paid_at, provider_created_at)
select e, a, (array['one_time_payment', 'refund', 'failed_payment'])[1 + (random() * 2)::int],
       (array['succeeded', 'failed', 'pending', 'disputed'])[1 + (random() * 3)::int], 'payment_intent',
       'pi_' || gen_random_uuid(), (random() * 9000)::int, (random() * 10)::int,
       (array['eur', 'usd', 'kwd', null])[1 + (random() * 3)::int], case when random() < 0.7 then now() end,
       case when random() < 0.02 then null else now() - random() * interval '8 days' + random() * interval '1 hour' end
  from (values ('test', null), ('live', null), ('test', 'acct_shop2')) x (e, a), generate_series(1, %s)
"""
BY_SQL = """
select (least(t.provider_created_at, now()) at time zone 'UTC')::date as day,  -- what is of the future counts now
       t.currency, t.type, t.status, count(*) as number,
       sum(t.amount)::bigint as amount, sum(t.amount_refunded)::bigint as refunded,
       (sum(t.amount) filter (where t.paid_at is not null))::bigint as paid
  from payments.transactions t
 where t.environment = %s and t.account_id is not distinct from %s and t.provider_created_at >= %s
 group by 1, 2, 3, 4
"""
CHANGES = (
    "update payments.transactions set status = 'refunded', amount_refunded = amount where {some}",
    "update payments.transactions set provider_created_at = now() - random() * interval '8 days' where {some}",
    "update payments.transactions set provider_created_at = null where {some}",
    "update payments.transactions set paid_at = null, currency = 'jpy' where {some}",
    "update payments.transactions set description = 'no change of a sum' where {some}",
    "delete from payments.transactions where {some}",
    "truncate payments.transactions",
)


@pytest.fixture
def shop(module_conn: Conn) -> Iterator[Conn]:
    """With some payments; nobody has looked at the volume yet."""
    module_conn.execute(
        "truncate payments.transactions, payments_private.followed_volumes, payments_private.changed_hours"
    )
    module_conn.execute(MADE, [200])
    yield module_conn
    module_conn.execute("drop policy if exists only_small_ones on payments.transactions")


def volume(conn: Conn, scope: Scope = OURS) -> set[tuple[Any, ...]]:
    """As an administrator is told it."""
    with conn.transaction():
        functions.act_as(conn, "payments_admin", "{}", None)
        rows = queries.volume(conn, scope, SINCE)
    return {tuple(value for name, value in row.items() if name != "cut") for row in rows}


def by_sql(conn: Conn, scope: Scope = OURS) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in conn.execute(BY_SQL, [scope.environment, scope.account, SINCE]).fetchall()}


def count(conn: Conn, scope: Scope = OURS) -> int | None:
    with conn.transaction():
        functions.act_as(conn, "payments_admin", "{}", None)
        return queries.count_volume(conn, scope, SINCE)


def follow(conn: Conn, scope: Scope = OURS) -> None:
    """From here on the volume is counted; whatever else runs in the cluster, as the statistics do, has had its time."""
    assert count(conn, scope) is None  # it is only noted that somebody looks
    wait_until(lambda: count(conn, scope) is not None, "the volume is counted")


def counted(conn: Conn, scope: Scope = OURS) -> int:
    """Hours of which the database knows the volume."""
    rows = conn.execute(
        "select distinct hour from payments.counted_volume(%s, %s, %s)", [scope.environment, scope.account, SINCE]
    ).fetchall()
    return len(rows)


def test_it_is_what_sql_says_before_and_after_counting_and_after_every_change(shop: Conn) -> None:
    chance = random.Random(11)
    for scope in SCOPES:
        assert volume(shop, scope) == by_sql(shop, scope)
        follow(shop, scope)
        assert counted(shop, scope) > 24 * (DAYS - 1)
        assert count(shop, scope) == 0
    for change in [*CHANGES, *chance.choices(CHANGES[:-1], k=8)]:
        shop.execute(MADE, [20])
        shop.execute(change.format(some=f"random() < {chance.choice((0.02, 0.2))}"))
        for scope in SCOPES:
            assert volume(shop, scope) == by_sql(shop, scope), change
            count(shop, scope)
            assert volume(shop, scope) == by_sql(shop, scope), change


def test_what_is_written_without_triggers_is_seen_too(shop: Conn) -> None:
    follow(shop)
    shop.execute("set session_replication_role = replica")
    shop.execute(MADE, [50])
    shop.execute("delete from payments.transactions where random() < 0.1")
    shop.execute("reset session_replication_role")
    assert volume(shop) == by_sql(shop)


def test_nothing_is_counted_while_somebody_writes_who_does_not_note_it(server: Server, shop: Conn) -> None:
    with psycopg.connect(server.url(shop.info.dbname)) as early:
        early.execute(MADE, [5])  # began before anybody looked
        assert count(shop) is None
        assert count(shop) is None
        assert volume(shop) == by_sql(shop)
        early.commit()
    wait_until(lambda: count(shop) is not None, "the volume is counted")
    assert volume(shop) == by_sql(shop)


def test_what_is_committed_after_counting_is_seen(server: Server, shop: Conn) -> None:
    follow(shop)
    with psycopg.connect(server.url(shop.info.dbname)) as one, psycopg.connect(server.url(shop.info.dbname)) as other:
        for writer in (one, other):  # both change the same hours, and neither waits
            writer.execute("set lock_timeout = '5s'")
            writer.execute(MADE, [200])
        assert count(shop) == 0
        assert volume(shop) == by_sql(shop)
        one.commit()
        assert volume(shop) == by_sql(shop)
        assert count(shop)
        other.rollback()
    assert volume(shop) == by_sql(shop)


def test_a_change_costs_only_its_hour(shop: Conn) -> None:
    follow(shop)
    before = counted(shop)
    shop.execute(
        "update payments.transactions set amount = amount + 1 where id = (select id from payments.transactions"
        " where environment = 'test' and account_id is null and provider_created_at < now() - interval '2 days'"
        " limit 1)"
    )
    assert counted(shop) == before - 1
    shop.execute("update payments.transactions set description = 'told again', updated_at = now()")
    assert counted(shop) == before - 1


def test_a_long_list_is_counted_in_steps(shop: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.execute(MADE, [2000])
    monkeypatch.setattr(queries, "OVERVIEW", 300)
    cuts: list[datetime] = []
    for _ in range(30):
        with shop.transaction():
            cut = queries.volume(shop, OURS, SINCE)[0]["cut"]
        if cut is None:
            break
        cuts.append(cut)
        whole = {row for row in by_sql(shop) if row[0] > cut.date()}
        assert {row for row in volume(shop) if row[0] > cut.date()} == whole
        assert all(row[0] >= cut.date() for row in volume(shop))
        count(shop)
    assert len(cuts) > 2
    assert cuts == sorted(cuts, reverse=True)
    assert volume(shop) == by_sql(shop)


def test_who_may_read_a_part_is_told_of_that_part(shop: Conn) -> None:
    follow(shop)
    shop.execute(
        "create policy only_small_ones on payments.transactions as restrictive for select using (amount < 1000)"
    )
    assert counted(shop) == 0
    told = volume(shop)
    shop.execute("delete from payments.transactions where amount >= 1000")
    assert told == by_sql(shop)


def test_whoever_does_not_look_costs_nothing(shop: Conn) -> None:
    count(shop)
    shop.execute("delete from payments.transactions where environment = 'live' or account_id is not null")
    (row,) = shop.execute("select count(*) as number from payments_private.changed_hours").fetchall()
    assert row["number"] == 0
