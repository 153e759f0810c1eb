"""Stripe's keys over HTTP: accepted by Stripe before they are kept, encrypted at rest, never shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from psycopg.rows import dict_row
from pydantic import SecretStr

from pg_payments.encryption import Vault
from pg_payments.errors import ConfigurationError
from pg_payments.stripe.keys import NAME
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import ingest
from tests.stripe_simulator.shop import shop
from tests.support.servers import Server
from tests.support.site import ADMIN_KEY, Site, running_site, site_settings, token
from tests.support.tools import command
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("impatient")

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

MASTER, NEWER = Fernet.generate_key().decode(), Fernet.generate_key().decode()
KEY = "sk_test_51abcdefghijklmnop4242"
MASKED = "sk_test_****4242"
KEYLESS: dict[str, Any] = {
    "admin_api_key": SecretStr(ADMIN_KEY),
    "master_key": SecretStr(MASTER),
    "stripe_test_secret_key": None,
    "stripe_live_secret_key": None,
}
MIRROR = (
    "payments.stripe_objects", "payments.stripe_products", "payments.stripe_prices", "payments.customers",
    "payments.customer_mappings", "payments.stripe_subscriptions", "payments.stripe_subscription_items",
    "payments.transactions", "payments_private.stored_objects", "payments_private.customer_claims",
)  # fmt: skip


@pytest.fixture
def site(admin_url: str) -> Iterator[Site]:
    with running_site(admin_url, **KEYLESS) as running:
        yield running


def put(site: Site, key: str = KEY, environment: str = "test") -> Any:
    return site.ask_as_admin("PUT", f"{environment}/config", {"secretKey": key})


def stored(conn: Conn) -> list[str]:
    return [row["secret"] for row in conn.execute("select secret from payments_private.provider_secrets")]


def counts(conn: Conn, environment: str = "test") -> dict[str, int]:
    found = {}
    for table in MIRROR:
        row = conn.execute(f"select count(*) from {table} where environment = %s", [environment]).fetchone()
        assert row is not None
        found[table] = row["count"]
    return found


def test_a_key_is_accepted_by_stripe_kept_encrypted_and_used(site: Site, conn: Conn) -> None:
    site.stand_in.add(*shop(1, 2, 2))
    assert site.checkout(token()).json()["error"] == "PAYMENT_CONFIG_INVALID"

    answer = put(site, f"  {KEY}\n")
    assert answer.status_code == 200, answer.text
    assert answer.json()["keys"] == [{"environment": "test", "value": MASKED}, {"environment": "live", "value": None}]
    (result,) = answer.json()["results"]
    assert (result["connection"]["maskedKey"], result["connection"]["lastSyncStatus"]) == (MASKED, "succeeded")
    (secret,) = stored(conn)
    assert KEY not in secret
    assert json.loads(Fernet(MASTER).decrypt(secret)) == ["test", NAME, KEY]
    assert KEY not in answer.text
    assert site.ask_as_admin("GET", "config").json() == {"keys": answer.json()["keys"]}
    assert site.ask_as_admin("GET", "status").json()["connections"][0]["maskedKey"] == MASKED

    assert site.checkout(token()).status_code == 201
    assert site.ask_as_admin("POST", "sync").json()["results"][0]["connection"]["lastSyncStatus"] == "succeeded"


def test_what_stripe_refuses_replaces_nothing(site: Site, conn: Conn) -> None:
    put(site)
    before = stored(conn)
    site.stand_in.refusals.append((401, "Invalid API Key provided: sk_test_51other"))
    refused = put(site, "sk_test_51other")
    assert (refused.status_code, refused.json()["error"]) == (401, "STRIPE_ERROR")
    assert refused.json()["message"] == "Invalid API Key provided: [key]"
    assert stored(conn) == before


@pytest.mark.parametrize("key", ["", "pk_test_1", "sk_test_", "sk_live_1", "sk_test_é", "whsec_1", "sk_test_1 2"])
def test_what_is_no_key_of_this_environment_is_refused_unasked(site: Site, conn: Conn, key: str) -> None:
    answer = put(site, key)
    assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_REQUEST")
    assert answer.json()["message"].startswith("secretKey:")
    assert key == "" or key not in answer.text
    assert (stored(conn), site.stand_in.asked) == ([], [])


def test_another_account_begins_a_new_mirror(site: Site, conn: Conn) -> None:
    put(site)
    merchant = Merchant("former")
    product = merchant.make_product()
    price, plan = merchant.make_price(product, 1500), merchant.make_price(product, 900, "usd", "month")
    merchant.checkout(price, ("user", "ada"), "paid")
    merchant.checkout_subscription(plan, ("user", "bob"))
    ingest(conn, merchant.events)
    conn.execute(
        """insert into payments.webhook_events (environment, provider_event_id, processing_status, next_attempt_at)
           values ('test', 'evt_waiting', 'failed', now())"""
    )
    conn.execute("""select payments.store_stripe_objects('live', '[{"id": "prod_1", "object": "product"}]')""")
    assert all(counts(conn).values())

    site.stand_in.refusals.append((403, "no"))  # a key that does not work leaves all as it is
    before = counts(conn)
    assert put(site, "sk_test_2").status_code == 403
    assert counts(conn) == before

    site.stand_in.account = site.stand_in.account | {"id": "acct_2Another"}
    answer = put(site, "sk_test_2")
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"][0]["connection"]["accountId"] == "acct_2Another"
    assert set(counts(conn).values()) == {0}
    assert counts(conn, "live")["payments.stripe_products"] == 1
    (waiting,) = conn.execute(
        "select parked_at from payments.webhook_events where provider_event_id = 'evt_waiting'"
    ).fetchall()
    assert waiting["parked_at"] is not None
    kept = conn.execute("select count(*) from payments.webhook_events").fetchone()
    assert kept == {"count": len(merchant.events) + 1}


def test_a_delivery_during_the_change_is_the_new_accounts(conn: Conn, database_url: str) -> None:
    """What it is linked to is read once the former account's links are gone."""

    def event(kind: str, at: int, **values: Any) -> Any:
        told = {"id": f"{kind}_1", "object": kind, "amount": 100, "currency": "eur", "status": "succeeded"} | values
        return {
            "id": f"evt_{kind}", "object": "event", "type": f"{kind}.succeeded", "created": at, "livemode": False,
            "data": {"object": told},
        }  # fmt: skip

    account = "select payments.replace_account('test', jsonb_build_object('id', %s::text), false, 's', 'm')"
    conn.execute(account, ["acct_1"])
    ingest(conn, [event("payment_intent", 1, latest_charge="charge_1")])
    with (
        psycopg.connect(database_url) as changing,
        psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as delivering,
        ThreadPoolExecutor(1) as pool,
    ):
        changing.execute(account, ["acct_2"])
        answer = pool.submit(ingest, delivering, [event("charge", 2, captured=True)])
        waiting = "select cardinality(pg_blocking_pids(%s)) > 0 as yes"
        wait_until(
            lambda: conn.execute(waiting, [delivering.info.backend_pid]).fetchall() == [{"yes": True}],
            "the delivery waits",
        )
        changing.commit()
        assert answer.result(60) == ["processed"]
    payments = "select provider_object_type, provider_object_id from payments.transactions"
    assert conn.execute(payments).fetchall() == [{"provider_object_type": "charge", "provider_object_id": "charge_1"}]
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def test_a_key_of_the_same_account_keeps_the_mirror(site: Site, conn: Conn) -> None:
    site.stand_in.add(*shop(1, 2, 2))
    put(site)
    before = counts(conn)
    assert put(site, "rk_test_51restricted").status_code == 200
    assert counts(conn) == before


def test_a_forgotten_key_opens_nothing(site: Site, conn: Conn) -> None:
    site.stand_in.add(*shop(1, 2, 2))
    put(site)
    before = counts(conn)
    answer = site.ask_as_admin("DELETE", "test/config")
    assert answer.json() == {"keys": [{"environment": name, "value": None} for name in ("test", "live")]}
    assert (stored(conn), counts(conn)) == ([], before)
    assert site.ask_as_admin("GET", "status").json()["connections"][0]["status"] == "unconfigured"
    assert site.ask_as_admin("POST", "sync").json()["error"] == "PAYMENT_CONFIG_INVALID"
    again = site.ask_as_admin("DELETE", "test/config")
    assert (again.status_code, again.json()["error"]) == (404, "PAYMENT_CONFIG_NOT_FOUND")


def test_the_environment_comes_first_and_is_not_changed_from_outside(admin_url: str, conn: Conn) -> None:
    with running_site(
        admin_url, **KEYLESS | {"stripe_test_secret_key": SecretStr("sk_test_of_the_environment")}
    ) as site:
        for answer in (put(site), site.ask_as_admin("DELETE", "test/config")):
            assert (answer.status_code, answer.json()["error"]) == (409, "CONFLICT")
            assert "STRIPE_TEST_SECRET_KEY" in answer.json()["message"]
        assert site.ask_as_admin("GET", "config").json()["keys"][0]["value"] == "sk_test_****ment"
    assert stored(conn) == []


def test_the_master_key_can_be_changed(admin_url: str, conn: Conn) -> None:
    with running_site(admin_url, **KEYLESS) as site:
        put(site)
    (old,) = stored(conn)
    with running_site(admin_url, **KEYLESS | {"master_key": SecretStr(f"{NEWER}, {MASTER}")}) as site:
        assert site.ask_as_admin("POST", "test/sync").status_code == 200
    (new,) = stored(conn)
    assert new != old
    with running_site(admin_url, **KEYLESS | {"master_key": SecretStr(NEWER)}) as site:
        assert site.ask_as_admin("POST", "test/sync").json()["results"][0]["connection"]["status"] == "connected"
    with running_site(admin_url, **KEYLESS) as site:
        lost = site.ask_as_admin("POST", "test/sync")
    assert (lost.status_code, lost.json()["error"]) == (500, "CONFIGURATION_ERROR")
    assert "PAYMENTS_MASTER_KEY" in lost.json()["message"]


def test_without_a_good_master_key_nothing_is_kept(admin_url: str, conn: Conn) -> None:
    with running_site(admin_url, **KEYLESS | {"master_key": None}) as site:
        answer = put(site)
    assert (answer.status_code, answer.json()["error"]) == (500, "CONFIGURATION_ERROR")
    assert "PAYMENTS_MASTER_KEY" in answer.json()["message"]
    assert stored(conn) == []


def test_the_command_finds_the_stored_key(site: Site, service_url: str) -> None:
    put(site)
    done = command(
        "sync", "--database-url", service_url, PAYMENTS_MASTER_KEY=MASTER, STRIPE_API_BASE=site.stand_in.base_url
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("test\tproducts\t0\t")


def test_a_token_of_another_master_key_is_not_opened() -> None:
    token_of_another = Vault(site_settings("", master_key=SecretStr(NEWER))).encrypted("sk_test_1", "test", NAME)
    with pytest.raises(ConfigurationError, match="does not open"):
        Vault(site_settings("", master_key=SecretStr(MASTER))).decrypted(token_of_another, "test", NAME)
    with pytest.raises(ConfigurationError, match="does not open"):
        Vault(site_settings("", master_key=SecretStr(MASTER))).decrypted("no token", "test", NAME)


@pytest.mark.parametrize(
    "place", [("live", NAME), ("test", "webhook_secret:we_1"), ("test", ""), ("", NAME), ("test secret_key", "")]
)
def test_a_token_opens_in_its_own_place_only(place: tuple[str, str]) -> None:
    vault = Vault(site_settings("", master_key=SecretStr(MASTER)))
    made = vault.encrypted("sk_test_1", "test", NAME)
    assert vault.decrypted(made, "test", NAME) == "sk_test_1"
    with pytest.raises(ConfigurationError, match="another place"):
        vault.decrypted(made, *place)


def test_a_token_replaces_keys_only_if_its_role_is_listed_and_a_member(server: Server, admin_url: str) -> None:
    """`PAYMENTS_KEYS_ROLES` over HTTP: listing alone does not make a keeper of keys, nor does membership."""
    groups = {"keeper": ("payments_admin", "payments_keys"), "unlisted": ("payments_admin", "payments_keys"),
              "listed": ("payments_admin",), "no_admin": ("payments_keys",)}  # fmt: skip
    roles = {name: server.login(f"test_{name}", *members) for name, members in groups.items()}
    with server.admin() as administrator:
        for role in roles.values():
            administrator.execute(f"grant {role} to test_admin_shop".encode())
    settings = KEYLESS | {
        "jwt_roles": ",".join(["authenticated", "anon", *roles.values()]),
        "keys_roles": ", ".join([roles["keeper"], roles["listed"], roles["no_admin"]]),
    }

    def shown(site: Site) -> Any:
        keys = site.ask_as_admin("GET", "config").json()["keys"]
        return next((key["value"] for key in keys if key["environment"] == "test"), None)

    def answers(site: Site, role: str) -> list[int]:
        bearer = {"Authorization": f"Bearer {token(role=role)}"}
        put_it = site.ask_as_admin("PUT", "test/config", {"secretKey": KEY}, **bearer)
        return [put_it.status_code, site.ask_as_admin("DELETE", "test/config", **bearer).status_code,
                site.ask_as_admin("POST", "test/webhook", **bearer).status_code]  # fmt: skip

    with running_site(admin_url, **settings) as site:
        assert put(site).status_code == 200
        for role in (roles["unlisted"], roles["listed"], roles["no_admin"], "authenticated"):
            assert answers(site, role) == [403, 403, 403], role
        assert shown(site) == MASKED
        assert answers(site, roles["keeper"])[:2] == [200, 200]
        assert shown(site) is None
