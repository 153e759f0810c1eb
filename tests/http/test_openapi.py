"""The served application is what its OpenAPI document says: schemathesis asks it everything, right and wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import schemathesis
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr
from schemathesis import APIOperation, Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from pg_payments.demo.serving import loopback_socket, served
from pg_payments.http.application import create_app
from pg_payments.http.openapi import OPERATIONS, document
from pg_payments.stripe import sync
from tests.stripe_simulator.merchant import Merchant
from tests.stripe_simulator.projections import ingest
from tests.support.site import ADMIN_KEY, WEB, Site, running_site, site_settings, token

Row = dict[str, Any]

EXAMPLES = 100 if os.environ.get("CI") == "true" else 10
"""Requests an operation."""

UNDOCUMENTED = {"/metrics", "/openapi.json"}
MASTER = Fernet.generate_key().decode()
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def site(admin_url: str, conn: psycopg.Connection[Row], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(sync.PATIENCE, "sleep", lambda seconds: None)
    merchant = Merchant("openapi")
    product = merchant.make_product()
    price, plan = merchant.make_price(product, 1500), merchant.make_price(product, 900, "usd", "month")
    merchant.refund(merchant.checkout(price, ("user", "ada"), "paid"), 500)
    merchant.checkout_subscription(plan, ("user", "bob"))
    ingest(conn, merchant.events)
    with running_site(
        admin_url, admin_api_key=SecretStr(ADMIN_KEY), master_key=SecretStr(MASTER), public_url="https://shop.example"
    ) as running:
        yield running


@pytest.mark.slow
@pytest.mark.newest("the shape of answers is made in Python; each route is tried on all")
def test_every_answer_is_as_documented(site: Site) -> None:
    schema = schemathesis.openapi.from_url(f"{site.base}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == len(OPERATIONS)
    for operation in operations:
        ask_everything(operation, credentials(operation))


def credentials(operation: APIOperation[Any, Any, Any, Any]) -> dict[str, str]:
    """What opens the operation, so that it is more than its door that is tried."""
    accepted = [name for way in operation.definition.raw.get("security", []) for name in way]
    bearers = {"apiKey": ADMIN_KEY, "userToken": token()}
    bearer = next((bearers[name] for name in bearers if name in accepted), None)
    return {"Authorization": f"Bearer {bearer}"} if bearer else {}


def ask_everything(operation: APIOperation[Any, Any, Any, Any], headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    ask()


def test_a_right_question_gets_the_documented_answer(site: Site) -> None:
    schema = schemathesis.openapi.from_url(f"{site.base}/openapi.json")
    asked = {
        "status": site.ask_as_admin("GET", "status"),
        "sync": site.ask_as_admin("POST", "sync"),
        "{environment}/webhook": site.ask_as_admin("POST", "test/webhook"),
        "{environment}/transactions": site.ask_as_admin("GET", "test/transactions"),
        "{environment}/subscriptions": site.ask_as_admin("GET", "test/subscriptions"),
        "{environment}/customers": site.ask_as_admin("GET", "test/customers"),
        "{environment}/checkout-sessions": site.checkout(token()),
    }
    for path, answer in asked.items():
        assert answer.status_code in (200, 201), answer.text
        operation = schema[f"/api/payments/stripe/{path}"][answer.request.method]
        operation.validate_response(answer)


@pytest.mark.parametrize("prefix", ["/billing", "/a/b"])
def test_it_knows_where_it_is_mounted(prefix: str) -> None:
    outer = Starlette(routes=[Mount(prefix, create_app(site_settings("postgresql:///nowhere")))])
    with loopback_socket() as bound, served(outer, bound) as base:
        told = WEB.get(f"{base}{prefix}/openapi.json").json()
        assert told["servers"] == [{"url": prefix}]
        assert WEB.get(base + told["servers"][0]["url"] + "/health/live").status_code == 200
    assert "servers" not in document()


def test_it_describes_every_route_and_no_other(site: Site) -> None:
    routes = {route.path for route in create_app().routes if isinstance(route, Route)}
    assert routes - UNDOCUMENTED == set(WEB.get(f"{site.base}/openapi.json").json()["paths"])
