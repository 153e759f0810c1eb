"""Who gets in, what the cookie is, and what nobody can do without its form."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.cookies import SimpleCookie

import httpx
import jwt
import pytest
from starlette.requests import Request

from pg_payments.caller import Caller
from pg_payments.dashboard.context import is_secure
from pg_payments.dashboard.sessions import COOKIE, Sessions
from pg_payments.dashboard.sign_in import counted_as, way_in
from tests.dashboard.conftest import MASTER_KEY, Board, Conn, answer_question, form_token, running_board
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, ADMIN_ROLE, site_settings, token

PAGES = [
    "overview", "payments", "payments.csv", "subscriptions", "customers", "catalogue", "events", "object-storage",
    "health", "settings", "audit", "do/sync", "do/replay", "do/key-set",
]  # fmt: skip


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(site_settings("postgresql:///x", admin_api_key=ADMIN_KEY, master_key=MASTER_KEY))


@pytest.mark.parametrize("page", PAGES)
def test_nobody_sees_a_page_without_signing_in(board: Board, page: str) -> None:
    with board.browser() as browser:
        answer = browser.get(f"test/{page}")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/dashboard/sign-in?next=%2Fdashboard%2Ftest%2F{page.replace('/', '%2F')}"
        assert browser.post(f"test/{page}").status_code in (303, 405)


def test_the_key_opens_and_leads_back(board: Board) -> None:
    with board.browser() as browser:
        answer = browser.post(
            "sign-in", data={"key": ADMIN_KEY, "name": "Ada", "next": "/dashboard/test/events?status=failed"}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/test/events?status=failed")
        cookie = SimpleCookie(answer.headers.get_list("set-cookie")[0])[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/dashboard")
        assert 0 < int(cookie["max-age"]) <= 8 * 3600
        assert ADMIN_KEY not in answer.headers["set-cookie"]
        assert browser.get("test/overview").status_code == 200


@pytest.mark.parametrize(
    ("public_url", "host", "scheme", "secure"),
    [
        ("https://shop.example", "shop.example", "http", True),
        ("https://shop.example", "shop.example:8443", "http", True),
        ("https://shop.example", "127.0.0.1", "http", False), ("http://shop.example", "shop.example", "http", False),
        (None, "shop.example", "http", False), (None, "other.example", "https", True),
    ],
)  # fmt: skip
def test_cookies_are_kept_to_https_where_people_come_by_it(
    public_url: str | None, host: str, scheme: str, secure: bool
) -> None:
    """Also behind a proxy that the server was not told to believe."""
    headers = [(b"host", host.encode())]
    request = Request({"type": "http", "scheme": scheme, "path": "/", "query_string": b"", "headers": headers})
    assert is_secure(request, site_settings("postgresql:///x", public_url=public_url)) is secure


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "/dashboard\\x", "/dashboardx", "/", ""]
)
def test_it_leads_nowhere_else(board: Board, elsewhere: str) -> None:
    with board.browser() as browser:
        answer = browser.post("sign-in", data={"key": ADMIN_KEY, "name": "Ada", "next": elsewhere})
        assert answer.headers["location"] == "/dashboard/"


def test_an_administrators_token_opens_and_says_who(board: Board) -> None:
    with board.signed_in(token(sub="grace", role=ADMIN_ROLE), name="") as browser:
        assert browser.get("test/overview").status_code == 200
        (row,) = board.conn.execute(
            "select actor, source, action from payments.audit_log where action = 'sign in' order by at desc limit 1"
        ).fetchall()
        assert row["actor"].endswith(" as user:grace")
        assert row["source"] == "dashboard 127.0.0.1"


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (ADMIN_KEY + "!", 401), (ADMIN_KEY[:-1], 401), ("é", 401), ("a\0b", 401), ("", 400), ("a.b.c", 401),
        (token(), 403), (token(role="anon"), 403), (token(role="postgres"), 403),
        (token(role=ADMIN_ROLE, exp=int(time.time()) - 60), 401),
    ],
)  # fmt: skip
def test_nothing_else_opens(board: Board, key: str, status: int) -> None:
    with board.browser(**{"X-Forwarded-For": f"10.0.0.{len(key)}"}) as browser:
        answer = browser.post("sign-in", data={"key": key, "name": "Eve"})
        assert answer.status_code == status, answer.text
        assert COOKIE not in answer.cookies
        assert 'role="alert"' in answer.text
        if key:
            assert key not in answer.text


def test_the_key_alone_does_not_say_who(board: Board) -> None:
    with board.browser() as browser:
        assert browser.post("sign-in", data={"key": ADMIN_KEY, "name": " \u202e "}).status_code == 400


def test_a_cookie_that_is_not_ours_opens_nothing(board: Board, sessions: Sessions) -> None:
    good = sessions.began(Caller("payments_admin", "{}", guest=False), "Ada", by_key=True)
    said = jwt.decode(sessions.sealed(good), options={"verify_signature": False})
    forged = {
        "expired": sessions.sealed(replace(good, expires=int(time.time()) - 1)),
        "signed by somebody else": jwt.encode(said, "k" * 32, "HS256"),
        "not signed": jwt.encode(said, "", "none"),
        "a notice": sessions.notice("hello"),
        "a ticket": sessions.ticket(good),
        "nonsense": "x.y.z",
    }
    for case, cookie in forged.items():
        answer = httpx.get(f"{board.base}/dashboard/test/overview", headers={"Cookie": f"{COOKIE}={cookie}"})
        assert (case, answer.status_code) == (case, 303)
        assert "ended=yes" in answer.headers["location"]
    cookie = sessions.sealed(good)
    answer = httpx.get(f"{board.base}/dashboard/test/overview", headers={"Cookie": f"{COOKIE}={cookie}"})
    assert answer.status_code == 200


def test_other_keys_sign_everybody_out(sessions: Sessions) -> None:
    cookie = sessions.sealed(sessions.began(Caller("payments_admin", "{}", guest=False), "Ada", by_key=True))
    for changed in ({"admin_api_key": ADMIN_KEY + "!", "master_key": MASTER_KEY}, {"master_key": "B" * 43 + "="}):
        other = Sessions(site_settings("postgresql:///x", **({"admin_api_key": ADMIN_KEY} | changed)))
        assert other.opened(cookie) is None
    rotated = Sessions(
        site_settings("postgresql:///x", admin_api_key=ADMIN_KEY, master_key=f"{'B' * 43}=,{MASTER_KEY}")
    )
    assert rotated.opened(cookie) is not None


def test_a_way_in_works_once(board: Board) -> None:
    settings = site_settings("postgresql:///x", admin_api_key=ADMIN_KEY, master_key=MASTER_KEY)
    ticket = way_in(settings, "demo")
    with board.browser() as first, board.browser() as second:
        assert first.get(f"enter?ticket={ticket}").status_code == 303
        assert first.get("test/overview").status_code == 200
        assert second.get(f"enter?ticket={ticket}").status_code == 401
        assert second.get("test/overview").status_code == 303


def test_signing_out_needs_the_form_and_ends_it_for_every_copy(server: Server, board: Board, module_conn: Conn) -> None:
    """In every process; the ways in are of one, too."""
    settings = site_settings("postgresql:///x", admin_api_key=ADMIN_KEY, master_key=MASTER_KEY)
    ticket = way_in(settings, "demo")
    board.conn.execute("truncate payments_private.ended_sessions")
    with running_board(server, module_conn) as other, board.signed_in() as browser, other.browser() as copy:
        assert other.browser().get(f"enter?ticket={ticket}").status_code == 303
        assert board.browser().get(f"enter?ticket={ticket}").status_code == 401
        page = browser.get("test/overview").text
        for name, value in browser.cookies.items():
            copy.cookies.set(name, value)
        assert copy.get("test/overview").status_code == 200
        assert browser.post("sign-out", data={"form_token": "x"}).status_code == 403
        assert browser.post("sign-out", data={"form_token": form_token(page)}).status_code == 303
        assert browser.get("test/overview").status_code == 303
        for path in ("test/overview", "test/payments.csv", "test/do/key-set", "live/settings"):
            assert copy.get(path).headers["location"].endswith("ended=yes"), path
        assert copy.post("test/do/outbox-pause", data={"form_token": form_token(page)}).status_code == 303
        assert copy.post("sign-out", data={"form_token": form_token(page)}).status_code == 303
        told = board.conn.execute("select action from payments.audit_log order by at desc, id desc limit 2").fetchall()
        assert [row["action"] for row in told] == ["sign out", "sign in"]
        kept = board.conn.execute(
            "select count(*) as n from payments_private.ended_sessions where until < now() + interval '9 hours'"
        ).fetchone()
        assert kept == {"n": 2}
    board.conn.execute("update payments_private.ended_sessions set until = now() - interval '1 second'")
    rows = board.conn.execute("select payments.end_dashboard_session('x', now() + interval '9 days') as e").fetchall()
    assert rows == [{"e": True}]
    kept_now = "select id, until < now() + interval '2 days' as soon from payments_private.ended_sessions"
    assert board.conn.execute(kept_now).fetchall() == [{"id": "x", "soon": True}]


def wrong_keys(board: Board, who: str) -> int:
    row = board.conn.execute("select number from payments_private.wrong_keys where who = %s", [who]).fetchone()
    return row["number"] if row else 0


@pytest.fixture
def patient(board: Board) -> Iterator[Board]:
    """Nobody has brought a wrong key, before and after."""
    board.conn.execute("truncate payments_private.wrong_keys")
    yield board
    board.conn.execute("truncate payments_private.wrong_keys")


def wait_of(board: Board, who: str) -> int:
    row = board.conn.execute("select payments.sign_in_wait(%s) as seconds", [who]).fetchone()
    assert row is not None
    return int(row["seconds"])


def bring(board: Board, who: str, succeeded: bool = False) -> None:
    board.conn.execute("select payments.note_sign_in(%s, %s)", [who, succeeded])


def test_wrong_keys_make_who_brings_them_wait_a_minute_at_most(patient: Board) -> None:
    for _ in range(5):
        assert wait_of(patient, "a") == 0
        bring(patient, "a")
    waits = []
    for _ in range(12):
        waits.append(wait_of(patient, "a"))
        patient.conn.execute("update payments_private.wrong_keys set at = now() - interval '61 seconds'")
        assert wait_of(patient, "a") == 0
        bring(patient, "a")
    assert waits == [2, 4, 8, 16, 32] + [60] * 7
    assert wait_of(patient, "b") == 0
    bring(patient, "a", succeeded=True)
    assert wait_of(patient, "a") == 0
    for _ in range(6):
        bring(patient, "a")
    patient.conn.execute("update payments_private.wrong_keys set at = now() - interval '61 minutes'")
    bring(patient, "a")
    assert wrong_keys(patient, "a") == 1


def test_many_wrong_keys_at_once_count_as_many(patient: Board) -> None:
    def wrong(number: int) -> int:
        with patient.browser() as browser:
            return browser.post("sign-in", data={"key": f"wrong {number}", "name": "x"}).status_code

    patient.conn.execute(  # who has just waited the whole minute, and waits another after the next one
        "insert into payments_private.wrong_keys values ('address 127.0.0.1', 20, now() - interval '61 seconds')"
    )
    with ThreadPoolExecutor(20) as threads:
        assert Counter(threads.map(wrong, range(20))) == {401: 1, 429: 19}
    patient.conn.execute("truncate payments_private.wrong_keys")
    with patient.browser() as browser:  # what is no try is none
        for data in ({"key": "", "name": "x"}, {"key": ADMIN_KEY, "name": ""}):
            for _ in range(6):
                assert browser.post("sign-in", data=data).status_code == 400
    assert wrong_keys(patient, "address 127.0.0.1") == 0


def test_what_is_kept_of_wrong_keys_has_a_bound(patient: Board) -> None:
    patient.conn.execute("select payments.note_sign_in('early', false)")
    patient.conn.execute(
        "insert into payments_private.wrong_keys select 'address ' || n, 1, now() from generate_series(1, 10000) n"
    )
    bring(patient, "x" * 5000)
    row = patient.conn.execute(
        "select count(*) as n, max(length(who)) as l from payments_private.wrong_keys"
    ).fetchone()
    assert row == {"n": 10_000, "l": 100}
    assert wrong_keys(patient, "x" * 100) == 1


def test_every_process_knows_of_wrong_keys_and_a_known_browser_does_not_wait(
    server: Server, patient: Board, module_conn: Conn
) -> None:
    address = "address 127.0.0.1"
    with running_board(server, module_conn) as other, patient.browser() as stranger, other.browser() as elsewhere:
        for _ in range(5):
            assert stranger.post("sign-in", data={"key": "wrong" * 8, "name": "x"}).status_code == 401
        assert wrong_keys(patient, address) == 5
        with patient.browser() as known:
            patient.conn.execute("truncate payments_private.wrong_keys")
            assert known.post("sign-in", data={"key": ADMIN_KEY, "name": "Ada"}).status_code == 303
            for _ in range(9):
                bring(patient, address)
            refused = elsewhere.post("sign-in", data={"key": ADMIN_KEY, "name": "Eve"})
            assert (refused.status_code, int(refused.headers["Retry-After"]) > 20) == (429, True)
            assert known.post("sign-in", data={"key": ADMIN_KEY, "name": "Ada"}).status_code == 303
            for _ in range(5):  # but it is counted, too
                assert known.post("sign-in", data={"key": "wrong" * 8, "name": "x"}).status_code == 401
            assert known.post("sign-in", data={"key": ADMIN_KEY, "name": "Ada"}).status_code == 429


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.9", "address 203.0.113.9"), ("::ffff:203.0.113.9", "address 203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "address 2001:db8:1:2::/64"), ("2001:db8:1:2::7", "address 2001:db8:1:2::/64"),
        ("unknown", "address unknown"),
    ],
)  # fmt: skip
def test_an_address_counts_as_who_has_it(address: str, counted: str) -> None:
    assert counted_as(address) == counted


def test_forms_of_others_do_nothing(board: Board, ada: httpx.Client) -> None:
    """No token, another session's, another site's page, another kind of body: nothing happens, and it is not logged."""
    with board.signed_in(name="Bob") as bob:
        others = form_token(bob.get("test/overview").text)
    own = form_token(ada.get("test/overview").text)
    before = board.conn.execute("select count(*) as n from payments.audit_log").fetchone()
    for data, headers in (
        ({}, {}), ({"form_token": ""}, {}), ({"form_token": others}, {}), ({"form_token": own[:-1] + "x"}, {}),
        ({"form_token": own}, {"Sec-Fetch-Site": "cross-site"}), ({"form_token": own}, {"Sec-Fetch-Site": "same-site"}),
        ({"form_token": own}, {"Content-Type": "text/plain"}),
    ):  # fmt: skip
        answer = ada.post("test/do/outbox-pause", data=data, headers=headers)
        assert answer.status_code in (400, 403), (data, headers)
    assert ada.get("test/do/outbox-pause").status_code == 200
    assert board.conn.execute("select count(*) as n from payments.audit_log").fetchone() == before
    assert answer_question(ada, "test/do/outbox-pause").status_code == 303


def test_a_role_that_may_not_replace_keys_is_told_so(board: Board) -> None:
    with board.signed_in(token(sub="grace", role=ADMIN_ROLE), name="") as browser:
        own = form_token(browser.get("test/settings").text)
        for action in ("key-set", "key-remove", "webhook"):
            assert browser.get(f"test/do/{action}").status_code == 403
            assert browser.post(f"test/do/{action}", data={"form_token": own}).status_code == 403
        assert "Configure webhook" not in browser.get("test/settings").text
        assert "payments_keys" in browser.get("test/settings").text


def test_every_answer_lets_the_browser_run_nothing_foreign(board: Board, ada: httpx.Client) -> None:
    with board.browser() as stranger:
        answers = [
            stranger.get("sign-in"), stranger.get("test/overview"), stranger.get("nothing/here/at/all"),
            ada.get("test/overview"), ada.get("test/payments.csv"), ada.get("static/style.css"),
            ada.get("test/payments?after=x"), ada.post("test/do/sync"), ada.get("live/health"),
        ]  # fmt: skip
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
    assert {a.headers["cache-control"] for a in answers if "static" not in str(a.url)} == {"no-store"}
    for page in ("overview", "payments", "events", "catalogue", "object-storage", "health", "settings"):
        text = ada.get(f"test/{page}").text
        assert "<script>" not in text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick" not in text
        assert "http://" not in text.replace("http://www.w3.org", "").replace(board.base, "")
