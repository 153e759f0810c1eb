"""Behind PgBouncer in transaction mode: two server connections for everybody, whoever they are.

Nobody gets a row of somebody else's, nothing of a caller stays on a connection, nothing relies on a prepared statement.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import AsyncConnection

from pg_payments.database import functions
from pg_payments.demo.deliveries import signed
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.errors import MigrationError
from pg_payments.http.routes.users import GUEST_HEADER
from pg_payments.schema.migrate import migrate, rollback, status
from tests.http.test_webhooks import an_event
from tests.stripe_simulator.shop import shop
from tests.support.crowd import crowd, serving
from tests.support.pgbouncer import POOL_SIZE, Pooler, pooling, superuser
from tests.support.servers import Server
from tests.support.site import (
    ADMIN_KEY,
    ADMIN_ROLE,
    TEST_SECRET,
    admin_shop_url,
    bring_application,
    token,
)
from tests.support.stripe_account import StripeAccount
from tests.support.tools import command

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

LOGIN = "test_admin_shop"
MASTER_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
CLIENTS = 40
SECONDS = 4
LEFT_BEHIND = """
select pg_backend_pid() as backend, current_user::text as acting, current_setting('role') as role,
       coalesce(current_setting('request.jwt.claims', true), '') as claims,
       coalesce(current_setting('payments.guest_secret', true), '') as secret,
       current_setting('search_path') as search_path,
       (select count(*) from pg_prepared_statements) as prepared,
       (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory') as locks
"""


@pytest.fixture
def pooler(server: Server, conn: Conn) -> Iterator[Pooler]:
    bring_application(conn)
    admin_shop_url(server, conn.info.dbname)
    with pooling(server, LOGIN) as running:
        yield running


@pytest.fixture
def pooled_url(pooler: Pooler, conn: Conn) -> str:
    """URI of the test's database through the pooler, for the shop's login."""
    return pooler.url(conn.info.dbname, LOGIN)


@pytest.fixture
def stand_in() -> Iterator[StripeAccount]:
    with loopback_socket() as bound:
        account = StripeAccount(address_of(bound))
        with served(account.app, bound):
            yield account


def connections(url: str) -> list[Row]:
    """What is left behind on each server connection of the pool, each held while the next is asked for."""
    with ExitStack() as stack:
        rows = []
        for _ in range(POOL_SIZE):
            conn = stack.enter_context(psycopg.connect(url, row_factory=psycopg.rows.dict_row))
            row = conn.execute(LEFT_BEHIND).fetchone()  # opens a transaction, which holds the connection
            assert row is not None
            rows.append(row)
    return rows


def clean(rows: list[Row]) -> None:
    assert len({row.pop("backend") for row in rows}) == POOL_SIZE
    for row in rows:
        assert row == {
            "acting": LOGIN, "role": "none", "claims": "", "secret": "", "search_path": '"$user", public',
            "prepared": 0, "locks": 0,
        }  # fmt: skip


@pytest.mark.slow
def test_a_crowd_of_strangers_shares_two_connections(
    pooled_url: str, conn: Conn, stand_in: StripeAccount, tmp_path: Path
) -> None:
    """Users, guests, administrators, deliveries and SQL clients at once; users and guests all use the same key."""
    price = stand_in.create_price({"product": stand_in.create_product({"name": "Tea"})["id"], "unit_amount": 1900,
                                   "currency": "eur"})["id"]  # fmt: skip
    done: Counter[str] = Counter()
    first_answers: dict[int, Any] = {}
    settings = {
        "STRIPE_API_BASE": stand_in.base_url, "PAYMENTS_ADMIN_API_KEY": ADMIN_KEY,
        "PAYMENTS_JWT_ROLES": f"authenticated,anon,{ADMIN_ROLE}",
    }  # fmt: skip

    with serving(pooled_url, tmp_path / "log", **settings) as running:
        payments = f"{running.base}/api/payments/stripe"

        async def check_out(web: httpx.AsyncClient, bearer: str, payer: str | None, **headers: str) -> httpx.Response:
            wish = {
                "mode": "payment", "lineItems": [{"priceId": price, "quantity": 1}],
                "successUrl": "https://shop.example/thanks", "cancelUrl": "https://shop.example/cart",
                "subject": {"type": "user", "id": payer} if payer else None, "idempotencyKey": "order:1",
            }  # fmt: skip
            return await web.post(
                f"{payments}/test/checkout-sessions", json={name: wish[name] for name in wish if wish[name]},
                headers={"Authorization": f"Bearer {bearer}"} | headers,
            )  # fmt: skip

        def own(number: int, answer: httpx.Response) -> None:
            assert answer.status_code == 201, answer.text
            assert first_answers.setdefault(number, answer.json()) == answer.json()

        async def user(web: httpx.AsyncClient, number: int) -> None:
            me = f"user-{number}"
            answer = await check_out(web, token(me), me)
            own(number, answer)
            assert answer.json()["checkoutSession"]["subjectId"] == me
            refused = await check_out(web, token(me), f"user-{number + 5}")
            assert refused.status_code == 403, refused.text

        async def guest(web: httpx.AsyncClient, number: int) -> None:
            secret = f"the secret of guest number {number}"
            answer = await check_out(web, token(None, "anon"), None, **{GUEST_HEADER: secret})
            own(number, answer)
            assert answer.headers[GUEST_HEADER] == secret

        async def administrator(web: httpx.AsyncClient, number: int) -> None:
            token_or_key = token(role=ADMIN_ROLE) if number % 2 else ADMIN_KEY
            for name in ("transactions", "subscriptions", "customers"):
                answer = await web.get(
                    f"{payments}/test/{name}", headers={"Authorization": f"Bearer {token_or_key}"}
                )  # fmt: skip
                assert answer.status_code == 200, answer.text

        async def deliverer(web: httpx.AsyncClient, _: int) -> None:
            body = an_event()
            answer = await web.post(
                f"{running.base}/api/webhooks/stripe/test", content=body.encode(), headers=signed(body, TEST_SECRET)
            )  # fmt: skip
            assert answer.status_code == 200, answer.text
            assert answer.json()["event"]["eventId"] == json.loads(body)["id"]

        async def reader(_: httpx.AsyncClient, number: int) -> None:
            """An application that sets the claims of a neighbour, who is a user, itself."""
            whom = f"user-{number - 4}"
            async with await AsyncConnection.connect(pooled_url, autocommit=True, prepare_threshold=None) as own_conn:
                async with own_conn.transaction():
                    await functions.act_as(own_conn, "authenticated", json.dumps({"sub": whom}), None)
                    seen = await own_conn.execute("select subject_id from payments.stripe_checkout_sessions")
                    assert {row[0] for row in await seen.fetchall()} <= {whom}
                async with own_conn.transaction():
                    rows = await own_conn.execute("select current_setting('request.jwt.claims', true)")
                    assert (await rows.fetchone() or ("?",))[0] in (None, "")

        async def client(web: httpx.AsyncClient, number: int) -> None:
            act = (user, guest, administrator, deliverer, reader)[number % 5]
            await act(web, number)
            done[act.__name__] += 1

        crowd(CLIENTS, SECONDS, client)
        clean(connections(pooled_url))

    assert set(done) == {"user", "guest", "administrator", "deliverer", "reader"}
    log = (tmp_path / "log").read_text()
    assert "prepared statement" not in log
    assert 'status="5' not in log
    rows = conn.execute("select owner_key, subject_key, status from payments.stripe_checkout_sessions").fetchall()
    assert len(rows) == len(first_answers) == 2 * CLIENTS // 5, "one attempt a user or guest, however often repeated"
    assert {row["status"] for row in rows} == {"open"}
    assert all(row["owner_key"] == row["subject_key"] for row in rows if row["subject_key"])
    assert conn.execute("select from payments.webhook_events where processing_status <> 'processed'").rowcount == 0


def test_commands_leave_nothing_behind(pooled_url: str, conn: Conn, stand_in: StripeAccount) -> None:
    """A sync is hundreds of equal statements, which psycopg would prepare; twice, as the name would be taken then."""
    stand_in.add(*shop(products=3, customers=700, subscriptions=3))
    settings = {"STRIPE_TEST_SECRET_KEY": "sk_test_1", "STRIPE_API_BASE": stand_in.base_url}
    for _ in range(2):
        synced = command("sync", "--database-url", pooled_url, **settings)
        assert synced.returncode == 0, synced.stderr
    settings |= {"PAYMENTS_PUBLIC_URL": "https://shop.example", "PAYMENTS_MASTER_KEY": MASTER_KEY}
    configured = command("webhooks", "configure", "--database-url", pooled_url, **settings)
    assert configured.returncode == 0, configured.stderr
    for arguments in (("events", "list"), ("events", "retry"), ("verify",)):
        done = command(*arguments, "--database-url", pooled_url)
        assert done.returncode == 0, done.stderr
    clean(connections(pooled_url))


@pytest.mark.parametrize("act", [migrate, rollback, status])
def test_migrating_is_refused_where_a_lock_could_not_be_kept(
    pooler: Pooler, server: Server, conn: Conn, act: Any
) -> None:
    url = pooler.url(conn.info.dbname, superuser(server))
    with pytest.raises(MigrationError, match="pooler") as refused:
        act(url)
    assert refused.value.hint is not None
    assert "directly" in refused.value.hint
    for row in connections(url):
        assert (row["locks"], row["search_path"]) == (0, '"$user", public')


@pytest.mark.slow
def test_migrating_works_in_session_mode(server: Server) -> None:
    with server.database() as name, pooling(server, mode="session") as pooler:
        url = pooler.url(name, superuser(server))
        assert migrate(url).applied
        assert status(url).up_to_date
