"""Keys, the webhook endpoint and a sync through the pages; and `serve`, which shows them only where it is told to."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from pg_payments.errors import ConfigurationError
from pg_payments.settings import Settings
from tests.dashboard.conftest import MASTER_KEY, Board, Conn, answer_question, running_board
from tests.stripe_simulator.shop import shop
from tests.support.crowd import serving
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, admin_shop_url, bring_application

KEY = "sk_test_51AbCdEfGhIjKlMnOpQrStUv4242"


@pytest.fixture
def keyless(server: Server, conn: Conn) -> Iterator[Board]:
    """A site with no key yet, where Stripe can reach it."""
    bring_application(conn)
    with running_board(
        server, conn, stripe_test_secret_key=None, stripe_test_webhook_secret=None, public_url="http://shop.example"
    ) as board:
        yield board


def ended(browser: httpx.Client, answer: httpx.Response) -> str:
    """The page of a job once it has ended."""
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"].removeprefix("/dashboard/")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        text = browser.get(path).text
        if "Under way" not in text:
            return text
        time.sleep(0.05)
    raise AssertionError(text)


def test_a_key_is_set_masked_synced_and_removed(keyless: Board) -> None:
    keyless.stand_in.add(*shop(2, 3, 3))
    conn = keyless.conn
    with keyless.signed_in() as ada:
        assert "No account is connected yet" in ada.get("test/overview").text
        for wrong in ("sk_live_51AbCdEfGhIjKlMnOpQrStUv4242", "nonsense", "pk_test_1234567890"):
            refused = answer_question(ada, "test/do/key-set", secret_key=wrong)
            assert refused.status_code == 400
            assert wrong not in refused.text
        page = ended(ada, answer_question(ada, "test/do/key-set", secret_key=KEY))
        assert "It is done" in page
        assert "3 subscriptions" in page
        settings = ada.get("test/settings").text
        assert "sk_test_****4242" in settings
        assert "acct_1DemoShop" in settings
        assert "http://shop.example/api/webhooks/stripe/test" in settings
        assert "as it should be" in ada.get("test/health?ask=stripe").text
        assert answer_question(ada, "test/do/webhook").status_code == 303
        assert "It is done" in ended(ada, answer_question(ada, "test/do/sync"))
        assert answer_question(ada, "test/do/key-remove").status_code == 303
        assert "sk_test_****" not in ada.get("test/settings").text.partition("Audit log")[0]
        everything = "".join(ada.get(f"test/{page}").text for page in ("settings", "audit", "health", "overview"))
        assert KEY not in everything
    rows = conn.execute("select action, detail::text, actor, source from payments.audit_log order by at").fetchall()
    assert [row["action"] for row in rows] == [
        "sign in", *["set key", "set key failed"] * 3, "set key", "configure webhook", "sync", "remove key",
    ]  # fmt: skip
    assert all(row["actor"].endswith("(Ada)") and row["source"] == "dashboard 127.0.0.1" for row in rows)
    assert all(KEY not in row["detail"] and "sk_live_51" not in row["detail"] for row in rows)


def test_verifying_finds_no_drift(keyless: Board) -> None:
    with keyless.signed_in() as ada:
        assert "No row differs" in ended(ada, answer_question(ada, "test/do/verify"))


def test_every_process_shows_how_far_a_job_is(server: Server, keyless: Board) -> None:
    with running_board(server, keyless.conn) as other, keyless.signed_in() as ada, other.browser() as elsewhere:
        elsewhere.cookies = ada.cookies
        assert "No row differs" in ended(elsewhere, answer_question(ada, "test/do/verify"))
        rows = keyless.conn.execute("select payments.begin_dashboard_job('test', 'Sync test', 'settings') as id")
        (job,) = (row["id"] for row in rows)
        keyless.conn.execute("select payments.tell_dashboard_job(%s, 'running', '{products: 7,<b>prices: 9}')", [job])
        for browser in (ada, elsewhere):
            page = browser.get(f"test/jobs/{job}").text
            assert "Under way for" in page
            assert "&lt;b&gt;prices: 9" in page
            assert browser.get(f"live/jobs/{job}").status_code == 404
        keyless.conn.execute("update payments_private.dashboard_jobs set told_at = now() - interval '2 minutes'")
        assert (
            "the server\N{RIGHT SINGLE QUOTATION MARK}s process that ran it has ended"
            in ada.get(f"test/jobs/{job}").text
        )


def test_a_connected_account_is_synced_where_it_is_looked_at(keyless: Board) -> None:
    keyless.stand_in.add(*shop(2, 3, 3))
    with keyless.signed_in() as ada:
        ended(ada, answer_question(ada, "test/do/key-set", secret_key=KEY))
        assert "do/sync?account=acct_shop7" in ada.get("test/settings?account=acct_shop7").text
        told = ended(ada, answer_question(ada, "test/do/sync?account=acct_shop7"))
        assert "Done: 2 products, 2 prices, 3 customers, 3 subscriptions." in told, re.findall("<bdi>[^<]*", told)
        keyless.stand_in.refusals.append((403, "no access to acct_shop8"))
        assert "no access to acct_shop8" in ended(ada, answer_question(ada, "test/do/sync?account=acct_shop8"))
    found = keyless.conn.execute(
        "select account_id as a, count(*) as n from payments.customers group by 1 order by 1 nulls first"
    ).fetchall()
    assert [(row["a"], row["n"]) for row in found] == [(None, 3), ("acct_shop7", 3)]
    logged = keyless.conn.execute("select detail from payments.audit_log where action = 'sync' order by at").fetchall()
    assert [row["detail"] for row in logged] == [{"account": "acct_shop7"}, {"account": "acct_shop8"}]


def test_a_job_that_fails_says_why_and_ends_once(keyless: Board) -> None:
    with keyless.signed_in() as ada:
        begun = answer_question(ada, "test/do/verify")
        assert "It is done" in ended(ada, begun)
        job = begun.headers["location"].rpartition("/")[2]
        keyless.conn.execute("select payments.tell_dashboard_job(%s, 'failed', '{too late}')", [job])
        assert "It is done" in ada.get(f"test/jobs/{job}").text
        keyless.conn.execute("update payments_private.dashboard_jobs set told_at = now() - interval '2 days'")
        answer_question(ada, "test/do/verify")
        assert ada.get(f"test/jobs/{job}").status_code == 404


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"dashboard": "on", "admin_api_key": ADMIN_KEY, "master_key": None}, "PAYMENTS_MASTER_KEY"),
        ({"dashboard": "on", "master_key": MASTER_KEY}, "PAYMENTS_ADMIN_API_KEY"),
        ({"dashboard_prefix": "dashboard"}, "PAYMENTS_DASHBOARD_PREFIX"),
        ({"dashboard_prefix": "/"}, "PAYMENTS_DASHBOARD_PREFIX"),
        ({"dashboard_prefix": "/a/"}, "PAYMENTS_DASHBOARD_PREFIX"),
        ({"dashboard_prefix": "/api/x"}, "PAYMENTS_DASHBOARD_PREFIX"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(values: dict[str, Any], named: str) -> None:
    outside: dict[str, Any] = {"admin_api_key": None, "jwt_secret": None, "jwks_url": None, "master_key": None}
    given = {name: SecretStr(value) if "key" in name and value else value for name, value in values.items()}
    with pytest.raises(ConfigurationError) as caught:
        Settings(**(outside | given))
    assert caught.value.detail == named


@pytest.mark.slow
@pytest.mark.newest("a switch of the command; the pages are tried on all")
@pytest.mark.parametrize("switch", ["off", "on"])
def test_serve_shows_it_only_where_it_is_told_to(server: Server, conn: Conn, tmp_path: Path, switch: str) -> None:
    bring_application(conn)
    variables = {
        "PAYMENTS_DASHBOARD": switch, "PAYMENTS_DASHBOARD_PREFIX": "/money/pages", "PAYMENTS_ADMIN_API_KEY": ADMIN_KEY,
        "PAYMENTS_MASTER_KEY": MASTER_KEY,
    }  # fmt: skip
    url = admin_shop_url(server, conn.info.dbname)
    with serving(url, tmp_path / "log", "--workers", "2", **variables) as running:
        base = running.base
        answer = httpx.get(f"{base}/money/pages/sign-in")
        assert answer.status_code == (200 if switch == "on" else 404)
        assert httpx.get(f"{base}/dashboard/sign-in").status_code == 404
        assert httpx.get(f"{base}/health/live").status_code == 200
        if switch == "on":
            with httpx.Client(base_url=f"{base}/money/pages/") as browser:
                assert browser.post("sign-in", data={"key": ADMIN_KEY, "name": "Ada"}).status_code == 303
                assert "/money/pages/test/payments" in browser.get("test/overview").text
