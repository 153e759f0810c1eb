"""Accounts move between machines while events come, as docs/scale.md has it, and moves are killed at every step."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pg_payments.database import functions
from pg_payments.errors import ConfigurationError, Conflict
from pg_payments.router import move as moving
from pg_payments.router import shards
from tests.router.conftest import Site
from tests.router.shop import NAMES, Shop, open_shop
from tests.router.stories import interleaved, story
from tests.stripe_simulator.projections import ingest_batch

pytestmark = pytest.mark.slow

MOVED = [f"acct_moved_{number}" for number in range(5)]
OTHERS = [None, *(f"acct_other_{number}" for number in range(3))]


@pytest.fixture(scope="module")
def shop(site: Site) -> Shop:
    shop = open_shop(site)
    shop.deliver(interleaved("first", [*OTHERS, *MOVED]))
    return shop


def test_accounts_move_while_events_come_and_nothing_is_lost_or_doubled(shop: Shop) -> None:
    stopped = threading.Event()
    faults: list[BaseException] = []

    def under_load(work: Callable[[int], None]) -> threading.Thread:
        def repeat() -> None:
            number = 0
            try:
                while not stopped.is_set():
                    work(number)
                    number += 1
            except BaseException as error:
                faults.append(error)

        thread = threading.Thread(target=repeat)
        thread.start()
        return thread

    def look_after(_: int) -> None:
        with shop.site.connect("shop_admin") as conn:
            functions.retry_failed_events(conn, 100)
            functions.metrics(conn)
            rows = conn.execute(
                "select account_id, provider_event_id from payments.webhook_events where account_id is not null"
            ).fetchall()
            assert len({(row["account_id"], row["provider_event_id"]) for row in rows}) == len(rows), "seen twice"
        stopped.wait(0.02)

    def deliver(number: int) -> None:
        shop.deliver(interleaved(f"load{number}", [*MOVED, *OTHERS[:2]]))
        stopped.wait(0.1)

    shop.refuse(MOVED[0])  # its events are to be tried again, wherever it is
    before = {account: shop.machine_of(account) for account in MOVED}
    threads = [under_load(deliver), under_load(look_after)]
    try:
        for account in MOVED:
            name = NAMES[1 - before[account]]
            if account == MOVED[0]:
                assert shop.command("move", account, "--to", name).splitlines()[-1] == "moved"
            else:
                shop.move(account, name)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert {account: shop.machine_of(account) for account in MOVED} == {a: 1 - before[a] for a in MOVED}
    for account in MOVED:
        assert shop.rows(before[account], account) == {}
        assert shop.rows(1 - before[account], account)["payments_private.connected_accounts"] == 1
    with shop.site.connect("shop_admin") as conn:
        failed = "select count(*) as n from payments.webhook_events where processing_status = 'failed'"
        assert (conn.execute(failed).fetchone() or {})["n"] >= len(story("first", MOVED[0]))
    shop.open()
    shop.retry()
    shop.check()


EARLY = ["begun", "copied", "locked", "caught up", "compared", "switching", "work copied"]
LATE = ["switched", "work removed", "removing", "unlocked", "verified", "source removed"]


KILLS = [
    *((point, "on", "") for point in [*EARLY, *LATE]),
    *((point, "back", "") for point in ("copied", "compared", "work copied", "switched")),
    *((point, way, "copying") for point, way in (("begun", "back"), ("locked", "on"), ("switching", "on"))),
]


@pytest.mark.parametrize(("point", "way", "within"), KILLS)
def test_a_move_that_was_killed_is_gone_on_with_or_taken_back(shop: Shop, point: str, way: str, within: str) -> None:
    account = f"acct_{point.replace(' ', '_')}_{way}_{within}"
    shop.deliver(story("before", account))
    here = shop.machine_of(account)
    shop.refuse(account)
    shop.deliver(story("failing", account)[:3])
    shop.open()
    shop.kill(account, NAMES[1 - here], point, within)
    (step,) = shop.standing().values()
    if step in ("switching", "switched"):
        with shop.site.connect("shop_service") as conn, pytest.raises(psycopg.errors.LockNotAvailable):
            functions.retry_failed_events(conn, 100)
    shop.deliver(story("during", account)[:3])
    shop.move(account, NAMES[1 - here] if way == "on" else NAMES[here])
    shop.deliver(story("after", account)[:3])
    assert shop.standing() == {}
    to = 1 - here if way == "on" else here
    assert shop.machine_of(account) == to
    assert shop.rows(1 - to, account) == {}
    shop.retry()
    shop.check_account(account)


def test_what_a_machine_is_told_too_late_is_told_to_the_other(shop: Shop) -> None:
    account = "acct_late"
    shop.deliver(story("before", account))
    here, late = shop.machine_of(account), story("late", account)

    def tell(said: str) -> None:
        if said == "unlocked":  # its caller was cut off, and nobody has waited for it
            with shop.site.machine(here) as conn:
                ingest_batch(conn, late)

    shop.move(account, NAMES[1 - here], tell)
    assert shop.rows(here, account) == {}
    with shop.site.machine(1 - here) as conn:
        rows = conn.execute(
            "select provider_event_id as id from payments.webhook_events where account_id = %s", [account]
        )
        assert {event["id"] for event in [*story("before", account), *late]} == {row["id"] for row in rows}
    with shop.site.machine(here) as conn:  # it was fulfilled where it was told, too: the price of coming too late
        conn.execute("delete from app.fulfilled where event = any (%s)", [[event["id"] for event in late]])
    shop.told += late
    shop.check_account(account)


def test_a_machine_that_is_written_to_behind_the_routers_back_is_not_switched(shop: Shop) -> None:
    account = "acct_behind"
    shop.deliver(story("before", account))
    here, behind = shop.machine_of(account), story("behind", account)

    def tell(said: str) -> None:
        if said == "caught up":
            with shop.site.machine(here) as conn:
                ingest_batch(conn, behind)

    with pytest.raises(Conflict, match="behind the router's back"):
        shop.move(account, NAMES[1 - here], tell)
    assert shop.standing() == {account: "copying"}
    shop.move(account, NAMES[1 - here])
    shop.told += behind
    shop.check_account(account)


def test_a_call_that_has_not_ended_is_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    account = "acct_open"
    shop.deliver(story("before", account))
    here = shop.machine_of(account)
    with shop.site.connect("shop_service") as conn, conn.transaction():
        functions.ingest_stripe_event(conn, "test", json.dumps(story("open", account)[0]))
        monkeypatch.setattr(moving, "PATIENCE", 0.2)
        with pytest.raises(Conflict, match="too busy"):
            shop.move(account, NAMES[1 - here])
        monkeypatch.undo()
        with shop.site.connect("shop_service") as other:
            functions.metrics(other)  # nobody waits for a mover that waits
    assert shop.standing() == {account: "copying"}
    shop.told += story("open", account)[:1]
    shop.move(account, NAMES[1 - here])
    shop.check_account(account)


def test_of_two_who_move_an_account_one_is_refused(shop: Shop) -> None:
    account, refused = "acct_twice", []
    shop.deliver(story("before", account))
    here = shop.machine_of(account)

    def tell(said: str) -> None:
        if said == "locked":
            with pytest.raises(Conflict, match="by somebody else") as caught:
                shop.move(account, NAMES[here])
            refused.append(caught.value)

    shop.move(account, NAMES[1 - here], tell)
    assert len(refused) == 1
    shop.check_account(account)


def test_a_stamp_of_the_former_machine_is_believed(shop: Shop) -> None:
    ids = []
    for number in range(2):
        with shop.site.machine(number) as conn:
            ids.append((conn.execute("select payments.installation_id() as id").fetchone() or {})["id"])
    shop.deliver(story("before", "acct_stamped"))
    here = shop.machine_of("acct_stamped")
    shop.move("acct_stamped", NAMES[1 - here])
    with shop.site.machine(1 - here) as conn:
        row = conn.execute("select former_ids from payments_private.installation").fetchone()
    assert row is not None
    assert row["former_ids"].count(ids[here]) == 1
    assert ids[1 - here] not in row["former_ids"]


def test_an_event_in_quarantine_moves_too(shop: Shop) -> None:
    account = "acct_quarantined"
    shop.deliver(story("before", account))
    here = shop.machine_of(account)
    kept = "insert into payments_private.stashed_events (environment, provider_event_id, body, last_error) values "
    with shop.site.machine(here) as conn:
        conn.execute(f"{kept} ('test', 'evt_kept', %s, 'no')", [json.dumps({"id": "evt_kept", "account": account})])
        other = {"id": "evt_other", "account": "acct_other", "data": {"object": {"destination": account}}}
        conn.execute(f"{kept} ('test', 'evt_other', %s, 'no')", [json.dumps(other)])
    shop.move(account, NAMES[1 - here])
    for number, event in ((1 - here, "evt_kept"), (here, "evt_other")):
        with shop.site.machine(number) as conn:
            rows = conn.execute(
                "delete from payments_private.stashed_events returning provider_event_id as id"
            ).fetchall()
        assert rows == [{"id": event}]


def test_an_account_moves_with_its_terms_and_what_was_begun_on_it(shop: Shop) -> None:
    account = "acct_seller"
    shop.deliver(story("before", account))
    here = shop.machine_of(account)
    with shop.site.connect() as routed:  # its key is on its machine, and is asked for through the router
        routed.execute(
            "select payments.store_account_key('test', %s, %s, false, 'encrypted', 'sk_test_****')",
            [account, json.dumps({"id": account})],
        )
    with shop.site.machine(here) as conn:
        price = conn.execute(
            "select price_id from payments.stripe_prices where account_id = %s limit 1", [account]
        ).fetchone()
        assert price is not None
        ids = {}
        for kind in ("direct", "destination"):
            conn.execute(
                "select payments.register_account('test', %s, 'user', 'u1', charge_type => %s, open_to => 'users',"
                " fee_amount => 5, fee_currency => 'usd')",
                [account, kind],
            )
            with conn.transaction():
                conn.execute("set local role payments_user")
                conn.execute("""select set_config('request.jwt.claims', '{"sub": "u1"}', true)""")
                items = json.dumps([{"price": price["price_id"], "quantity": 1}])
                begun = conn.execute(
                    "select id from payments.begin_checkout('test', 'payment', %s, 'https://shop.example/1',"
                    " 'https://shop.example/2', account_id => %s)",
                    [items, account],
                ).fetchone()
            assert begun is not None
            ids[kind] = begun["id"]
    shop.move(account, NAMES[1 - here])
    keys = "select account_id, secret from payments_private.account_keys"
    for number, expected in ((1 - here, [{"account_id": account, "secret": "encrypted"}]), (here, [])):
        with shop.site.machine(number) as conn:
            assert conn.execute(keys).fetchall() == expected
    with shop.site.connect("shop_service") as routed:
        assert functions.account_key(routed, "test", account) == "encrypted"
        assert functions.account_key(routed, "test", "acct_made_up") is None
        assert functions.account_keys(routed, "test") == [{"account_id": account, "secret": "encrypted"}]
        functions.tell_account_keys(routed, "test", [account])
        placed = "select from payments_router.accounts where account_id = 'acct_made_up'"
    with shop.site.connect() as routed:
        assert routed.execute(placed).rowcount == 0, "what a request makes up is not remembered"
        source = routed.execute("select key_source as source from payments.accounts where account_id = %s", [account])
        assert source.fetchall() == [{"source": "environment"}]
    terms = "select checkout_id as id from payments_private.checkout_terms where account_id = %s"
    for number, kind in ((1 - here, "direct"), (here, "destination")):
        with shop.site.machine(number) as conn:
            assert conn.execute(terms, [account]).fetchall() == [{"id": ids[kind]}]
            asked = conn.execute("select payments.checkout_request(%s) as asked", [ids[kind]]).fetchone()
            assert asked is not None
            assert asked["asked"]["payment_intent_data"]["application_fee_amount"] == 5
            rows = conn.execute("select subject_key, open_to from payments.accounts where account_id = %s", [account])
            assert rows.fetchall() == ([{"subject_key": "user:u1", "open_to": "users"}] if number != here else [])
            conn.execute("delete from payments.stripe_checkout_sessions where id = any (%s)", [list(ids.values())])


def test_what_can_not_be_moved_is_refused_before_anything_is_copied(shop: Shop) -> None:
    account = "acct_refused"
    shop.deliver(story("before", account))
    here = shop.machine_of(account)

    def refuses(told: str, name: str = NAMES[1 - here], whose: str = account) -> None:
        with pytest.raises(ConfigurationError, match=told):
            shop.move(whose, name)
        assert shop.standing() == {}
        assert shop.machine_of(account) == here

    refuses("no machine is called third", "third")
    refuses("is no account's id", whose="acct'1")
    with shop.site.machine(1 - here) as conn:
        conn.execute("insert into payments_private.sweeps (environment, account, began_at) values ('test', %s, now())",
                     [account])  # fmt: skip
        refuses("has rows of acct_refused already")
        conn.execute("delete from payments_private.sweeps where account = %s", [account])
        conn.execute("alter table payments.webhook_events enable always trigger fulfil")
        refuses("trigger fulfil on payments.webhook_events would fire")
        conn.execute("alter table payments.webhook_events enable trigger fulfil")
        conn.execute("alter table payments.transactions add column extra text")
        refuses("not of one version")
        conn.execute("alter table payments.transactions drop column extra")
        conn.execute("create table payments_private.extra (account text primary key)")
        refuses("nothing says how payments_private.extra is moved")
        conn.execute("drop table payments_private.extra")
    with shop.site.machine(here) as conn:
        conn.execute(
            "insert into payments_private.object_anchors (anchor_id, environment, account_id, object_type)"
            " values (99, 'test', %s, 'customer')",
            [account],
        )
        refuses("has linked tables on machine")
        conn.execute("delete from payments_private.object_anchors where anchor_id = 99")
        conn.execute(
            "insert into payments.provider_connections (environment, provider_account_id) values ('test', %s)",
            [account],
        )
        refuses("behind the environment's key")
        conn.execute("delete from payments.provider_connections")
    shop.move(account, NAMES[1 - here])
    shop.check_account(account)


def test_a_login_that_moves_needs_the_owners_role_and_one_parameter(shop: Shop, tmp_path: Path) -> None:
    account = "acct_by_a_login"
    shop.deliver(story("before", account))
    here = shop.machine_of(account)
    text = shop.site.file.read_text()
    for number in range(2):
        with shop.site.machine(number) as conn:
            conn.execute("create role the_mover login in role payments_owner")
        machine = shop.site.machines[number]
        text = text.replace(f'owner = "{machine.url()}"', f'owner = "{machine.url(user="the_mover")}"')
    with shop.site.connect() as conn:
        conn.execute("create role the_mover login in role payments_owner")
    file = tmp_path / "shards.toml"
    file.write_text(text)
    router = shop.site.router.url(user="the_mover")
    with pytest.raises(ConfigurationError) as caught:
        moving.move(router, shards.read(file), account, NAMES[1 - here], print)
    assert "grant set on parameter session_replication_role to the_mover" in str(caught.value.hint)
    for number in range(2):
        with shop.site.machine(number) as conn:
            conn.execute("grant set on parameter session_replication_role to the_mover")
    moving.move(router, shards.read(file), account, NAMES[1 - here], print)
    assert shop.rows(here, account) == {}
    shop.check_account(account)


def test_the_command_shows_machines_and_moves(shop: Shop) -> None:
    account = "acct_shown"
    shop.deliver(story("before", account))
    here = shop.machine_of(account)
    shop.kill(account, NAMES[1 - here], "copied")
    shown = json.loads(shop.command("status", "--json"))
    assert [(m["machine"], m["is_up"], m["is_default"]) for m in shown["machines"]] == [
        ("main", True, True),
        ("second", True, False),
    ]
    assert all(m["accounts"] > 1 for m in shown["machines"])
    (move,) = shown["moves"]
    assert (move["account"], move["source"], move["target"], move["step"]) == (
        account, NAMES[here], NAMES[1 - here], "copying",
    )  # fmt: skip
    assert f"back: --to {NAMES[here]}" in move["next"]
    assert account in shop.command("status")
    assert shop.command("move", account, "--to", NAMES[here]).splitlines() == ["copy removed", "taken back"]
    assert json.loads(shop.command("status", "--json"))["moves"] == []


def test_after_all_this_every_projection_is_as_in_one_database(shop: Shop) -> None:
    shop.check()
