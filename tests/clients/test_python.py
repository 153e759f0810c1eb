"""What the pages say to whoever writes Python or deploys an application works as it is written."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.stripe.client import StripeApi
from tests.support.servers import Server
from tests.support.site import ADA, bring_application, shop_url
from tests.support.stripe_account import StripeAccount
from tests.support.tools import ROOT

Conn = psycopg.Connection[dict[str, Any]]

ATTACHED = """
create function public.seen() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger seen after insert or update on payments.webhook_events for each row execute function public.seen();
"""


def test_a_checkout_from_python(server: Server, conn: Conn) -> None:
    bring_application(conn)
    text = (ROOT / "docs/how-to/checkout.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    names: dict[str, Any] = {}
    exec(compile(found[1], "checkout.md", "exec", dont_inherit=True), names)
    with loopback_socket() as bound:
        account = StripeAccount(address_of(bound))
        with served(account.app, bound), ConnectionPool(shop_url(server, conn.info.dbname), min_size=1) as pool:
            product = account.create_product({"name": "Coffee"})
            price = account.create_price({"product": product["id"], "unit_amount": 900, "currency": "eur"})["id"]
            stripe = StripeApi("sk_test_of_the_shop", account.base_url)
            first, again = (names["checkout"](pool, stripe, ADA, "42", price) for _ in range(2))
    assert first == again
    assert first.startswith(account.base_url)


def test_who_may_attach_a_trigger(server: Server, conn: Conn) -> None:
    stranger = server.login("test_deployer")
    conn.execute("grant create, usage on schema public to test_deployer")
    owner = server.login("test_owner_of_all", "payments_owner")
    conn.execute("create schema app authorization test_owner_of_all")
    with psycopg.connect(server.url(conn.info.dbname, owner)) as member:
        member.execute(ATTACHED.replace("public.", "app.").replace("trigger seen", "trigger also_seen"))
    with (
        psycopg.connect(server.url(conn.info.dbname, stranger)) as refused,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        refused.execute(ATTACHED)
    text = (ROOT / "docs/how-to/fulfil.md").read_text(encoding="utf-8")
    found = re.search(r"`(grant usage on schema payments .*?;)`", text)
    assert found
    conn.execute(found[1].replace("app_owner", "test_deployer").encode())
    with psycopg.connect(server.url(conn.info.dbname, stranger)) as let_in:
        let_in.execute(ATTACHED)
