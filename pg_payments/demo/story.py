"""The story the demo tells: Ada orders, checks out and pays; Bob tries to make her pay; she gets a part of it back."""

from __future__ import annotations

import json
import logging
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import jwt
import psycopg
import stripe
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from pydantic import SecretStr

from pg_payments.database import functions
from pg_payments.database.query import Row
from pg_payments.demo import business, kept
from pg_payments.demo.deliveries import deliver
from pg_payments.demo.guest import guest
from pg_payments.demo.narrator import Narrator
from pg_payments.demo.payers import Payer, StandInPayer, You
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.http.application import create_app
from pg_payments.schema.migrate import migrate
from pg_payments.settings import Settings
from pg_payments.stripe.client import StripeApi
from pg_payments.testing.local_postgres import temporary_server
from pg_payments.testing.stand_in import StandIn
from pg_payments.worker.outbox import send_pushes

DELIVERIES = 3
"""How often every webhook is delivered."""
PRICE = 1900
"""What Ada's coffee costs, in cents."""
BACK = 900
"""What she gets back of it."""
SERVER_ROLE = "shop_server"
SHOP = "https://shop.example"
STAND_IN_KEY = "sk_test_stand_in"


@dataclass(frozen=True)
class Stripe:
    """Stripe as the demo meets it: an address (None: its own), a key, a client, and somebody who pays."""

    base: str | None
    key: str
    client: stripe.StripeClient
    payer: Payer


def tell(*, keep: bool, use_stripe: bool, database_url: str | None) -> int:
    """Tells it all; 0 if every expectation held."""
    logging.getLogger("pg_payments").addHandler(logging.NullHandler())  # the narrator says what was refused
    stripe.enable_telemetry = False  # it would leave a file in the home directory
    narrator = Narrator()
    started = time.monotonic()
    with ExitStack() as stack:
        account = stack.enter_context(_stripe_itself(narrator) if use_stripe else _stand_in())
        url = database_url or stack.enter_context(temporary_server(keep=keep)).url()
        conn = stack.enter_context(psycopg.connect(url, autocommit=True, row_factory=dict_row))
        if database_url is not None:
            stack.enter_context(guest(conn, url, narrator, keep=keep))
        settings = _settings(make_conninfo(url, user=SERVER_ROLE), account)
        bound = stack.enter_context(loopback_socket())
        story = Story(narrator, conn, account, settings, address_of(bound))
        story.migrated(url)
        story.application()
        stack.enter_context(served(create_app(settings), bound))
        story.sale()
        if keep and database_url is not None:
            narrator.say("\nThe database keeps what was made in it.")
        elif keep:
            _keep(narrator, story, conn, url, account)
    total = narrator.kept + len(narrator.broken)
    narrator.say(f"\n{narrator.kept} of {total} as expected, after {time.monotonic() - started:.0f} s.")
    return 1 if narrator.broken else 0


def _keep(narrator: Narrator, story: Story, conn: psycopg.Connection[Row], url: str, account: Stripe) -> None:
    """Leaves the database and a dashboard up, and says how to get in and how to end them."""
    count = business.fill(conn)
    conn.execute(f"grant payments_admin, payments_keys to {SERVER_ROLE}".encode())
    base = account.base if account.key != STAND_IN_KEY else None
    left = kept.start(make_conninfo(url, user=SERVER_ROLE), account.key, base)
    data = story.data_directory()
    narrator.say(f"\nThe dashboard stays up, filled with {business.WEEKS} weeks of made-up business ({count} events):")
    narrator.say(f"{left.way_in} (works once, within ten minutes)")
    narrator.say(f"{left.address} with this key and any name: {left.key}")
    narrator.say(f"The database stays up: psql '{url}'")
    narrator.say(
        f"To end it: kill {left.process}; kill -INT $(head -1 {data}/postmaster.pid) && sleep 2 && rm -r {data.parent}"
    )


@contextmanager
def _stand_in() -> Iterator[Stripe]:
    with loopback_socket() as bound:
        stand_in = StandIn(address_of(bound))
        with served(stand_in.app, bound) as base:
            key = STAND_IN_KEY
            yield Stripe(base, key, stripe.StripeClient(key, base_addresses={"api": base}), StandInPayer(stand_in))


@contextmanager
def _stripe_itself(narrator: Narrator) -> Iterator[Stripe]:
    settings = Settings.load()
    key, base = settings.stripe_secret_key("test"), settings.stripe_api_base
    client = stripe.StripeClient(key, base_addresses={"api": base} if base else {}, max_network_retries=2)
    yield Stripe(base, key, client, You(client, narrator))


def _settings(database_url: str, account: Stripe) -> Settings:
    """The server's settings, none of them from this process's environment."""
    return Settings(
        database_url=database_url,
        stripe_test_secret_key=SecretStr(account.key),
        stripe_test_webhook_secret=SecretStr(f"whsec_{secrets.token_hex(16)}"),
        stripe_api_base=account.base,
        jwt_secret=SecretStr(secrets.token_hex(32)),
        jwks_url=None,
        jwt_audience=None,
        jwt_issuer=None,
        jwt_roles="authenticated,anon",
        pool_size=2,
    )


class Story:
    """One sale, step by step."""

    def __init__(
        self, narrator: Narrator, conn: psycopg.Connection[Row], account: Stripe, settings: Settings, base: str
    ) -> None:
        self._narrator = narrator
        self._conn = conn
        self._account = account
        self._settings = settings
        self._base = base
        self._ada, self._bob = uuid4(), uuid4()

    def migrated(self, url: str) -> None:
        version = self._one("select current_setting('server_version') as version")["version"]
        self._narrator.step(f"An empty Postgres {version} is migrated.")
        outcome = migrate(url)
        self._narrator.say(
            f"{len(outcome.applied)} migrations, {len(outcome.loaded)} files of functions and policies; no extension."
        )

    def application(self) -> None:
        self._narrator.step(
            "A shop brings a table of orders, a trigger that fulfils them, and a user, Ada, who orders."
        )
        self._conn.execute(files("pg_payments.demo").joinpath("application.sql").read_bytes())
        self._order = self._one(
            "insert into public.orders (buyer, item) values (%s, 'Coffee, 1 kg') returning id", self._ada
        )["id"]
        self._show("public.orders", "select item, status, paid_at from public.orders")

    def data_directory(self) -> Path:
        """Where the server keeps its files."""
        return Path(self._one("select current_setting('data_directory') as directory")["directory"])

    def sale(self) -> None:
        product = self._product_is_created()
        row = self._checkout_is_started(product)
        self._retry_changes_nothing(row)
        self._bob_is_refused()
        self._payment_is_delivered(row)
        self._refund_is_delivered()

    def _product_is_created(self) -> str:
        self._narrator.step("Its products are linked to Stripe's: a row is inserted, and the worker tells Stripe.")
        self._conn.execute(files("pg_payments.demo").joinpath("linked_tables.sql").read_bytes())
        self._conn.execute("insert into public.products (title) values ('Coffee, 1 kg')")
        stripe_api = StripeApi(self._account.key, base=self._account.base)
        send_pushes(self._conn, lambda environment: stripe_api)
        self._show("public.products", "select title, stripe_product_id from public.products")
        product = self._one("select stripe_product_id from public.products")["stripe_product_id"]
        self._narrator.expect("the row has the id of the product that Stripe made", product is not None)
        return cast(str, product)

    def _checkout_is_started(self, product: str) -> Row:
        self._narrator.step("Ada starts a checkout with her token; Stripe answers with a page to pay on.")
        price = self._account.client.v1.prices.create({"product": product, "unit_amount": PRICE, "currency": "eur"})
        self._wish = {
            "mode": "payment",
            "lineItems": [{"priceId": price.id, "quantity": 1}],
            "successUrl": f"{SHOP}/thanks",
            "cancelUrl": f"{SHOP}/cart",
            "subject": {"type": "user", "id": str(self._ada)},
            "customerEmail": "ada@shop.example",
            "metadata": {"order_id": str(self._order)},
            "idempotencyKey": f"order-{self._order}",
        }
        status, answer = self._ask_for_checkout(self._ada)
        self._show(
            "payments.stripe_checkout_sessions",
            "select mode, status, payment_status, checkout_session_id from payments.stripe_checkout_sessions",
        )
        session = cast(Row, answer.get("checkoutSession", {}))
        self._conn.execute("update public.orders set checkout_id = %s", [session.get("id")])
        self._narrator.expect("the session is open and has a url", status == 201 and bool(session.get("url")))
        return session

    def _retry_changes_nothing(self, session: Row) -> None:
        self._narrator.step("Her connection drops and she tries again under the same idempotency key.")
        status, answer = self._ask_for_checkout(self._ada)
        self._narrator.expect(
            "she gets the same row and the same session",
            status == 201 and answer["checkoutSession"] == session and self._count("stripe_checkout_sessions") == 1,
        )

    def _bob_is_refused(self) -> None:
        self._narrator.step("Bob, signed in too, tries to bill Ada: over HTTP, and past the server in SQL.")
        status, answer = self._ask_for_checkout(self._bob)
        self._narrator.say(f"HTTP {status} {answer.get('error')}: {answer.get('message')}")
        sqlstate = self._sqlstate_for(self._bob)
        self._narrator.say(f"SQLSTATE {sqlstate}")
        self._narrator.expect(
            "he is refused both times and leaves no row",
            status == 403 and sqlstate in ("42501", "PY002") and self._count("stripe_checkout_sessions") == 1,
        )

    def _payment_is_delivered(self, session: Row) -> None:
        self._narrator.step(f"Ada pays. Stripe's webhooks arrive out of order, {DELIVERIES} times each.")
        bodies = self._account.payer.pay(session["checkoutSessionId"], session["url"])
        self._deliver(bodies)
        self._show(
            "payments.webhook_events",
            "select event_type, processing_status, attempt_count from payments.webhook_events"
            " order by provider_created_at, event_type",
        )
        self._narrator.expect(
            "every event is in the ledger once, and processed",
            [row["processing_status"] for row in self._rows("select processing_status from payments.webhook_events")]
            == ["processed"] * len(bodies),
        )
        self._narrator.step("In the transaction that processed the payment, the shop's trigger fulfilled the order.")
        self._show("public.orders", "select item, status, paid_at from public.orders")
        self._show("public.shipments", "select order_id, event from public.shipments")
        self._narrator.expect(
            "the order is paid, and shipped exactly once",
            self._one("select status from public.orders")["status"] == "paid"
            and len(self._rows("select from public.shipments")) == 1,
        )
        self._show("public.orders", "select stripe_payment_status, stripe_amount, stripe_currency from public.orders")
        self._narrator.expect(
            "and the order carries what Stripe says of its payment",
            self._one("select stripe_payment_status, stripe_amount from public.orders")
            == {"stripe_payment_status": "succeeded", "stripe_amount": PRICE},
        )
        self._show_transactions()
        payment = self._one("select * from payments.transactions")
        self._narrator.expect(
            "one payment, of the whole price, Ada's",
            (payment["status"], payment["amount"], payment["subject_id"]) == ("succeeded", PRICE, str(self._ada)),
        )
        self._intent = cast(str, payment["related_object_ids"]["payment_intent"])

    def _refund_is_delivered(self) -> None:
        self._narrator.step(f"The bag was half empty: the shop refunds {BACK / 100:.2f} EUR.")
        refund = self._account.client.v1.refunds.create({"payment_intent": self._intent, "amount": BACK})
        self._deliver(self._account.payer.events_of_refund(refund.id))
        self._show_transactions()
        rows = self._rows("select type, status, amount, amount_refunded from payments.transactions")
        facts = {row["type"]: (row["status"], row["amount"], row["amount_refunded"]) for row in rows}
        self._narrator.expect(
            "the payment knows what was given back, and the refund is a row of its own",
            facts.get("one_time_payment") == ("partially_refunded", PRICE, BACK)
            and facts.get("refund", ("",))[:2] == ("refunded", BACK)
            and len(rows) == 2,
        )
        self._narrator.expect("still shipped exactly once", len(self._rows("select from public.shipments")) == 1)

    # How the actors act

    def _ask_for_checkout(self, user: UUID) -> tuple[int, dict[str, Any]]:
        answer = httpx.post(
            f"{self._base}/api/payments/stripe/test/checkout-sessions",
            json=self._wish,
            headers={"Authorization": f"Bearer {self._token(user)}"},
            timeout=30,
        )
        return answer.status_code, answer.json()

    def _token(self, user: UUID) -> str:
        secret = self._settings.jwt_secret
        claims = {"sub": str(user), "role": "authenticated", "exp": int(time.time()) + 600}
        return jwt.encode(claims, secret.get_secret_value() if secret else "", "HS256")

    def _sqlstate_for(self, user: UUID) -> str | None:
        claims = json.dumps({"sub": str(user), "role": "authenticated"})
        try:
            with psycopg.connect(self._settings.required_database_url()) as conn:
                functions.act_as(conn, "authenticated", claims, None)
                functions.begin_checkout(
                    conn, "test", "payment", [{"price": "price_of_bob", "quantity": 1}], f"{SHOP}/thanks",
                    f"{SHOP}/cart", "user", str(self._ada), idempotency_key="bobs",
                )  # fmt: skip
        except psycopg.Error as error:
            return error.sqlstate
        return None

    def _deliver(self, bodies: list[str]) -> None:
        deliveries = bodies * DELIVERIES
        random.shuffle(deliveries)
        (secret,) = self._settings.webhook_secrets("test")
        url = f"{self._base}/api/webhooks/stripe/test"
        answers = [deliver(url, body, secret).status_code for body in deliveries]
        self._narrator.expect(f"{len(deliveries)} deliveries, each answered 200", set(answers) == {200})

    # What the database holds

    def _rows(self, query: str, *parameters: object) -> list[Row]:
        return self._conn.execute(query.encode(), parameters or None).fetchall()

    def _one(self, query: str, *parameters: object) -> Row:
        (row,) = self._rows(query, *parameters)
        return row

    def _count(self, table: str) -> int:
        return len(self._rows(f"select from payments.{table}"))

    def _show(self, name: str, query: str) -> None:
        self._narrator.rows(name, self._rows(query))

    def _show_transactions(self) -> None:
        self._show(
            "payments.transactions",
            "select type, status, amount, amount_refunded, currency from payments.transactions order by type",
        )
