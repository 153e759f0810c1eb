"""Keys of accounts' own that the database keeps: encrypted, for one place only, and used before the platform's."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from pg_payments.cli.main import app
from pg_payments.database import functions
from pg_payments.demo.serving import loopback_socket, served
from pg_payments.doctor.checks import Patient, keys
from pg_payments.encryption import Vault
from pg_payments.errors import (
    ConfigNotFound,
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidRequest,
    PaymentsError,
    StripeRefused,
)
from pg_payments.http.application import create_app
from pg_payments.settings import Settings
from pg_payments.stripe.keys import NAME, account_keys_of, name_of
from pg_payments.worker.accounts import Accounts
from pg_payments.worker.outbox import send_pushes
from tests.stripe_simulator.events import event
from tests.stripe_simulator.shop import shop
from tests.support.serving import served_at
from tests.support.site import Site, site_settings, token
from tests.support.stripe_events import StripeEvents
from tests.support.tools import command

pytestmark = pytest.mark.usefixtures("impatient")

Conn = psycopg.Connection[dict[str, Any]]
PLATFORM, A, B = "acct_1DemoShop", "acct_1A", "acct_2B"
PLATFORMS, KEY_OF_A, KEY_OF_B = (
    "sk_test_of_the_platform",
    "sk_test_51ofthefirstaccount4242",
    "rk_test_51ofthesecond_one4343",
)
MASKED = "sk_test_****4242"
MASTER = Fernet.generate_key().decode()
OPENS = {PLATFORMS: PLATFORM, KEY_OF_A: A, KEY_OF_B: B, KEY_OF_A.replace("test", "live"): A}
STORED = "select environment, account_id, secret from payments_private.account_keys order by 1, 2"


class Stripe:
    """Answers as the account that a key opens, or that it is asked for; remembers who asked with what."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.accounts = {name: StripeEvents(base_url) for name in (PLATFORM, A, B)}
        for name, account in self.accounts.items():
            account.account = account.account | {"id": name}
        self.asked: list[tuple[str, str | None, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        key, on_behalf = headers["authorization"].removeprefix("Bearer "), headers.get("stripe-account")
        self.asked.append((key, on_behalf, scope["path"]))
        await self.accounts[on_behalf or OPENS[key]].app(scope, receive, send)

    def with_what(self, path: str) -> set[tuple[str, str | None]]:
        """The keys, and on whose behalf, with which a path was asked for."""
        return {(key, on_behalf) for key, on_behalf, asked in self.asked if asked == path}


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    with served_at(Stripe) as made:
        yield made


@pytest.fixture
def settings(stripe: Stripe) -> Settings:
    return site_settings("", stripe.base_url, master_key=SecretStr(MASTER), stripe_test_secret_key=None)


def keep(conn: Conn, settings: Settings, key: str = KEY_OF_A, account: str = A, environment: str = "test") -> None:
    """As `pg-payments keys set` does, without asking Stripe."""
    secret = Vault(settings).encrypted(key, environment, name_of(account))
    functions.store_account_key(
        conn, environment, account, json.dumps({"id": account}), environment == "live", secret, MASKED
    )


def accounts(conn: Conn) -> dict[str, str]:
    rows = conn.execute("select account_id, key_source from payments.accounts where environment = 'test'").fetchall()
    return {row["account_id"]: row["key_source"] for row in rows}


class Commands:
    """`pg-payments keys`, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str) -> None:
        self.set, self._capsys, self.url = monkeypatch, capsys, url

    def __call__(self, *arguments: str, typed: str = "", url: str | None = None) -> str:
        self.set.setattr("sys.stdin", io.StringIO(typed))
        app(["keys", *arguments, "--database-url", url or self.url], standalone_mode=False)
        return self._capsys.readouterr().out


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stripe: Stripe, keys_url: str) -> Commands:
    monkeypatch.setenv("STRIPE_API_BASE", stripe.base_url)
    monkeypatch.setenv("PAYMENTS_MASTER_KEY", MASTER)
    return Commands(monkeypatch, capsys, keys_url)


def test_a_key_is_stored_synced_with_listed_and_removed(
    run: Commands, stripe: Stripe, conn: Conn, database_url: str
) -> None:
    stripe.accounts[A].add(*shop(1, 1, 1))
    out = run("set", "--account", A, typed=f" {KEY_OF_A}\n")
    assert out == f"test: {MASKED} of {A} is stored; sync succeeded\n"
    (stored,) = conn.execute(STORED).fetchall()
    assert json.loads(Fernet(MASTER).decrypt(stored["secret"])) == ["test", f"account_key:{A}", KEY_OF_A]
    assert {key for key, _, _ in stripe.asked} == {KEY_OF_A}
    assert {on_behalf for _, on_behalf, _ in stripe.asked} == {None}
    products = conn.execute("select account_id from payments.stripe_products").fetchall()
    assert [row["account_id"] for row in products] == [A]
    assert accounts(conn) == {A: "stored"}

    listed = json.loads(run("list", "--json", url=database_url))
    assert listed[2:] == [
        {"environment": "test", "key": MASKED, "from": "database", "account": A, "status": "connected"}
    ]
    assert run("remove", "test", "--account", A) == f"test: the key of {A} is forgotten\n"
    assert conn.execute(STORED).fetchall() == []
    assert accounts(conn) == {A: "platform"}
    with pytest.raises(ConfigNotFound):
        run("remove", "test", "--account", A)
    told = conn.execute("select actor, action, target, detail from payments.audit_log order by at").fetchall()
    assert [tuple(row.values()) for row in told] == [
        ("test_keys", "store account key", A, {"environment": "test", "key": MASKED}),
        ("test_keys", "forget account key", A, {"environment": "test"}),
    ]


REFUSED: list[tuple[str, list[str], str, type[PaymentsError] | type[psycopg.Error], str]] = [
    ("another account's", [A], KEY_OF_B, psycopg.Error, "PY006"),
    ("the other mode's", [A, "live"], KEY_OF_A, InvalidRequest, ""),
    ("no key", [A], "pk_test_1", InvalidRequest, ""),
    ("none", [A], "", InvalidRequest, ""),
    ("of the platform itself", [PLATFORM], PLATFORMS, psycopg.Error, "PY001"),
    ("of no account", ["cus_1"], KEY_OF_A, psycopg.Error, "PY001"),
]


@pytest.mark.parametrize(("arguments", "typed", "raised", "code"), [each[1:] for each in REFUSED],
                         ids=[each[0] for each in REFUSED])  # fmt: skip
def test_what_is_no_key_of_the_account_is_refused(
    run: Commands, conn: Conn, arguments: list[str], typed: str, raised: Any, code: str
) -> None:
    functions.connect_account(conn, "test", json.dumps({"id": PLATFORM}), False)
    account, *environment = arguments
    with pytest.raises(raised) as refused:
        run("set", *environment, "--account", account, typed=typed)
    assert not code or refused.value.sqlstate == code
    assert not typed or typed not in str(refused.value)
    assert conn.execute(STORED).fetchall() == []


def test_only_who_may_replace_keys_does(run: Commands, service_url: str, conn: Conn) -> None:
    for arguments in (["set", "--account", A], ["remove", "test", "--account", A]):
        with pytest.raises(Forbidden):
            run(*arguments, typed=KEY_OF_A, url=service_url)
    run.set.setenv("STRIPE_ACCOUNT_KEYS", f"{A}={KEY_OF_A}")
    for arguments in (["set", "--account", A], ["remove", "test", "--account", A]):
        with pytest.raises(Conflict, match="STRIPE_ACCOUNT_KEYS"):
            run(*arguments, typed=KEY_OF_A)
    run.set.delenv("STRIPE_ACCOUNT_KEYS")
    run.set.delenv("PAYMENTS_MASTER_KEY")
    with pytest.raises(ConfigurationError, match="PAYMENTS_MASTER_KEY"):
        run("set", "--account", A, typed=KEY_OF_A)
    with pytest.raises(InvalidRequest):
        run("set", typed=KEY_OF_A)
    assert conn.execute(STORED).fetchall() == []


WAYS = {
    "payments_service": [
        f"select payments.store_account_key('test', '{A}', '{{\"id\": \"{A}\"}}', false, 'x', 'x')",
        f"select payments.forget_account_key('test', '{A}')",
        f"select payments.reencrypt_account_key('test', '{A}', 'x', 'y')",
        "select from payments_private.account_keys",
        "update payments.accounts set key_source = 'stored'",
    ],
    "payments_keys": [
        f"select payments.account_key('test', '{A}')", "select payments.account_keys('test')",
        "select payments.tell_account_keys('test', '{}')", "select from payments_private.account_keys",
        "select masked_key from payments.accounts",
    ],
    "payments_admin": [
        f"select payments.account_key('test', '{A}')", "select payments.account_keys('test')",
        f"select payments.forget_account_key('test', '{A}')", "update payments.accounts set key_source = 'stored'",
    ],
    "payments_user": [
        f"select payments.account_key('test', '{A}')", "select payments.account_keys('test')",
        "select masked_key from payments.accounts",
    ],
}  # fmt: skip


def run_as(conn: Conn, role: str, statement: str) -> None:
    with conn.transaction():
        conn.execute(f"set local role {role}".encode())
        conn.execute(statement.encode())


@pytest.mark.parametrize("role", list(WAYS))
def test_each_role_has_its_part_and_no_other(scratch_conn: Conn, settings: Settings, role: str) -> None:
    keep(scratch_conn, settings)
    before = scratch_conn.execute(STORED).fetchall()
    for way in WAYS[role]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run_as(scratch_conn, role, way)
    assert scratch_conn.execute(STORED).fetchall() == before


MOVES = {
    "to another account": "update payments_private.account_keys set account_id = 'acct_2B'",
    "to the other environment": f"""insert into payments_private.account_keys (environment, account_id, secret)
        select 'live', account_id, secret from payments_private.account_keys where account_id = '{A}';
        delete from payments_private.account_keys where environment = 'test'""",
    "from the platform's": f"""update payments_private.account_keys a set secret = s.secret
        from payments_private.provider_secrets s where s.name = 'secret_key' and a.account_id = '{A}'""",
    "among two": """update payments_private.account_keys a set secret = b.secret
        from payments_private.account_keys b where b.account_id <> a.account_id""",
}


@pytest.mark.parametrize("move", list(MOVES))
def test_a_key_in_another_s_place_does_not_open_and_nothing_is_asked(
    scratch_conn: Conn, settings: Settings, stripe: Stripe, move: str
) -> None:
    conn = scratch_conn
    keep(conn, settings)
    for environment, account in (("test", B), ("live", A)):
        conn.execute("select payments.register_account(%s, %s)", (environment, account))
    if move == "among two":
        keep(conn, settings, KEY_OF_B, B)
    secret = Vault(settings).encrypted(PLATFORMS, "test", NAME)
    functions.replace_account(conn, "test", json.dumps({"id": PLATFORM}), False, secret, "sk_test_****")
    conn.execute(MOVES[move].encode())
    for row in conn.execute(STORED).fetchall():
        environment = row["environment"]
        assert account_keys_of(conn, settings, environment)[row["account_id"]] is None
        client = Accounts(settings).client(conn, environment)
        assert client is not None
        assert client.usable_for(row["account_id"]) is None
        with pytest.raises(StripeRefused, match="does not open"):
            client.of_account(row["account_id"]).read("/v1/prices")
        assert "does not open" in " ".join(
            found.finding for found in keys(Patient(conn, settings, [environment])) if found.level == "red"
        )
    assert stripe.asked == []


def test_the_platform_s_place_takes_no_account_s_key(scratch_conn: Conn, settings: Settings, stripe: Stripe) -> None:
    conn = scratch_conn
    keep(conn, settings)
    functions.replace_account(conn, "test", json.dumps({"id": PLATFORM}), False, "x", "sk_test_****")
    conn.execute(
        "update payments_private.provider_secrets s set secret = a.secret from payments_private.account_keys a"
    )
    with pytest.raises(ConfigurationError, match="another place"):
        Accounts(settings).client(conn, "test")
    assert stripe.asked == []


def test_a_changed_master_key_takes_them_along(scratch_conn: Conn, settings: Settings) -> None:
    keep(scratch_conn, settings)
    newer = Fernet.generate_key().decode()
    both = settings.model_copy(update={"master_key": SecretStr(f"{newer},{MASTER}")})
    assert account_keys_of(scratch_conn, both, "test") == {A: KEY_OF_A}
    alone = settings.model_copy(update={"master_key": SecretStr(newer)})
    assert account_keys_of(scratch_conn, alone, "test") == {A: KEY_OF_A}
    assert account_keys_of(scratch_conn, settings, "test") == {A: None}


def test_the_row_says_where_the_key_comes_from(scratch_conn: Conn, settings: Settings) -> None:
    conn = scratch_conn
    for account in (A, B, "acct_3C"):
        conn.execute("select payments.register_account('test', %s)", (account,))
    keep(conn, settings)
    assert accounts(conn) == {A: "stored", B: "platform", "acct_3C": "platform"}
    functions.tell_account_keys(conn, "test", [A, B])
    assert accounts(conn) == {A: "environment", B: "environment", "acct_3C": "platform"}
    functions.tell_account_keys(conn, "live", ["acct_3C"])
    functions.tell_account_keys(conn, "test", [])
    assert accounts(conn) == {A: "stored", B: "platform", "acct_3C": "platform"}
    in_settings = settings.model_copy(update={"stripe_account_keys": SecretStr(f"{A}=sk_test_another")})
    assert account_keys_of(conn, in_settings, "test") == {A: "sk_test_another"}
    # whoever takes another account in the environment's place begins anew
    functions.connect_account(conn, "test", json.dumps({"id": PLATFORM}), False)
    functions.replace_account(conn, "test", json.dumps({"id": "acct_9New"}), False, "x", "x")
    assert conn.execute(STORED).fetchall() == []


@pytest.mark.parametrize("has_platform", [True, False])
def test_checkouts_over_http_are_asked_for_with_the_account_s_key(
    conn: Conn, admin_url: str, settings: Settings, stripe: Stripe, has_platform: bool
) -> None:
    """Also where the environment has no key itself, as with sandboxes; then all others are refused."""
    keep(conn, settings)
    for account in (A, B):
        conn.execute(
            "select payments.register_account('test', %s, charge_type => 'direct', open_to => 'users')", (account,)
        )
    platforms = SecretStr(PLATFORMS) if has_platform else None
    served_with = settings.model_copy(update={"database_url": admin_url, "stripe_test_secret_key": platforms})
    with loopback_socket() as bound, served(create_app(served_with), bound) as base:
        answers = {}
        for name, asked in (("a", A), ("b", B), ("platform", None)):
            stand_in = stripe.accounts[asked or PLATFORM]
            answers[name] = Site(base, stand_in).checkout(token(), account=asked)
    made = [(key, on_behalf) for key, on_behalf, path in stripe.asked if path == "/v1/checkout/sessions"]
    assert answers["a"].status_code == 201, answers["a"].text
    if has_platform:
        assert [each.status_code for each in answers.values()] == [201, 201, 201]
        assert made == [(KEY_OF_A, None), (PLATFORMS, B), (PLATFORMS, None)]
    else:
        assert [answers[each].json()["error"] for each in ("b", "platform")] == ["PAYMENT_CONFIG_INVALID"] * 2
        assert made == [(KEY_OF_A, None)]


def test_a_sandbox_is_worked_for_without_a_key_of_the_platform_s(
    conn: Conn, settings: Settings, stripe: Stripe, service_url: str
) -> None:
    """Synced, swept, refreshed and sold for; of an account without a key nothing is asked, and nothing fails."""
    keep(conn, settings)
    conn.execute("select payments.register_account('test', %s, charge_type => 'direct', open_to => 'users')", (A,))
    conn.execute("select payments.register_account('test', %s)", (B,))
    conn.execute("update payments_private.connected_accounts set since = since - interval '1 hour'")
    happened = {"id": "prod_9", "object": "product", "name": "Swept", "created": 1, "livemode": False}
    (row,) = conn.execute("select extract(epoch from now())::bigint - 600 as at").fetchall()
    stripe.accounts[A].happened = [event("evt_9", "product.created", happened, created=row["at"])]
    stripe.accounts[A].add(*shop(1, 1, 1))
    conn.execute("select payments.request_refresh('test', 'customer', 'cus_1', %s)", (A,))
    variables = {
        "PAYMENTS_DATABASE_URL": service_url, "PAYMENTS_MASTER_KEY": MASTER, "STRIPE_API_BASE": stripe.base_url,
    }  # fmt: skip
    ran = command("worker", "--once", "--json", **variables)
    assert ran.returncode == 0, ran.stderr
    assert {key for key, _, _ in stripe.asked} == {KEY_OF_A}
    assert {on_behalf for _, on_behalf, _ in stripe.asked} == {None}
    assert {"/v1/events", "/v1/products", "/v1/customers/cus_1"} <= {path for _, _, path in stripe.asked}
    mirrored = conn.execute("select distinct account_id from payments.stripe_products").fetchall()
    assert [row["account_id"] for row in mirrored] == [A]
    ledger = conn.execute("select account_id from payments.webhook_events").fetchall()
    assert [row["account_id"] for row in ledger] == [A]
    (status,) = conn.execute("select * from payments.worker_status() where environment = 'test'").fetchall()
    assert (status["failed_jobs"], status["failed_accounts"]) == ([], [f"{B}: no Stripe key is set for {B}"])

    for arguments in (["sync", "--account", A], ["refresh", "cus_1", "--account", A]):
        ran = command(*arguments, **variables)
        assert ran.returncode == 0, ran.stderr
    ran = command("sync", "--account", B, **variables)
    assert "no Stripe key is set" in ran.stderr
    assert {key for key, _, _ in stripe.asked} == {KEY_OF_A}
    client = Accounts(settings).client(conn, "test")
    assert send_pushes(conn, lambda _: client) == 0
