"""The dashboard in a real browser: what people do, what keeps people out, and what must never run."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from pg_payments.dashboard.sessions import COOKIE
from pg_payments.stripe.client import StripeApi
from pg_payments.worker import outbox
from tests.conftest import SOURCES
from tests.dashboard.conftest import Board
from tests.dashboard.test_reading import HOSTILE
from tests.linked_tables.shop import OWNER, PUSH, TABLES, Shop, event, product
from tests.support.browser import axe_script, running_browser, violations
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, ADMIN_ROLE, token
from tests.support.stripe_writes import stripe_writes

pytestmark = pytest.mark.slow

PAGES = (
    "overview", "payments", "payments?status=failed", "subscriptions", "customers", "catalogue?archived=yes", "events",
    "events?status=failed", "object-storage", "object-storage?status=waiting", "health", "settings", "audit",
    "do/product-new", "do/sync", "do/verify", "do/key-set?environment=live", "payments?q=nothing-like-this", "nothing",
)  # fmt: skip
KEY_FIELD = "administrator\N{RIGHT SINGLE QUOTATION MARK}s token"
DETAILS = ("payments", "events", "customers", "subscriptions")


@pytest.fixture(scope="module")
def browser(server: Server) -> Iterator[Browser]:
    if server.name != SOURCES[-1].name:
        pytest.skip("a browser sees no difference between versions of Postgres: the newest is enough")
    with running_browser() as running:
        yield running


@contextmanager
def somebody(browser: Browser, board: Board, key: str = ADMIN_KEY, **options: Any) -> Iterator[Page]:
    """Somebody who has signed in, in a browser of their own; nothing may go wrong in its console."""
    options = {"timezone_id": "Asia/Tokyo", "locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | options
    context = browser.new_context(**options)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    foreign: list[str] = []
    page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(board.base) else None)
    page.goto(f"{board.base}/dashboard/")
    page.get_by_label(KEY_FIELD).fill(key)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    yield page
    context.close()
    assert wrong == []
    assert [url for url in foreign if not url.startswith("data:")] == []


def test_a_failed_payment_is_found_read_and_replayed(browser: Browser, board: Board) -> None:
    with somebody(browser, board) as page:
        page.get_by_role("listitem").filter(has_text="failed event").get_by_role("link").click()
        page.get_by_role("row").nth(1).get_by_role("link").first.click()
        expect(page.get_by_role("heading", name="Why it failed")).to_be_visible()
        expect(page.get_by_text("something_is_left").first).to_be_visible()
        page.get_by_role("region", name="Payments that it tells of").get_by_role("link").first.click()
        expect(page.get_by_text("could not be applied")).to_be_visible()
        page.get_by_role("link", name="Replay").click()
        expect(page.get_by_text("The application's triggers fire once more")).to_be_visible()
        page.get_by_role("button", name="Replay it").click()
        expect(page.get_by_role("status")).to_contain_text("is failed now")
        board.conn.execute("update public.stock set pieces = 9 where item = 'Grinder'")
        page.get_by_role("link", name="Replay").click()
        page.get_by_role("button", name="Replay it").click()
        expect(page.get_by_role("status")).to_contain_text("is processed now")
        page.get_by_role("region", name="Payments that it tells of").get_by_role("link").first.click()
        expect(page.get_by_text("events were applied")).to_be_visible()
    assert board.conn.execute("select pieces from public.stock where item = 'Grinder'").fetchone() == {"pieces": 8}
    rows = board.conn.execute(
        "select actor, source, detail ->> 'status' as status from payments.audit_log where action = 'replay event'"
        " order by at"
    ).fetchall()
    assert [row["status"] for row in rows] == ["failed", "processed"]
    assert all(row["actor"].endswith(" as payments_admin (Ada)") for row in rows)


def test_a_list_is_filtered_paged_and_exported(browser: Browser, board: Board, tmp_path: Path) -> None:
    expected = [
        str(row["id"]) for row in board.conn.execute(
            "select id from payments.transactions where currency = 'eur'"
            " order by provider_created_at desc nulls last, id"
        ).fetchall()
    ]  # fmt: skip
    assert len(expected) > 50
    with somebody(browser, board) as page:
        page.get_by_role("link", name="Payments", exact=True).last.click()
        page.get_by_text("Filters").click()
        page.get_by_label("Currency").fill("eur")
        page.get_by_role("button", name="Filter").click()
        page.wait_for_url("**currency=eur**")
        shown: list[str] = []
        while True:
            links = page.locator("tbody td:first-child a")
            shown += [str(link.get_attribute("href"))[-36:] for link in links.all()]
            following = page.get_by_role("link", name="Next page")
            if following.count() == 0:
                break
            address = following.get_attribute("href")
            following.click()  # swapped in place, with its address
            page.wait_for_url(f"**{address}")
            expect(page.locator("#main")).to_be_focused()
        assert shown == expected
        with page.expect_download() as download:
            page.get_by_role("link", name="Export as CSV").click()
        download.value.save_as(tmp_path / "export.csv")
    with (tmp_path / "export.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == expected


def test_times_are_the_viewers_and_exact_on_hover(browser: Browser, board: Board) -> None:
    with somebody(browser, board) as page:
        page.goto(f"{board.base}/dashboard/test/payments")
        each = page.locator("tbody time").first
        at = str(each.get_attribute("datetime"))
        assert each.get_attribute("title") == at.replace("T", " ").replace("Z", " UTC")
        shown = each.inner_text()
        assert "UTC" not in shown
        assert f"{(int(at[11:13]) + 9) % 24:02}:{at[14:16]}" in shown


def test_without_scripts_all_can_be_read_and_done(browser: Browser, board: Board) -> None:
    with somebody(browser, board, java_script_enabled=False) as page:
        for name in ("Subscriptions", "Customers", "Catalogue", "Events", "Object storage", "Health", "Settings"):
            page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
            expect(page.get_by_role("heading", level=1)).to_have_text(name)
        page.goto(f"{board.base}/dashboard/test/payments?type=one_time_payment")
        assert "UTC" in page.locator("tbody time").first.inner_text()
        page.get_by_role("link", name="Next page").click()
        expect(page.get_by_role("link", name="First page")).to_be_visible()
        page.locator("tbody a").first.click()
        expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
        page.goto(f"{board.base}/dashboard/test/do/outbox-pause")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("status")).to_have_text("Pushes are paused.")
        page.goto(f"{board.base}/dashboard/test/do/outbox-resume")
        page.get_by_role("button", name="Resume").click()


def test_a_sync_shows_how_far_it_is(browser: Browser, board: Board) -> None:
    with somebody(browser, board) as page:
        page.goto(f"{board.base}/dashboard/test/do/sync")
        page.get_by_role("button", name="Sync").click()
        expect(page.get_by_text("It is done.")).to_be_visible(timeout=30_000)


def test_a_conflict_is_decided(browser: Browser, board: Board, server: Server) -> None:
    """Both values are shown; the database's are sent once somebody says so."""
    server.login(OWNER)
    conn = board.conn
    conn.execute(f"create schema app authorization {OWNER}")
    conn.execute(f"set role {OWNER}")
    conn.execute(TABLES)
    conn.execute("reset role")
    shop = Shop(conn, server.url(conn.info.dbname))
    with stripe_writes() as account:
        shop.link("app.products", "product", push=PUSH, create_at_stripe=True, owner="refuse")
        shop.store(account.put(**product("prod_1", default_price=None, name="old", metadata={})))
        shop.all("insert into app.products (title, stripe_product_id) values ('old', 'prod_1')")
        shop.all("update app.products set title = 'ours'")
        account.objects["prod_1"]["name"] = "theirs"
        shop.deliver(event("product.updated", account.objects["prod_1"], 1_800_000_000, name="old"))
        client = StripeApi("sk_test_made_up_for_this_test", base=account.base)
        while outbox.send_pushes(conn, lambda environment: client):
            pass
        assert [row["status"] for row in shop.outbox()] == ["conflict"]
        with somebody(browser, board) as page:
            page.get_by_role("listitem").filter(has_text="conflict").get_by_role("link").click()
            row = page.get_by_role("row").filter(has_text="name")
            expect(row.last).to_contain_text("ours")
            expect(row.last).to_contain_text("theirs")
            page.get_by_role("link", name="Keep the database").click()
            expect(page.get_by_text("replace Stripe's")).to_be_visible()
            page.get_by_role("button", name="Send again").click()
            expect(page.get_by_role("status")).to_contain_text("sent again")
        shop.all("update payments.outbox set next_try_at = now() where status = 'pending'")
        while outbox.send_pushes(conn, lambda environment: client):
            pass
        assert account.objects["prod_1"]["name"] == "ours"
    (row_,) = shop.all("select actor, source from payments.audit_log where action = 'retry push'")
    assert row_["actor"].endswith("(Ada)")
    assert row_["source"].startswith("dashboard ")


def test_who_may_not_is_told_so(browser: Browser, board: Board) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{board.base}/dashboard/test/events")
    page.get_by_label(KEY_FIELD).fill(ADMIN_KEY + "!")
    page.get_by_label("Your name").fill("Eve")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("did not open the door")
    page.get_by_label(KEY_FIELD).fill(ADMIN_KEY)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Events")).to_be_visible()  # where it was to go

    page.goto(f"{board.base}/dashboard/test/do/outbox-pause")
    end_session(context)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("Your session has ended")
    context.close()

    with somebody(browser, board, key=token(sub="grace", role=ADMIN_ROLE)) as reader:
        reader.goto(f"{board.base}/dashboard/live/do/key-set")
        expect(reader.get_by_role("heading", name="You may not do this")).to_be_visible()


def end_session(context: BrowserContext) -> None:
    """The cookie's signature is broken, as its end would have it."""
    (cookie,) = [each for each in context.cookies() if each["name"] == COOKIE]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    context.add_cookies([{**cookie, "value": cookie["value"][:-4] + "AAAA"}])  # type: ignore[typeddict-item]


def test_a_page_of_another_site_can_neither_act_nor_frame(browser: Browser, board: Board) -> None:
    """With the cookie there: another site's form is not believed, and no page shows itself in a frame."""
    before = board.conn.execute("select count(*) as n from payments.audit_log").fetchone()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{board.base}/dashboard/")
    page.get_by_label(KEY_FIELD).fill(ADMIN_KEY)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Sign in").click()
    other = board.base.replace("127.0.0.1", "localhost")
    page.route(f"{other}/evil", lambda route: route.fulfill(content_type="text/html", body=f"""
        <form method=post action="{board.base}/dashboard/test/do/outbox-pause"><button>Win a prize</button></form>
        <iframe src="{board.base}/dashboard/test/overview"></iframe>"""))  # fmt: skip
    page.goto(f"{other}/evil")
    frame = page.frames[1]
    frame.wait_for_load_state()
    assert frame.get_by_role("heading", name="Overview").count() == 0
    page.get_by_role("button", name="Win a prize").click()
    page.wait_for_url(f"{board.base}/**")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Payments|You may not do this"))
    context.close()
    after = board.conn.execute("select count(*) as n from payments.audit_log").fetchone()
    assert before
    assert after
    assert after["n"] == before["n"] + 1  # the sign-in


def test_what_is_hostile_runs_nowhere(browser: Browser, board: Board) -> None:
    conn = board.conn
    fill_with_hostile(conn)
    with somebody(browser, board, viewport={"width": 390, "height": 800}) as page:
        pages = ["payments?subject=user:hostile", "customers", "catalogue", "events?q=ch_hostile"]
        pages += [f"customers/cus_hostile{n}" for n in range(len(HOSTILE))]
        for row in conn.execute("select id from payments.transactions where subject_id = 'hostile'").fetchall():
            pages.append(f"payments/{row['id']}")
        for path in pages:
            page.goto(f"{board.base}/dashboard/test/{path}")
            assert page.evaluate("document.querySelectorAll('img, main script, main iframe').length") == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        page.goto(f"{board.base}/dashboard/test/customers/cus_hostile0")
        expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE[0])


def fill_with_hostile(conn: psycopg.Connection[Any]) -> None:
    conn.execute("set session_replication_role = replica")
    for n, text in enumerate(HOSTILE):
        values = {"t": text, "n": n}
        conn.execute(
            """insert into payments.transactions (environment, type, status, subject_type, subject_id, description,
                 customer_email_snapshot, provider_object_type, provider_object_id, amount, currency,
                 provider_created_at)
               values ('test', 'one_time_payment', 'failed', 'user', 'hostile', %(t)s, left(%(t)s, 900),
                       'payment_intent', 'pi_hostile' || %(n)s, 100, 'eur', now());""",
            values,
        )
        conn.execute(
            """insert into payments.customers (environment, provider_customer_id, name, email, synced_at)
               values ('test', 'cus_hostile' || %(n)s, %(t)s, left(%(t)s, 900), now())""",
            values,
        )
        conn.execute(
            """insert into payments.stripe_products (environment, product_id, name, description, active, synced_at)
               values ('test', 'prod_hostile' || %(n)s, %(t)s, %(t)s, true, now())""",
            values,
        )
        conn.execute(
            """insert into payments.webhook_events (environment, provider_event_id, event_type, object_type, object_id,
                 processing_status, last_error, payload)
               values ('test', 'evt_hostile' || %(n)s, left(%(t)s, 60), 'charge', 'ch_hostile', 'ignored', %(t)s,
                       jsonb_build_object('id', %(t)s::text))""",
            values,
        )
    conn.execute("reset session_replication_role")


def test_the_keyboard_is_enough(browser: Browser, board: Board) -> None:
    with somebody(browser, board) as page:
        page.goto(f"{board.base}/dashboard/test/events?status=failed")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        page.goto(f"{board.base}/dashboard/test/do/product-new")
        page.get_by_label("Name").focus()
        page.keyboard.type("By keyboard")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("The product was made")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)], ids=["light", "dark", "phone"]
)
def test_axe_finds_nothing_and_no_page_is_too_wide(
    browser: Browser, board: Board, pytestconfig: pytest.Config, scheme: str, width: int
) -> None:
    assert pytestconfig.cache
    axe = axe_script(Path(pytestconfig.cache.mkdir("axe")))
    found: dict[str, list[str]] = {}
    rules = ["color-contrast", "link-in-text-block"] if scheme == "dark" else []  # all else is the same
    options: dict[str, Any] = {"color_scheme": scheme, "bypass_csp": True, "viewport": {"width": width, "height": 900}}
    with somebody(browser, board, **options) as page:
        paths = list(PAGES)
        for name in DETAILS:
            page.goto(f"{board.base}/dashboard/test/{name}")
            paths.append(f"{name}/{str(page.locator('tbody a').first.get_attribute('href')).rpartition('/')[2]}")
        for path in paths:
            page.goto(f"{board.base}/dashboard/test/{path}")
            if width > 390 and (wrong := violations(page, axe, rules)):
                found[path] = wrong
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.context.clear_cookies()
        page.goto(f"{board.base}/dashboard/sign-in")
        if wrong := violations(page, axe, rules):
            found["sign-in"] = wrong
    assert found == {}
