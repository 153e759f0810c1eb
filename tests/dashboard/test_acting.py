"""What is done through the pages is done, once, and the audit log tells all of it."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
import psycopg
import pytest

from tests.dashboard.conftest import Board, answer_question, form_token

Row = dict[str, Any]


def actions(board: Board) -> list[Row]:
    """What the log tells, oldest first."""
    return board.conn.execute(
        "select actor, source, action, target, detail from payments.audit_log order by at, id"
    ).fetchall()


def notice(browser: httpx.Client, answer: httpx.Response) -> str:
    """What the page after an action says of it."""
    assert answer.status_code == 303, answer.text
    found = re.search(
        r'class="notice" role="status"><bdi>([^<]*)',
        browser.get(answer.headers["location"].removeprefix("/dashboard/")).text,
    )
    assert found
    return html.unescape(found[1])


def test_a_payment_whose_fulfilment_failed_is_found_read_and_replayed(board: Board, ada: httpx.Client) -> None:
    listed = ada.get("test/events?status=failed").text
    (event,) = re.findall(r'/test/events/([0-9a-f-]{36})"', listed)
    page = ada.get(f"test/events/{event}").text
    assert "something_is_left" in page
    payment = re.findall(r'/test/payments/([0-9a-f-]{36})"', page)[0]
    told = ada.get(f"test/payments/{payment}").text
    assert "could not be applied" in told
    assert f"do/replay?event={event}" in told

    asked = ada.get(f"test/do/replay?event={event}").text
    assert "take_from_stock (public.take_from_stock)" in asked
    again = answer_question(ada, f"test/do/replay?event={event}")
    assert "is failed now" in notice(ada, again)
    board.conn.execute("update public.stock set pieces = 1 where item = 'Grinder'")
    assert "is processed now" in notice(ada, answer_question(ada, f"test/do/replay?event={event}"))
    assert board.conn.execute("select pieces from public.stock where item = 'Grinder'").fetchone() == {"pieces": 0}
    assert "events were applied" in ada.get(f"test/payments/{payment}").text

    first, second = [row for row in actions(board) if row["action"] == "replay event" and row["target"] == event]
    assert first["actor"].endswith(" as payments_admin (Ada)")
    assert first["source"] == "dashboard 127.0.0.1"
    assert [row["detail"]["status"] for row in (first, second)] == ["failed", "processed"]


def test_a_filtered_set_is_replayed_as_it_was_shown(board: Board, ada: httpx.Client) -> None:
    path = "test/do/replay-all?type=charge.dispute.created"
    shown = board.conn.execute(
        "select id::text from payments.webhook_events where event_type = 'charge.dispute.created'"
    ).fetchall()
    answer = answer_question(ada, path)
    assert notice(ada, answer) == f"Replayed {len(shown)}: {len(shown)} processed."
    replayed = [row["target"] for row in actions(board) if row["action"] == "replay event"]
    assert {row["id"] for row in shown} <= set(replayed)


def test_an_event_of_elsewhere_is_not_replayed_from_here(board: Board, ada: httpx.Client) -> None:
    """The address says what is acted on, and the log says the same."""
    conn = board.conn
    conn.execute("set session_replication_role = replica")
    ids = [
        str(row["id"]) for row in conn.execute(
            """insert into payments.webhook_events (environment, account_id, provider_event_id, event_type,
                 processing_status, payload)
               values ('live', null, 'evt_elsewhere1', 'charge.succeeded', 'ignored', '{}'),
                      ('test', 'acct_shop9', 'evt_elsewhere2', 'charge.succeeded', 'ignored', '{}')
               returning id"""
        ).fetchall()
    ]  # fmt: skip
    conn.execute("reset session_replication_role")
    token = form_token(ada.get("test/do/sync").text)
    for event in ids:
        assert ada.get(f"test/do/replay?event={event}").status_code == 404
        assert ada.post(f"test/do/replay?event={event}", data={"form_token": token}).status_code == 404
    answer = ada.post("test/do/replay-all", data={"form_token": token, "event": ids})
    assert notice(ada, answer) == "Replayed 2: 2 not found."
    assert [row for row in actions(board) if row["target"] in ids] == []


def test_who_took_an_export_is_told(board: Board, ada: httpx.Client) -> None:
    assert ada.get("live/payments.csv?status=failed&currency=eur").status_code == 200
    assert ada.get("test/payments.csv?q=ada@customers.example").status_code == 200
    assert ada.get("test/payments.csv?status=nonsense").status_code == 400
    told = [row for row in actions(board) if row["action"] == "export payments"][-2:]
    assert [row["detail"] for row in told] == [
        {"environment": "live", "account": None, "filters": {"status": "failed", "currency": "eur"}},
        {"environment": "test", "account": None, "filters": {"q": "ada@customers.example"}},
    ]
    assert all(row["actor"].endswith("(Ada)") and row["source"] == "dashboard 127.0.0.1" for row in told)


def test_nobody_edits_the_log(board: Board) -> None:
    for statement in (
        "update payments.audit_log set actor = 'somebody else'",
        "delete from payments.audit_log",
        "truncate payments.audit_log",
    ):
        with pytest.raises(psycopg.Error, match="only grows") as caught:
            board.conn.execute(statement)
        assert caught.value.sqlstate == "PY006"
    with board.conn.transaction(force_rollback=True):
        board.conn.execute("set local role payments_admin")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            board.conn.execute("insert into payments.audit_log (actor, source, action) values ('x', 'x', 'x')")


def test_the_catalogue_is_made_changed_and_archived(board: Board, ada: httpx.Client) -> None:
    before = len(actions(board))
    made = notice(ada, answer_question(ada, "test/do/product-new", name="Tea <b>pot</b>", description="Warm"))
    product = made.removeprefix("The product was made: ").rstrip(".")
    said = notice(
        ada,
        answer_question(ada, f"test/do/price-new?product={product}", amount="12.50", currency="EUR", interval="month"),
    )
    price = said.removeprefix("The price was made: ").rstrip(".")
    answer_question(ada, f"test/do/product-change?product={product}", name="Teapot", description="")
    page = ada.get("test/catalogue").text
    assert "Teapot" in page
    assert "12.50 EUR" in page
    answer_question(ada, f"test/do/price-archive?price={price}")
    answer_question(ada, f"test/do/product-archive?product={product}")
    assert "Teapot" not in ada.get("test/catalogue").text
    assert "Teapot" in ada.get("test/catalogue?archived=yes").text
    told = [row["action"] for row in actions(board)[before:]]
    assert told == [
        "make product", "make product done", "make price", "make price done", "change product", "change product done",
        "archive price", "archive price done", "archive product", "archive product done",
    ]  # fmt: skip
    (row,) = board.conn.execute(
        "select unit_amount, currency, recurring_interval, active from payments.stripe_prices where price_id = %s",
        [price],
    ).fetchall()
    assert row == {"unit_amount": 1250, "currency": "eur", "recurring_interval": "month", "active": False}


def test_the_same_form_twice_makes_one_product(board: Board, ada: httpx.Client) -> None:
    page = ada.get("test/do/product-new").text
    fields = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', page)) | {"name": "Only once"}
    first, second = (ada.post("test/do/product-new", data=fields) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 303)
    rows = board.conn.execute("select from payments.stripe_products where name = 'Only once'").fetchall()
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("action", "fields", "says"),
    [
        ("product-new", {"name": " "}, "please say something"),
        ("product-new", {"name": "x" * 251}, "too long"),
        ("product-new", {"name": "a\0b"}, "stored"),
    ],
)
def test_a_form_says_what_is_wrong_with_it(ada: httpx.Client, action: str, fields: dict[str, str], says: str) -> None:
    answer = answer_question(ada, f"test/do/{action}", **fields)
    assert answer.status_code == 400
    assert says in answer.text
    assert 'role="alert"' in answer.text


def test_pushes_are_paused_and_resumed(board: Board, ada: httpx.Client) -> None:
    answer_question(ada, "test/do/outbox-pause")
    assert board.conn.execute("select payments.outbox_paused_at('test') is not null as paused").fetchone() == {
        "paused": True
    }
    assert "Pushes are paused since" in ada.get("test/object-storage").text
    answer_question(ada, "test/do/outbox-resume")
    assert "Pushes are paused since" not in ada.get("test/object-storage").text
    told = [row for row in actions(board) if row["action"] in ("pause outbox", "resume outbox")]
    assert [row["action"] for row in told][-2:] == ["pause outbox", "resume outbox"]
    assert all(row["actor"].endswith("(Ada)") and row["source"] == "dashboard 127.0.0.1" for row in told)


def test_reading_writes_nothing(board: Board, ada: httpx.Client) -> None:
    """Pages read in transactions that can't write, and no row of the log comes of it."""
    before = actions(board)
    for page in (
        "overview",
        "payments",
        "events",
        "catalogue",
        "object-storage",
        "health",
        "settings",
        "do/sync",
        "do/verify",
    ):
        assert ada.get(f"test/{page}").status_code == 200
    assert actions(board) == before
