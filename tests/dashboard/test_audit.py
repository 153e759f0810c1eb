"""An auditor's list: whatever can be done through the pages is done; the log says who, what, when and where from."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.routing import Route

from pg_payments import dashboard
from pg_payments.dashboard.acting import ACTIONS
from pg_payments.dashboard.application import ROUTES
from pg_payments.dashboard.sign_in import way_in
from pg_payments.stripe.keys import masked
from tests.dashboard.conftest import MASTER_KEY, OTHER_ROLE, Board, Conn, answer_question, form_token, running_board
from tests.dashboard.test_settings import KEY, ended
from tests.linked_tables.shop import OWNER, TABLES, Shop, event, intent, product
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, ADMIN_ROLE, bring_application, site_settings, token
from tests.support.stripe_webhooks import MAXIMUM

Row = dict[str, Any]
Told = tuple[str, str, str, str | None, Row]
"""Who, from where, what, on what, and what else."""
Fields = Mapping[str, str]
NONE: Fields = {}

LOGIN = "test_admin_shop"
ADA, ADA_ON_KEYS = f"{LOGIN} as payments_admin (Ada)", f"{LOGIN} as payments_keys (Ada)"
GRACE, LENT = f"{LOGIN} as user:grace", f"{LOGIN} as payments_admin (Linus)"
HOME, OUTSIDE = "dashboard 127.0.0.1", "dashboard 203.0.113.7"
TEST: Row = {"environment": "test"}
FORMS = {("/sign-in", "POST"), ("/sign-out", "POST"), ("/{environment}/do/{action}", "POST")}
"""Where anything is sent to."""
TELLING = {("/enter", "GET"), ("/{environment}/payments.csv", "GET")}
"""What is only asked for, and is in the log all the same."""


@dataclass
class Auditor:
    """Keeps a list of its own of what is done, to hold the log against it."""

    conn: Conn
    done: list[tuple[Told, datetime, datetime]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def now(self) -> datetime:
        (row,) = self.conn.execute("select clock_timestamp() as now").fetchall()
        at: datetime = row["now"]
        return at

    def log(self) -> list[Row]:
        """As somebody who may only read it sees it."""
        with self.conn.transaction(force_rollback=True):
            self.conn.execute("set local role payments_admin")
            return self.conn.execute(
                """select actor, source, action, target, detail, at from payments.audit_log
                    where source <> 'sql' order by at, id"""
            ).fetchall()

    def expect(self, before: datetime, *told: Told) -> None:
        self.done += [(each, before, self.now()) for each in told]

    def act(
        self, browser: httpx.Client, path: str, *told: Told, status: int = 303, fields: Fields = NONE
    ) -> httpx.Response:
        """An action, sent from its own page: it comes to be done, and to be told like this."""
        before = self.now()
        answer = answer_question(browser, f"test/do/{path}", **fields)
        assert answer.status_code == status, answer.text
        self.seen.add(path.partition("?")[0])
        self.expect(before, *told)
        return answer


@pytest.fixture
def audited(server: Server, conn: Conn) -> Iterator[tuple[Board, Auditor, Shop]]:
    """A site without a key, with two pushes that wait and two events to replay."""
    bring_application(conn)
    server.login(OWNER)
    conn.execute(f"create schema app authorization {OWNER}")
    conn.execute(f"set role {OWNER}")
    conn.execute(TABLES)
    conn.execute("reset role")
    shop = Shop(conn, server.url(conn.info.dbname))
    shop.link("app.products", "product", push={"name": "title"}, owner="refuse")
    shop.store(product("prod_1", name="old"), product("prod_2", name="old"))
    shop.all("insert into app.products (title, stripe_product_id) values ('old', 'prod_1'), ('old', 'prod_2')")
    shop.all("update app.products set title = 'new'")
    shop.deliver(*(event("payment_intent.succeeded", intent(f"pi_{n}"), 1_790_000_000 + n) for n in (1, 2)))
    with running_board(
        server, conn, stripe_test_secret_key=None, stripe_test_webhook_secret=None, public_url="http://shop.example",
        jwt_roles=f"authenticated,anon,{ADMIN_ROLE}",
    ) as board:  # fmt: skip
        yield board, Auditor(conn), shop


def test_an_auditor_finds_whatever_was_done_and_nothing_else(audited: tuple[Board, Auditor, Shop]) -> None:
    board, auditor, shop = audited
    with board.browser() as ada, board.browser(**{"X-Forwarded-For": "203.0.113.7"}) as grace:
        before = auditor.now()
        assert ada.post("sign-in", data={"key": ADMIN_KEY, "name": "Ada"}).status_code == 303
        auditor.expect(before, (ADA, HOME, "sign in", None, {"by": "key"}))
        before = auditor.now()
        assert grace.post("sign-in", data={"key": token(sub="grace", role=ADMIN_ROLE)}).status_code == 303
        auditor.expect(before, (GRACE, OUTSIDE, "sign in", None, {"by": "token"}))
        keys(board, auditor, ada)
        catalogue(board, auditor, grace)
        object_storage(auditor, shop, ada, grace)
        events(auditor, shop, ada, grace)
        auditor.act(ada, "key-remove", (ADA_ON_KEYS, HOME, "remove key", "test", {}))
        in_and_out(board, auditor, ada, grace)
        reading(board, auditor)

    assert auditor.seen == set(ACTIONS), "each action of the dashboard has a place in this test"
    assert routes("POST") == FORMS, "whatever takes a form has one, too"
    found = auditor.log()
    assert [(r["actor"], r["source"], r["action"], r["target"], r["detail"]) for r in found] == [
        told for told, _, _ in auditor.done
    ]
    assert [row["action"] for row, (_, begin, end) in zip(found, auditor.done, strict=True)
            if not begin <= row["at"] <= end] == []  # fmt: skip
    assert words() <= {row["action"] for row in found}, "each word that the pages can tell was told"
    assert KEY not in json.dumps([row["detail"] for row in found])


def keys(board: Board, auditor: Auditor, ada: httpx.Client) -> None:
    refused = (ADA_ON_KEYS, HOME, "set key", "test", {"key": "not a key"})
    failed = (ADA_ON_KEYS, HOME, "set key failed", "test", {"error": "this is no key of the test environment"})
    auditor.act(ada, "key-set", refused, failed, status=400, fields={"secret_key": "nonsense"})
    told = (ADA_ON_KEYS, HOME, "set key", "test", {"key": masked(KEY)})
    ended(ada, auditor.act(ada, "key-set", told, fields={"secret_key": KEY}))
    ended(ada, auditor.act(ada, "sync", (ADA, HOME, "sync", "test", {})))
    ended(ada, auditor.act(ada, "verify", (ADA, HOME, "verify projections", "test", {})))
    auditor.act(ada, "webhook", (ADA_ON_KEYS, HOME, "configure webhook", "test", {}))
    for _ in range(MAXIMUM):
        board.stand_in.webhooks.add("https://elsewhere.example/")
    error = {"error": f"You have reached the maximum of {MAXIMUM} test webhook endpoints."}
    told = (ADA_ON_KEYS, HOME, "configure webhook", "test", {})
    auditor.act(ada, "webhook", told, (ADA_ON_KEYS, HOME, "configure webhook failed", "test", error))


def catalogue(board: Board, auditor: Auditor, grace: httpx.Client) -> None:
    def made(path: str, what: str, target: str | None, asked: Row, fields: Fields = NONE) -> str:
        """Something is made or changed: a row before, and one after, with the id of what it is now."""
        before = auditor.now()
        auditor.act(grace, path, (GRACE, OUTSIDE, what, target, TEST | {"asked": asked}), fields=fields)
        name = target if target and not what.startswith("make") else newest(board, what.split()[1])
        auditor.expect(before, (GRACE, OUTSIDE, f"{what} done", name, TEST))
        return name

    teapot = {"name": "Teapot", "description": "Warm"}
    tea = made("product-new", "make product", None, teapot, teapot)
    wish = {"product": tea, "currency": "eur", "unit_amount": 1250}
    price = made(f"price-new?product={tea}", "make price", tea, wish, {"amount": "12.50", "currency": "EUR"})
    made(f"product-change?product={tea}", "change product", tea, {"name": "Pot", "description": ""}, {"name": "Pot"})
    for kind, name in (("price", price), ("product", tea)):
        for what, active in (("archive", False), ("restore", True)):
            made(f"{kind}-archive?{kind}={name}", f"{what} {kind}", name, {"active": active})
    refused: list[tuple[str, str, str | None, Row, Fields]] = [
        ("product-new", "make product", None, teapot, teapot),
        (f"price-new?product={tea}", "make price", tea, wish, {"amount": "12.50", "currency": "eur"}),
        (f"product-change?product={tea}", "change product", tea, {"name": "x", "description": ""}, {"name": "x"}),
        (f"price-archive?price={price}", "archive price", price, {"active": False}, {}),
        (f"product-archive?product={tea}", "archive product", tea, {"active": False}, {}),
    ]  # fmt: skip
    for path, what, target, asked, fields in refused:
        board.stand_in.catalogue.refusals.append((400, "not today"))
        failed: Told = (GRACE, OUTSIDE, f"{what} failed", target, TEST | {"error": "not today"})
        auditor.act(
            grace, path, (GRACE, OUTSIDE, what, target, TEST | {"asked": asked}), failed, status=400, fields=fields
        )


def newest(board: Board, kind: str) -> str:
    """The id of the product or price that Stripe has made last."""
    return [str(made["id"]) for made in board.stand_in._objects.values() if made["object"] == kind][-1]


def object_storage(auditor: Auditor, shop: Shop, ada: httpx.Client, grace: httpx.Client) -> None:
    auditor.act(ada, "outbox-pause", (ADA, HOME, "pause outbox", "test", {}))
    auditor.act(grace, "outbox-resume", (GRACE, OUTSIDE, "resume outbox", "test", {}))
    first, second = ({"push": str(row["id"]), "row": row["row_key"]} for row in shop.outbox()[:2])
    auditor.act(grace, f"outbox-retry?push={first['push']}", (GRACE, OUTSIDE, "retry push", "app.products", first))
    told = second | {"wanted": {"name": "new"}}
    auditor.act(ada, f"outbox-discard?push={second['push']}", (ADA, HOME, "discard push", "app.products", told))


def events(auditor: Auditor, shop: Shop, ada: httpx.Client, grace: httpx.Client) -> None:
    rows = shop.all("select id::text from payments.webhook_events order by id")
    detail: Row = TEST | {"status": "processed", "error": None}
    told = [("replay event", row["id"], detail) for row in rows]
    auditor.act(ada, f"replay?event={rows[0]['id']}", (ADA, HOME, *told[0]))
    auditor.act(grace, "replay-all?type=payment_intent.succeeded", *((GRACE, OUTSIDE, *each) for each in told))


def in_and_out(board: Board, auditor: Auditor, ada: httpx.Client, grace: httpx.Client) -> None:
    before = auditor.now()
    assert grace.get("live/payments.csv?currency=eur").status_code == 200
    filters = {"environment": "live", "account": None, "filters": {"currency": "eur"}}
    auditor.expect(before, (GRACE, OUTSIDE, "export payments", None, filters))
    settings = site_settings("postgresql:///x", admin_api_key=ADMIN_KEY, master_key=MASTER_KEY)
    before = auditor.now()
    with board.browser() as linus:
        assert linus.get(f"enter?ticket={way_in(settings, 'Linus')}").status_code == 303
        auditor.expect(before, (LENT, HOME, "sign in", None, {"by": "key"}))
    for browser, who, where, by in ((ada, ADA, HOME, "key"), (grace, GRACE, OUTSIDE, "token")):
        before = auditor.now()
        data = {"form_token": form_token(browser.get("test/overview").text)}
        assert browser.post("sign-out", data=data).headers["location"] == "/dashboard/sign-in"
        auditor.expect(before, (who, where, "sign out", None, {"by": by}))


def reading(board: Board, auditor: Auditor) -> None:
    """Every page that there is, and every question: none but those that say so tells the log of it."""
    before = auditor.now()
    with board.signed_in(name="Ada") as ada:
        auditor.expect(before, (ADA, HOME, "sign in", None, {"by": "key"}))
        for path, _ in sorted(routes("GET") - TELLING):
            for action in ACTIONS if "{action}" in path else ("",):
                filled = path.replace("{environment}", "test").replace("{action}", action).replace("{id}", "x_1")
                assert ada.get(filled.replace("{id:uuid}", str(uuid4())).lstrip("/")).status_code < 500


def routes(method: str) -> set[tuple[str, str]]:
    return {(r.path, method) for r in ROUTES if isinstance(r, Route) and method in (r.methods or ())}


def words() -> set[str]:
    """What the pages' code tells the log, however it comes to it: the texts that its calls give as the action."""
    telling = {"note": 1, "audit": 0, "_audit": 1, "_record": 3, "audit_action": 1, "_at_stripe": 1}
    found: set[str] = set()
    for file in Path(str(dashboard.__file__)).parent.rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if len(call.args) > telling.get(name, 99):
                texts = {t.value for t in ast.walk(call.args[telling[name]])
                         if isinstance(t, ast.Constant) and isinstance(t.value, str) and t.value.islower()
                         and not t.value.startswith(" ") and t.value != "yes"}  # fmt: skip
                found |= texts | ({f"{text} done" for text in texts} if name == "_at_stripe" else set())
    assert {"sync", "restore price", "sign out", "remove key", "replay event", "make product done"} <= found
    return found


def test_what_is_refused_leaves_no_row_that_it_was_done(audited: tuple[Board, Auditor, Shop]) -> None:
    board, auditor, shop = audited
    with (
        board.signed_in() as ada,
        board.signed_in(token(sub="grace", role=ADMIN_ROLE)) as grace,
        board.browser() as eve,
    ):
        before = auditor.log()
        pushes, ledger = shop.outbox(), shop.all("select * from payments.webhook_events order by id")
        push, entry = pushes[0]["id"], ledger[0]["id"]
        own, hers = (form_token(browser.get("test/overview").text) for browser in (ada, grace))
        fields = {
            "secret_key": KEY, "name": "x", "amount": "1", "currency": "eur", "active": "no", "once": "1",
            "event": str(entry),
        }  # fmt: skip
        for action in ACTIONS:
            path = f"test/do/{action}?push={push}&event={entry}&product=prod_1&price=price_1"
            for browser, data, headers in (
                (ada, fields, {}), (ada, fields | {"form_token": hers}, {}), (grace, fields | {"form_token": own}, {}),
                (ada, fields | {"form_token": own}, {"Sec-Fetch-Site": "cross-site"}),
            ):  # fmt: skip
                assert browser.post(path, data=data, headers=headers).status_code == 403, action
            assert eve.post(path, data=fields | {"form_token": own}).status_code == 303, action
            if ACTIONS[action].for_keys:
                assert grace.post(path, data=fields | {"form_token": hers}).status_code == 403, action
        for path, status in (
            (f"outbox-retry?push={uuid4()}", 404), (f"outbox-discard?push={uuid4()}", 404), ("replay?event=x", 400),
            (f"replay?event={uuid4()}", 404), ("replay-all", 400), ("product-change?product=prod_none", 404),
            ("price-archive?price=price_none", 404), ("key-remove", 404), ("sync", 400), ("webhook", 400),
        ):  # fmt: skip
            answer = ada.post(f"test/do/{path}", data={"form_token": own, "name": "x", "active": "no"})
            assert answer.status_code == status, (path, answer.text)
        for key in ("wrong", token(sub="eve"), token(sub="eve", role=OTHER_ROLE)):
            assert eve.post("sign-in", data={"key": key, "name": "Eve"}).status_code in (401, 403)
        assert eve.get("test/payments.csv").status_code == 303
        assert ada.get("test/payments.csv?status=nonsense").status_code == 400
        assert ada.post("sign-out", data={"form_token": hers}).status_code == 403
        assert auditor.log() == before
        assert (shop.outbox(), shop.all("select * from payments.webhook_events order by id")) == (pushes, ledger)
        assert board.stand_in.catalogue.writes == []
