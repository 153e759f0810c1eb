"""Lists, filters, paging, search and export say what SQL says; what is hostile is shown as text."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pg_payments import dashboard as dashboard_package
from pg_payments.dashboard import formats
from pg_payments.errors import InvalidRequest
from tests.dashboard.conftest import Board, Conn, form_token, running_board
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY

Row = dict[str, Any]

FILTERS = [
    ("", "true"),
    ("status=failed", "status = 'failed'"),
    ("type=refund", "type = 'refund'"),
    ("type=any_payment&status=any_refund", "type not in ('refund', 'dispute') and status like '%refunded'"),
    ("currency=jpy", "currency = 'jpy'"),
    ("currency=JPY&least=17800&most=26700", "currency = 'jpy' and amount between 17800 and 26700"),
    ("currency=usd&least=25", "currency = 'usd' and amount >= 2500"),
    ("since={day}", "provider_created_at >= '{day}'"),
    ("until={day}&status=succeeded", "provider_created_at < date '{day}' + 1 and status = 'succeeded'"),
    ("customer={customer}", "provider_customer_id = '{customer}'"),
    ("customer={customer}&type=refund", "provider_customer_id = '{customer}' and type = 'refund'"),
    ("q={customer}", "provider_customer_id = '{customer}'"),
    ("q=ADA@customers.example", "customer_email_snapshot = 'ada@customers.example'"),
    ("q={charge}", "related_object_ids ->> 'charge' = '{charge}'"),
    ("q={charge}&status=pending", "false"),
    ("q=pi_unknown", "false"),
    ("subject=user:nobody", "false"),
    ("subject=user:ada", "subject_key = 'user:ada'"),
]
ORDER = "order by provider_created_at desc nulls last, id"


@pytest.fixture(scope="module")
def names(board: Board) -> dict[str, str]:
    """Values of what there is, to filter by; some payments become a subject's, and some are of an unknown time."""
    conn = board.conn
    conn.execute("set session_replication_role = replica")
    conn.execute(
        "update payments.transactions set subject_type = 'user', subject_id = 'ada'"
        " where customer_email_snapshot = 'ada@customers.example'"
    )
    conn.execute(
        f"update payments.transactions set provider_created_at = null where id in ("
        f"select id from payments.transactions {ORDER} offset 60 limit 70)"
    )
    conn.execute("reset session_replication_role")
    row = conn.execute(
        """select t.provider_customer_id as customer, t.related_object_ids ->> 'charge' as charge,
                  (t.provider_created_at at time zone 'UTC')::date::text as day
             from payments.transactions t where t.type = 'refund' and t.provider_created_at < now() - interval '2 days'
            order by t.provider_created_at desc limit 1"""
    ).fetchone()
    assert row
    return row


@pytest.mark.parametrize(("query", "condition"), FILTERS)
def test_pages_and_export_say_what_sql_says(
    board: Board, ada: httpx.Client, names: dict[str, str], query: str, condition: str
) -> None:
    query, condition = query.format(**names), condition.format(**names)
    expected = [
        str(row["id"])
        for row in board.conn.execute(f"select id from payments.transactions where {condition} {ORDER}").fetchall()
    ]
    pages, path = [], f"test/payments?{query}"
    while path:
        answer = ada.get(path)
        assert answer.status_code == 200
        pages.append(re.findall(r'/test/payments/([0-9a-f-]{36})"', answer.text))
        following = re.search(r'rel="next" href="([^"]+)"', answer.text)
        path = html.unescape(following[1]).removeprefix("/dashboard/") if following else ""
    assert [name for page in pages for name in page] == expected
    assert all(len(page) == 50 for page in pages[:-1])
    exported = list(csv.DictReader(io.StringIO(ada.get(f"test/payments.csv?{query}").text)))
    assert [row["id"] for row in exported] == expected


def test_an_export_has_the_values(board: Board, ada: httpx.Client, names: dict[str, str]) -> None:
    answer = ada.get("test/payments.csv?status=refunded")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    for row in rows:
        (stored,) = board.conn.execute("select * from payments.transactions where id = %s", [row["id"]]).fetchall()
        assert row["amount_minor_units"] == str(stored["amount"])
        assert (row["currency"], row["type"], row["stripe_id"]) == (
            stored["currency"], stored["type"], stored["provider_object_id"],
        )  # fmt: skip
    assert rows


@pytest.mark.parametrize(
    "query",
    [
        "status=nonsense", "type='", "since=yesterday", "until=2026-02-30", "least=a", "least=1.234&currency=eur",
        "least=1.5&currency=jpy", "currency=euro", "subject=ada", "after=x", "after=2026-01-01~x", "q=%00",
        "q=" + "x" * 301, "account=acct_'", "most=NaN", "least=1e400",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_so(ada: httpx.Client, query: str) -> None:
    answer = ada.get(f"test/payments?{query}")
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path", ["prod/overview", "test/nothing", "test/payments/42", "test/events/42", "x", "test/do/x"]
)
def test_what_is_not_there_is_not_found(ada: httpx.Client, path: str) -> None:
    assert ada.get(path).status_code == 404


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (123_450, "eur", "1,234.50 EUR"), (5, "usd", "0.05 USD"), (1234, "jpy", "1,234 JPY"),
        (-900, "eur", "-9.00 EUR"),
        (1234, "kwd", "1.234 KWD"), (0, "bhd", "0.000 BHD"), (None, "eur", "\N{EN DASH}"), (700, None, "7.00"),
    ],
)  # fmt: skip
def test_amounts_are_written_as_their_currency_is(minor: int | None, currency: str | None, shown: str) -> None:
    assert formats.amount(minor, currency) == shown
    if minor is not None and currency:
        assert formats.minor_units(shown.split()[0], currency, "amount") == minor


def test_an_amount_with_too_many_decimals_is_none() -> None:
    for text, currency in (("1.5", "jpy"), ("0.001", "eur"), ("1.2345", "kwd"), ("Infinity", "eur"), ("9" * 30, "eur")):
        with pytest.raises(InvalidRequest):
            formats.minor_units(text, currency, "amount")


@pytest.mark.parametrize(
    ("kind", "name", "environment", "account", "address"),
    [
        ("payment_intent", "pi_1", "live", None, "https://dashboard.stripe.com/payments/pi_1"),
        ("payment_intent", "pi_1", "test", None, "https://dashboard.stripe.com/test/payments/pi_1"),
        ("invoice", "in_1", "test", "acct_9", "https://dashboard.stripe.com/acct_9/test/invoices/in_1"),
        ("dispute", "dp_1", "live", "acct_9", "https://dashboard.stripe.com/acct_9/disputes/dp_1"),
        ("customer", "a/../b?x", "live", None, "https://dashboard.stripe.com/customers/a%2F..%2Fb%3Fx"),
        ("checkout_session", "cs_1", "live", None, None),
        (None, None, "live", None, None),
    ],
)  # fmt: skip
def test_links_into_stripe(kind: str, name: str, environment: str, account: str | None, address: str | None) -> None:
    assert formats.stripe_link(kind, name, environment, account) == address


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u2066",
    '=HYPERLINK("https://evil.example")',
    "x" * 10_240,
]


def test_what_is_hostile_is_text_everywhere(board: Board, ada: httpx.Client) -> None:
    conn = board.conn
    conn.execute("set session_replication_role = replica")
    for n, text in enumerate(HOSTILE):
        conn.execute(
            """insert into payments.transactions (environment, type, status, subject_type, subject_id, description,
                 customer_email_snapshot, provider_customer_id, provider_object_type, provider_object_id, amount,
                 currency, provider_created_at)
               values ('test', 'one_time_payment', 'failed', 'user', 'hostile', %(t)s, %(t)s, %(c)s, 'payment_intent',
                       %(c)s, 100, 'eur', now())""",
            {"t": text, "c": f"hostile{n}" + ("" if n > 3 else text)},
        )
        conn.execute(
            """insert into payments.customers (environment, provider_customer_id, name, email, synced_at)
               values ('test', %(c)s, %(t)s, left(%(t)s, 2000), now())""",
            {"t": text, "c": f"cus_hostile{n}"},
        )
        conn.execute(
            """insert into payments.stripe_products (environment, product_id, name, description, active, synced_at)
               values ('test', %(c)s, %(t)s, %(t)s, true, now())""",
            {"t": text, "c": f"prod_hostile{n}"},
        )
        conn.execute(
            """insert into payments.webhook_events (environment, provider_event_id, event_type, object_type, object_id,
                 processing_status, next_attempt_at, last_error, payload)
               values ('test', %(c)s, left(%(t)s, 60), 'charge', left(%(t)s, 90), 'failed', now() + interval '1 day',
                       %(t)s, jsonb_build_object('id', %(t)s::text))""",
            {"t": text, "c": f"evt_hostile{n}"},
        )
    conn.execute("reset session_replication_role")
    pages = ["test/payments?subject=user:hostile", "test/customers", "test/catalogue", "test/events?status=failed"]
    for table, path in (("transactions", "payments"), ("webhook_events", "events")):
        which = "subject_id = 'hostile'" if table == "transactions" else "provider_event_id like 'evt_hostile%'"
        rows = conn.execute(f"select id from payments.{table} where {which}").fetchall()
        pages += [f"test/{path}/{row['id']}" for row in rows]
    pages += [f"test/customers/cus_hostile{n}" for n in range(len(HOSTILE))]
    pages += ["test/payments?q=" + httpx.QueryParams({"q": HOSTILE[1]})["q"].replace("<", "%3C").replace('"', "%22")]
    for page in pages:
        answer = ada.get(page)
        assert answer.status_code == 200, page
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "49{%" not in answer.text
        # whatever turns the direction of text is kept to itself
        for found in re.finditer("\u202e", answer.text):
            before = answer.text[: found.start()]
            inside = before.rfind("<bdi>") > before.rfind("</bdi>") or before.rfind('"') > before.rfind(">")
            assert inside or before.rfind("<code>") > before.rfind("</code>") or "<title>" in before[-80:], page
    export = ada.get("test/payments.csv?subject=user:hostile").text
    assert "'=HYPERLINK" in export


def test_pages_are_of_one_environment_and_account(board: Board, ada: httpx.Client) -> None:
    conn = board.conn
    conn.execute("set session_replication_role = replica")
    for environment, account in (("live", None), ("test", "acct_shop2"), ("live", "acct_shop3")):
        conn.execute(
            """insert into payments.transactions (environment, account_id, type, status, provider_object_type,
                 provider_object_id, amount, currency, provider_created_at)
               values (%s, %s, 'one_time_payment', 'succeeded', 'payment_intent', %s, 700, 'eur', now())""",
            (environment, account, f"pi_of_{environment}_{account}"),
        )
    conn.execute("reset session_replication_role")
    shown = {
        (path, account): re.findall(
            r"/payments/([0-9a-f-]{36})", ada.get(f"{path}/payments?" + (f"account={account}" if account else "")).text
        )
        for path in ("test", "live")
        for account in ("", "acct_shop2", "acct_shop3", "acct_nobody")
    }
    assert {key: len(ids) for key, ids in shown.items() if key != ("test", "")} == {
        ("test", "acct_shop2"): 1, ("test", "acct_shop3"): 0, ("test", "acct_nobody"): 0,
        ("live", ""): 1, ("live", "acct_shop2"): 0, ("live", "acct_shop3"): 1, ("live", "acct_nobody"): 0,
    }  # fmt: skip
    (mine,) = shown["test", "acct_shop2"]
    assert ada.get(f"test/payments/{mine}").status_code == 404
    assert ada.get(f"live/payments/{mine}?account=acct_shop2").status_code == 404
    assert ada.get(f"test/payments/{mine}?account=acct_shop2").status_code == 200
    assert "/acct_shop2/test/payments/pi_of_test_acct_shop2" in ada.get(f"test/payments/{mine}?account=acct_shop2").text
    assert "acct_shop3" in ada.get("live/overview").text


def test_what_waits_leads_to_the_account_that_it_is_of(board: Board, ada: httpx.Client) -> None:
    conn = board.conn
    conn.execute("set session_replication_role = replica")
    conn.execute(
        """insert into payments.webhook_events (environment, account_id, provider_event_id, event_type,
             processing_status, next_attempt_at, parked_at, payload)
           values ('live', null, 'evt_w1', 'charge.succeeded', 'failed', now(), null, '{}'),
                  ('live', 'acct_w1', 'evt_w2', 'charge.succeeded', 'failed', now(), null, '{}'),
                  ('live', 'acct_w1', 'evt_w3', 'charge.succeeded', 'failed', now(), null, '{}'),
                  ('live', 'acct_w2', 'evt_w4', 'charge.succeeded', 'failed', null, now(), '{}')"""
    )
    conn.execute(
        """insert into payments.outbox
             (link_id, environment, account_id, target, row_key, object_type, operation, status)
           values (0, 'live', 'acct_w2', 'payments.stripe_products'::regclass, '{"id": 1}', 'product', 'update',
                   'refused')"""
    )
    conn.execute(
        """insert into payments_private.stashed_events (environment, provider_event_id, body, last_error, parked_at)
           values ('live', 'evt_w5', '{}', 'no room', now())"""
    )
    conn.execute("reset session_replication_role")
    try:
        for account, expected in (
            ("", {
                "1 failed event waits for its next try.", "2 failed events of acct_w1.", "1 parked event of acct_w2.",
                "1 event in quarantine.", "1 refused push or conflict of acct_w2.",
            }),
            ("acct_w1", {"2 failed events."}),
            ("acct_w2", {"1 parked event.", "1 refused push or conflict."}),
        ):  # fmt: skip
            page = ada.get(f"live/overview?account={account}").text
            told = {html.unescape(text): html.unescape(where) for text, where in re.findall(
                r"<li>([^<]*(?:event|push)[^<]*?) <a href=\"/dashboard/([^\"]+)\"", page)}  # fmt: skip
            assert set(told) == expected
            for text, where in told.items():
                if "quarantine" not in text:
                    shown = ada.get(where).text
                    rows = shown.count("evt_w") or shown.count("/live/events/") or shown.count('class="push"')
                    assert rows == int(text.split()[0]), (text, where)
        push = conn.execute("select id from payments.outbox where account_id = 'acct_w2'").fetchall()[0]["id"]
        for query, status in (
            (f"push={push}", 404),
            (f"push={push}&account=acct_w1", 404),
            (f"push={push}&account=acct_w2", 200),
        ):
            assert ada.get(f"live/do/outbox-discard?{query}").status_code == status
    finally:
        conn.execute("delete from payments.outbox where environment = 'live'")
        conn.execute("delete from payments_private.stashed_events")
        conn.execute("delete from payments.webhook_events where provider_event_id like 'evt_w_'")


def test_addresses_are_right_wherever_it_is_mounted(server: Server, board: Board, module_conn: Conn) -> None:
    with (
        running_board(server, module_conn, dashboard_prefix="/payments/do/replay-all") as odd,
        httpx.Client(base_url=odd.base, timeout=30) as browser,
    ):
        root = "/payments/do/replay-all"
        assert browser.post(f"{root}/sign-in", data={"key": ADMIN_KEY, "name": "Ada"}).status_code == 303
        page = browser.get(f"{root}/test/payments?status=failed&currency=eur").text
        export = html.unescape(re.findall(r'href="([^"]*)" download', page)[0])
        assert export == f"{root}/test/payments.csv?status=failed&currency=eur"
        assert browser.get(export).headers["content-type"].startswith("text/csv")
        page = browser.get(f"{root}/test/events?type=charge.dispute.created").text
        asked = html.unescape(re.findall(r'href="([^"]*/do/replay-all[?][^"]*)"', page)[0])
        sent = {"form_token": form_token(browser.get(asked).text), "event": str(uuid4())}
        answer = browser.post(asked, data=sent)
        assert answer.headers["location"] == f"{root}/test/events?type=charge.dispute.created"
        assert browser.get(answer.headers["location"]).status_code == 200


def test_each_figure_of_the_overview_leads_to_what_it_counts(ada: httpx.Client) -> None:
    page = ada.get("test/overview").text
    figures = re.findall(r'href="/dashboard/([^"]*)">([\d,]+)(?: payments?)?</a>', page)
    assert len(figures) == 7
    for path, number in figures:
        listed, where = 0, html.unescape(path)
        while where:
            answer = ada.get(where).text
            listed += answer.partition("<tbody>")[2].count("<tr>")
            following = re.search(r'rel="next" href="/dashboard/([^"]+)"', answer)
            where = html.unescape(following[1]) if following else ""
        assert listed == int(number.replace(",", "")), path


def test_what_is_vendored_is_what_is_written_down() -> None:
    static = Path(dashboard_package.__file__).parent / "static"
    told = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (static / "README.md").read_text(), re.M))
    vendored = {path.name for path in static.iterdir()} - {
        "README.md", "style.css", "page.js", "icon.svg", "htmx-LICENSE.txt",
    }  # fmt: skip
    assert set(told) == vendored
    for name, digest in told.items():
        assert hashlib.sha256((static / name).read_bytes()).hexdigest() == digest
        assert f"static/{name}" in (static.parent / "templates/base.html").read_text()
