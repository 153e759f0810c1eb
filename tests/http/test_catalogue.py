"""The catalogue over HTTP: changed at Stripe first, mirrored as Stripe answered, healed by repeating."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import httpx
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from pg_payments.testing import objects
from tests.support.site import ADMIN_KEY, ADMIN_ROLE, Site, running_site, token
from tests.support.stripe_catalogue import Write

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

SETTINGS: dict[str, Any] = {"admin_api_key": SecretStr(ADMIN_KEY), "jwt_roles": f"authenticated,anon,{ADMIN_ROLE}"}
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
ROUTES = [
    ("GET", ""), ("GET", "/products"), ("POST", "/products"), ("GET", "/products/prod_1"),
    ("PATCH", "/products/prod_1"), ("DELETE", "/products/prod_1"), ("GET", "/prices"), ("POST", "/prices"),
    ("GET", "/prices/price_1"), ("PATCH", "/prices/price_1"), ("DELETE", "/prices/price_1"),
]  # fmt: skip
PRODUCT = {"environment", "productId", "name", "description", "active", "defaultPriceId", "metadata", "syncedAt"}
PRICE = {
    "environment", "priceId", "productId", "active", "currency", "unitAmount", "unitAmountDecimal", "type", "lookupKey",
    "billingScheme", "taxBehavior", "recurringInterval", "recurringIntervalCount", "metadata", "syncedAt",
}  # fmt: skip


@pytest.fixture
def site(admin_url: str) -> Iterator[Site]:
    with running_site(admin_url, **SETTINGS) as running:
        yield running


def ask(site: Site, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
    headers = ADMIN | ({"Idempotency-Key": key} if key else {})
    return site.ask_as_admin(method, f"test/catalog{path}", body, **headers)


def got(answer: httpx.Response, status: int = 200) -> Row:
    assert answer.status_code == status, answer.text
    found: Row = answer.json()
    return found


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    found = answer.json()
    assert set(found) == {"error", "message", "statusCode", "nextActions"}
    return answer.status_code, found["error"], found["message"]


def new_product(site: Site, name: str = "Tea", key: str | None = None, **members: Any) -> Row:
    product: Row = got(ask(site, "POST", "/products", {"name": name, **members}, key), 201)["product"]
    return product


def new_price(site: Site, product: Row, amount: int = 900, **members: Any) -> Row:
    wish = {"productId": product["productId"], "currency": "eur", "unitAmount": amount, **members}
    price: Row = got(ask(site, "POST", "/prices", wish), 201)["price"]
    return price


def stored(conn: Conn, object_id: str) -> Row:
    row = conn.execute("select * from payments.stripe_objects where object_id = %s", [object_id]).fetchone()
    assert row is not None
    return row


def count(conn: Conn, table: str) -> int:
    row = conn.execute(f"select count(*) from payments.{table}").fetchone()
    assert row is not None
    return int(row["count"])


def event(subject: Row, created: int, **previous: Any) -> str:
    """An event of Stripe's about an object, changed at that time."""
    kind = f"{subject['object']}.updated"
    return json.dumps(objects.event(f"evt_{created}_{subject['name']}", kind, created, subject, previous))


# Who gets in


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_administrators_get_in(site: Site, method: str, path: str) -> None:
    for headers, status in (
        ({"Accept": "*/*"}, 401),
        ({"X-API-Key": ADMIN_KEY + "!"}, 401),
        ({"Authorization": f"Bearer {token()}"}, 403),
        ({"Authorization": f"Bearer {token(role='anon')}"}, 403),
    ):
        answer = site.ask_as_admin(method, f"test/catalog{path}", {"name": "Tea", "active": True}, **headers)
        assert answer.status_code == status, answer.text
    assert (site.stand_in.catalogue.writes, site.stand_in.asked) == ([], [])


def test_an_administrators_token_is_as_good_as_the_key(site: Site) -> None:
    bearer = {"Authorization": f"Bearer {token(role=ADMIN_ROLE)}"}
    made = got(site.ask_as_admin("POST", "test/catalog/products", {"name": "Tea"}, **bearer), 201)["product"]
    shown = got(site.ask_as_admin("GET", f"test/catalog/products/{made['productId']}", **bearer))
    assert shown == {"product": made, "prices": []}


def test_a_server_that_is_no_administrator_refuses(users_url: str) -> None:
    with running_site(users_url, **SETTINGS) as site:
        assert refused(ask(site, "POST", "/products", {"name": "Tea"}))[:2] == (403, "FORBIDDEN")
        assert site.stand_in.catalogue.writes == []


# Products


def test_a_product_is_made_changed_and_deleted_at_stripe_and_here(site: Site, conn: Conn) -> None:
    wish: Row = {"name": " Tea ", "description": "Green", "active": False, "metadata": {"shelf": "3", "röst": "ä&=+%"}}
    made = new_product(site, **wish)
    assert set(made) == PRODUCT
    at_stripe = site.stand_in._objects[made["productId"]]
    assert made | {"syncedAt": None} == {
        "environment": "test", "productId": at_stripe["id"], "name": "Tea", "description": "Green", "active": False,
        "defaultPriceId": None, "metadata": wish["metadata"], "syncedAt": None,
    }  # fmt: skip
    assert stored(conn, made["productId"])["data"] == at_stripe
    assert got(ask(site, "GET", "/products")) == {"products": [made]}
    assert got(ask(site, "GET", f"/products/{made['productId']}")) == {"product": made, "prices": []}

    change = {"description": None, "active": True, "metadata": {"shelf": "", "new": "yes"}}
    changed = got(ask(site, "PATCH", f"/products/{made['productId']}", change))["product"]
    assert changed | {"syncedAt": None} == made | {
        "description": None, "active": True, "metadata": {"röst": "ä&=+%", "new": "yes"}, "syncedAt": None,
    }  # fmt: skip
    assert stored(conn, made["productId"])["data"] == site.stand_in._objects[made["productId"]]

    gone = got(ask(site, "DELETE", f"/products/{made['productId']}"))
    assert gone == {"productId": made["productId"], "deleted": True}
    tombstone = stored(conn, made["productId"])
    assert tombstone["deleted"]
    assert tombstone["data"] == {"id": made["productId"], "object": "product", "deleted": True}
    assert refused(ask(site, "GET", f"/products/{made['productId']}"))[:2] == (404, "PAYMENT_PRODUCT_NOT_FOUND")
    assert refused(ask(site, "DELETE", f"/products/{made['productId']}"))[:2] == (404, "STRIPE_ERROR")
    assert [(write.what.split("/v1")[0].strip(), bool(write.key)) for write in site.stand_in.catalogue.writes] == [
        ("POST", True), ("POST", True), ("DELETE", False), ("DELETE", False),
    ]  # fmt: skip


def test_products_come_by_name(site: Site) -> None:
    for name in ("Tea", "Coffee", "Milk"):
        new_product(site, name)
    assert [product["name"] for product in got(ask(site, "GET", "/products"))["products"]] == ["Coffee", "Milk", "Tea"]


# Prices


def test_a_price_is_made_changed_and_archived_at_stripe_and_here(site: Site, conn: Conn) -> None:
    product = new_product(site)
    made = new_price(
        site, product, 1900, currency=" EUR ", lookupKey="tea-monthly", taxBehavior="exclusive", metadata={"a": "b"},
        recurring={"interval": "month", "intervalCount": 3},
    )  # fmt: skip
    assert set(made) == PRICE
    assert made | {"syncedAt": None} == {
        "environment": "test", "priceId": made["priceId"], "productId": product["productId"], "active": True,
        "currency": "eur", "unitAmount": 1900, "unitAmountDecimal": "1900", "type": "recurring",
        "lookupKey": "tea-monthly", "billingScheme": "per_unit", "taxBehavior": "exclusive",
        "recurringInterval": "month", "recurringIntervalCount": 3, "metadata": {"a": "b"}, "syncedAt": None,
    }  # fmt: skip
    assert stored(conn, made["priceId"])["data"] == site.stand_in._objects[made["priceId"]]
    assert got(ask(site, "GET", f"/prices/{made['priceId']}")) == {"price": made}

    change = {"lookupKey": None, "metadata": {"c": "d"}}
    changed = got(ask(site, "PATCH", f"/prices/{made['priceId']}", change))["price"]
    assert (changed["lookupKey"], changed["metadata"], changed["active"]) == (None, {"a": "b", "c": "d"}, True)

    archived = got(ask(site, "DELETE", f"/prices/{made['priceId']}"))
    assert archived["archived"] is True
    assert archived["price"] | {"syncedAt": None} == changed | {"active": False, "syncedAt": None}
    assert site.stand_in.catalogue.writes[-1].parameters == {"active": "false"}
    again = got(ask(site, "PATCH", f"/prices/{made['priceId']}", {"active": True}))["price"]
    assert again["active"] is True


def test_prices_are_listed_by_product_and_amount(site: Site) -> None:
    tea, milk = new_product(site, "Tea"), new_product(site, "Milk")
    dear, cheap, free = new_price(site, tea, 900), new_price(site, tea, 300), new_price(site, milk, 0)
    of_tea = got(ask(site, "GET", f"/prices?productId={tea['productId']}"))
    assert of_tea == {"prices": [cheap, dear]}
    assert got(ask(site, "GET", f"/products/{tea['productId']}")) == {"product": tea} | of_tea
    prices = got(ask(site, "GET", "/prices"))["prices"]
    groups = {product["productId"]: group for product, group in ((tea, [cheap, dear]), (milk, [free]))}
    assert prices == [price for product_id in sorted(groups) for price in groups[product_id]]
    assert got(ask(site, "GET", "")) == {"products": [milk, tea], "prices": prices}
    assert got(ask(site, "GET", "/prices?productId=prod_unknown")) == {"prices": []}
    assert free["unitAmount"] == 0


# What is refused


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/products", {}, "name"),
        ("POST", "/products", {"name": "  "}, "name"),
        ("POST", "/products", {"name": "a\0b"}, "name"),
        ("POST", "/products", {"name": 7}, "name"),
        ("POST", "/products", {"name": "Tea", "description": "x" * 5001}, "description"),
        ("POST", "/products", {"name": "Tea", "active": None}, "active"),
        ("POST", "/products", {"name": "Tea", "active": "true"}, "active"),
        ("POST", "/products", {"name": "Tea", "id": "prod_of_mine"}, "id"),
        ("POST", "/products", {"name": "Tea", "defaultPriceData": {}}, "defaultPriceData"),
        ("POST", "/products", {"name": "Tea", "metadata": {"a": 1}}, "metadata.a"),
        ("POST", "/products", {"name": "Tea", "metadata": {"a]": "b"}}, "metadata.a]"),
        ("POST", "/products", {"name": "Tea", "metadata": {"a": "x" * 501}}, "metadata.a"),
        ("POST", "/products", {"name": "Tea", "metadata": {str(n): "" for n in range(51)}}, "metadata"),
        ("POST", "/products", {"name": "Tea", "idempotencyKey": " "}, "idempotencyKey"),
        ("POST", "/products", {"name": "Tea", "idempotencyKey": "k" * 201}, "idempotencyKey"),
        ("POST", "/products", ["Tea"], "body"),
        ("PATCH", "/products/prod_1", {}, "body"),
        ("PATCH", "/products/prod_1", {"name": None}, "name"),
        ("PATCH", "/products/prod_1", {"idempotencyKey": "key"}, "idempotencyKey"),
        ("POST", "/prices", {"currency": "eur", "unitAmount": 1}, "productId"),
        ("POST", "/prices", {"productId": "p", "currency": "euro", "unitAmount": 1}, "currency"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": -1}, "unitAmount"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": 1.5}, "unitAmount"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": "1"}, "unitAmount"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": 2**53}, "unitAmount"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": True}, "unitAmount"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": 1, "lookupKey": ""}, "lookupKey"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": 1, "recurring": None}, "recurring"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": 1, "recurring": {"interval": "hour"}},
         "recurring.interval"),
        ("POST", "/prices",
         {"productId": "p", "currency": "eur", "unitAmount": 1, "recurring": {"interval": "day", "intervalCount": 0}},
         "recurring.intervalCount"),
        ("POST", "/prices", {"productId": "p", "currency": "eur", "unitAmount": 1, "taxBehavior": "some"},
         "taxBehavior"),
        ("PATCH", "/prices/price_1", {"unitAmount": 1}, "unitAmount"),
        ("PATCH", "/prices/price_1", {"taxBehavior": None}, "taxBehavior"),
        ("GET", "?limit=1", None, "limit"),
        ("GET", "/products?productId=prod_1", None, "productId"),
        ("GET", "/prices?productId=", None, "productId"),
        ("GET", "/prices?productId=%00", None, "productId"),
        ("GET", "/prices?product=prod_1", None, "product"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_named_and_never_sent(site: Site, method: str, path: str, body: Any, field: str) -> None:
    status, error, message = refused(ask(site, method, path, body))
    assert (status, error) == (400, "INVALID_REQUEST")
    assert message.startswith((f"{field}:", f"{field}.[key]:")), message
    assert site.stand_in.catalogue.writes == []


def test_what_stripe_refuses_is_passed_on_and_not_mirrored(site: Site, conn: Conn) -> None:
    product = new_product(site)
    new_price(site, product)
    before = count(conn, "stripe_objects")
    has_prices = refused(ask(site, "DELETE", f"/products/{product['productId']}"))
    assert has_prices == (
        400, "STRIPE_ERROR", "This product cannot be deleted because it has one or more user-created prices.",
    )  # fmt: skip
    assert got(ask(site, "GET", f"/products/{product['productId']}"))["product"] == product
    for status in (402, 429, 500):
        site.stand_in.catalogue.refusals.append((status, "No, not with sk_test_of_the_site"))
        assert refused(ask(site, "POST", "/products", {"name": "Tea"})) == (
            status,
            "STRIPE_ERROR",
            "No, not with [key]",
        )
    unknown = {"productId": "prod_unknown", "currency": "eur", "unitAmount": 1}
    assert refused(ask(site, "POST", "/prices", unknown))[:2] == (400, "STRIPE_ERROR")
    assert count(conn, "stripe_objects") == before


@pytest.mark.parametrize("kind", ["products", "prices"])
@pytest.mark.parametrize(
    "object_id", ["prod_unknown", "%2e%2e", "%2e", "%20", "%00", "..%2f..%2fcustomers", "a%3Fb%23c"]
)
def test_an_unknown_id_is_not_found_and_leads_nowhere_else(site: Site, kind: str, object_id: str) -> None:
    new_product(site)
    for method, body in (("GET", None), ("PATCH", {"active": True}), ("DELETE", None)):
        answer = ask(site, method, f"/{kind}/{object_id}", body)
        assert answer.status_code == 404, (method, answer.text)
    asked_of = {write.what for write in site.stand_in.catalogue.writes[1:]}
    assert asked_of <= {f"{method} /v1/{kind}/{unquote(object_id)}" for method in ("POST", "DELETE")}
    assert len(site.stand_in.ids()) == 1


# Once


def test_a_key_makes_one_product_however_often_it_is_sent(site: Site, conn: Conn) -> None:
    wish = {"name": "Tea", "idempotencyKey": " seed:tea "}
    with ThreadPoolExecutor(1) as one_after_another:
        answers = list(one_after_another.map(lambda _: got(ask(site, "POST", "/products", wish), 201), range(3)))
    made = answers[0]["product"]
    assert {answer["product"]["productId"] for answer in answers} == {made["productId"]}
    assert new_product(site, key="seed:tea")["productId"] == made["productId"]
    assert {write.key for write in site.stand_in.catalogue.writes} == {"seed:tea"}
    assert count(conn, "stripe_products") == 1

    status, error, message = refused(ask(site, "POST", "/products", {"name": "Milk", "idempotencyKey": "seed:tea"}))
    assert (status, error) == (409, "IDEMPOTENCY_CONFLICT")
    assert message.startswith("Keys for idempotent requests can only be used with the same parameters")
    status, error, message = refused(ask(site, "POST", "/products", wish, key="another"))
    assert (status, error) == (400, "INVALID_REQUEST")
    assert message.startswith("idempotencyKey:")
    assert refused(ask(site, "POST", "/products", {"name": "Tea"}, key="k" * 201))[2].startswith("Idempotency-Key:")


def test_a_key_of_any_characters_fits_into_a_header(site: Site) -> None:
    for key in ("grüner tee", "line\r\nX-Evil: 1", "100% = 1"):
        wish = {"name": "Tea", "idempotencyKey": key}
        assert len({got(ask(site, "POST", "/products", wish), 201)["product"]["productId"] for _ in range(2)}) == 1
    assert [write.key for write in site.stand_in.catalogue.writes[::2]] == [
        "gr%C3%BCner tee", "line%0D%0AX-Evil: 1", "100% = 1",
    ]  # fmt: skip


def test_a_lost_answer_is_asked_for_again_with_the_same_key(site: Site, conn: Conn) -> None:
    site.stand_in.catalogue.lost = 1
    made = new_product(site)
    first, second = site.stand_in.catalogue.writes
    assert first == second
    assert first.key is not None
    assert site.stand_in.ids() == [made["productId"]]
    price = new_price(site, made)
    site.stand_in.catalogue.lost = 1
    assert got(ask(site, "DELETE", f"/prices/{price['priceId']}"))["archived"] is True


def test_when_stripe_is_unwell_the_caller_learns_how_to_repeat(site: Site, conn: Conn) -> None:
    site.stand_in.catalogue.lost = 3
    answer = ask(site, "POST", "/products", {"name": "Tea"})
    assert refused(answer)[:2] == (500, "STRIPE_ERROR")
    assert count(conn, "stripe_products") == 0
    made = new_product(site, key=answer.json()["nextActions"].rpartition("Idempotency-Key: ")[2])
    assert site.stand_in.ids() == [made["productId"]]


def test_a_deletion_whose_answer_was_lost_is_mirrored(site: Site, conn: Conn) -> None:
    made = new_product(site)
    site.stand_in.catalogue.lost = 1
    assert got(ask(site, "DELETE", f"/products/{made['productId']}"))["deleted"] is True
    assert stored(conn, made["productId"])["deleted"]
    assert count(conn, "stripe_products") == 0


def test_a_repeated_request_does_not_bring_back_the_past(site: Site, conn: Conn) -> None:
    made = new_product(site, key="once")
    site.stand_in.catalogue.change(made["productId"], name="Green tea")
    for body in site.stand_in.take_events():
        site.deliver(body)
    conn.execute("update payments.stripe_objects set observed_at = observed_at - interval '1 hour'")  # an hour passes
    again = new_product(site, key="once")
    assert again["name"] == "Green tea"
    assert stored(conn, made["productId"])["data"]["name"] == "Green tea"
    assert site.stand_in.catalogue.writes[0] == site.stand_in.catalogue.writes[1]


# Stripe answers what jsonb cannot hold

UNSTORABLE = {"a NUL": "a\0b", "half a surrogate pair": "\ud800"}


@pytest.mark.parametrize("case", UNSTORABLE)
def test_a_change_that_cannot_be_mirrored_is_told_as_made(site: Site, case: str) -> None:
    made = new_product(site)
    place = f"/products/{made['productId']}"
    site.stand_in.catalogue.change(made["productId"], description=UNSTORABLE[case])
    for _ in range(2):  # a repetition makes nothing new and is told the same
        answer = ask(site, "PATCH", place, {"name": "Green tea"}, key="rename")
        status, error, message = refused(answer)
        assert (status, error) == (502, "STRIPE_ANSWER_UNSTORABLE"), answer.text
        assert message.startswith("Stripe has made the change, but it cannot be mirrored: jsonb cannot hold")
        assert answer.json()["nextActions"].endswith("then repeat the request with the header Idempotency-Key: rename")
    assert site.stand_in._objects[made["productId"]]["name"] == "Green tea"
    assert got(ask(site, "GET", place))["product"] == made

    site.stand_in.catalogue.change(made["productId"], description=None)
    assert got(ask(site, "PATCH", place, {"name": "Green tea"}, key="rename"))["product"]["name"] == "Green tea"


def test_what_was_made_but_cannot_be_mirrored_is_made_once(site: Site, conn: Conn) -> None:
    site.stand_in.catalogue.besides = {"extra": "a\0b"}
    first = ask(site, "POST", "/products", {"name": "Tea"})
    assert refused(first)[:2] == (502, "STRIPE_ANSWER_UNSTORABLE")
    key = first.json()["nextActions"].rpartition("Idempotency-Key: ")[2]
    again = ask(site, "POST", "/products", {"name": "Tea"}, key=key)
    assert again.json() == first.json()
    (product_id,) = site.stand_in.ids()
    assert count(conn, "stripe_objects") == 0

    site.stand_in.catalogue.change(product_id, extra=None)
    assert new_product(site, key=key)["productId"] == product_id
    wish = {"productId": product_id, "currency": "eur", "unitAmount": 900}
    assert refused(ask(site, "POST", "/prices", wish))[:2] == (502, "STRIPE_ANSWER_UNSTORABLE")


def test_an_answer_that_is_not_json_is_no_success(site: Site) -> None:
    site.stand_in.catalogue.garbled = 1
    answer = ask(site, "POST", "/products", {"name": "Tea"})
    assert refused(answer) == (502, "STRIPE_ERROR", "Stripe's answer is not JSON")
    made = new_product(site, key=answer.json()["nextActions"].rpartition("Idempotency-Key: ")[2])
    assert site.stand_in.ids() == [made["productId"]]


# The database goes away


def cut_off(conn: Conn, is_off: bool) -> None:
    """Nobody but a superuser reaches the database, as when it is restarted."""
    name = sql.Identifier(conn.info.dbname)
    conn.execute(sql.SQL("alter database {} connection limit {}").format(name, sql.Literal(0 if is_off else -1)))
    if is_off:
        conn.execute(
            "select pg_terminate_backend(pid, 5000) from pg_catalog.pg_stat_activity where usename = 'test_admin_shop'"
        )


def test_what_the_database_missed_is_mirrored_when_the_request_is_repeated(site: Site, conn: Conn) -> None:
    async def cut(_: str) -> None:
        await asyncio.to_thread(cut_off, conn, True)

    def interrupted(method: str, path: str, body: Any = None) -> str:
        site.stand_in.before_answer = cut
        answer = ask(site, method, path, body)
        site.stand_in.before_answer = None
        cut_off(conn, False)
        status, error, message = refused(answer)
        assert (status, error) == (503, "DATABASE_UNAVAILABLE")
        assert message.startswith("Stripe has made the change")
        assert int(answer.headers["Retry-After"]) > 0
        return str(answer.json()["nextActions"]).rpartition("Idempotency-Key: ")[2]

    key = interrupted("POST", "/products", {"name": "Tea"})
    assert count(conn, "stripe_products") == 0
    made = new_product(site, key=key)
    assert site.stand_in.ids() == [made["productId"]]

    place = f"/products/{made['productId']}"
    key = interrupted("PATCH", place, {"name": "Green tea"})
    assert got(ask(site, "GET", place))["product"] == made
    assert got(ask(site, "PATCH", place, {"name": "Green tea"}, key=key))["product"]["name"] == "Green tea"
    assert got(ask(site, "GET", place))["product"]["name"] == "Green tea"

    interrupted("DELETE", place)
    assert got(ask(site, "GET", place))["product"]["name"] == "Green tea"
    assert got(ask(site, "DELETE", place)) == {"productId": made["productId"], "deleted": True}
    assert stored(conn, made["productId"])["deleted"]
    assert refused(ask(site, "GET", place))[0] == 404


def test_without_a_database_stripe_is_not_asked() -> None:
    with running_site("postgresql:///nowhere?host=/nonexistent", **SETTINGS) as site:
        for method, path in ROUTES:
            status, error, message = refused(ask(site, method, path, {"name": "Tea"}))
            assert (status, error) == (503, "DATABASE_UNAVAILABLE")
            assert "nonexistent" not in message
        assert site.stand_in.catalogue.writes == []


# Together with events


def test_an_event_that_overtakes_stripes_answer_is_not_undone(site: Site, conn: Conn) -> None:
    made = new_product(site)
    newer = int(time.time()) + 60

    async def somebody_is_quicker(_: str) -> None:
        ours = dict(site.stand_in._objects[made["productId"]])
        theirs = ours | {"name": "Theirs", "updated": newer}
        assert (await asyncio.to_thread(site.deliver, event(theirs, newer, name=ours["name"]))).status_code == 200

    site.stand_in.before_answer = somebody_is_quicker
    answer = got(ask(site, "PATCH", f"/products/{made['productId']}", {"name": "Ours"}))
    assert answer["product"]["name"] == "Theirs"
    assert stored(conn, made["productId"])["data"]["name"] == "Theirs"


def test_an_older_event_that_comes_late_changes_nothing(site: Site, conn: Conn) -> None:
    made = new_product(site)
    older = int(time.time()) - 60
    changed = got(ask(site, "PATCH", f"/products/{made['productId']}", {"name": "Ours"}))["product"]
    past = site.stand_in._objects[made["productId"]] | {"name": "Past"}
    assert site.deliver(event(past, older, name="Tea")).status_code == 200
    assert got(ask(site, "GET", f"/products/{made['productId']}"))["product"] == changed


def test_our_own_events_agree_with_what_we_mirrored(site: Site, conn: Conn) -> None:
    product = new_product(site, metadata={"a": "b"})
    price = new_price(site, product, recurring={"interval": "year"})
    got(ask(site, "PATCH", f"/products/{product['productId']}", {"name": "Green tea"}))
    got(ask(site, "DELETE", f"/prices/{price['priceId']}"))
    before = got(ask(site, "GET", ""))
    for body in reversed(site.stand_in.take_events()):
        assert site.deliver(body).json()["handled"] is True
    after = got(ask(site, "GET", ""))
    for name in ("products", "prices"):
        assert [row | {"syncedAt": None} for row in after[name]] == [row | {"syncedAt": None} for row in before[name]]
    assert conn.execute("select * from payments.verify_projections('test')").fetchall() == []


def test_the_environments_know_nothing_of_each_other(site: Site, conn: Conn) -> None:
    tea = new_product(site)
    live = got(site.ask_as_admin("POST", "live/catalog/products", {"name": "Tea"}), 201)["product"]
    assert (tea["environment"], live["environment"]) == ("test", "live")
    assert got(ask(site, "GET", "/products"))["products"] == [tea]
    assert got(site.ask_as_admin("GET", "live/catalog/products"))["products"] == [live]
    assert ask(site, "GET", f"/products/{live['productId']}").status_code == 404
    assert ask(site, "DELETE", f"/products/{live['productId']}").status_code == 404
    assert got(site.ask_as_admin("GET", f"live/catalog/products/{live['productId']}"))["product"] == live
    nowhere = site.ask_as_admin("GET", "staging/catalog")
    assert (nowhere.status_code, nowhere.json()["message"]) == (400, "environment: must be 'test' or 'live'")


def test_while_stripe_thinks_the_only_connection_serves_others(admin_url: str, conn: Conn) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    async def think(_: str) -> None:
        asked.set()
        await asyncio.to_thread(may_answer.wait, 20)

    with running_site(admin_url, pool_size=1, **SETTINGS) as site, ThreadPoolExecutor(1) as background:
        site.stand_in.before_answer = think
        waiting = background.submit(new_product, site)
        try:
            assert asked.wait(10)
            assert got(ask(site, "GET", "")) == {"products": [], "prices": []}
            assert not waiting.done()
        finally:
            may_answer.set()
        assert waiting.result(20)["name"] == "Tea"


def test_stripe_gets_exactly_what_was_asked_for(site: Site) -> None:
    product = new_product(site, description="", metadata={})
    new_price(site, product, 0, lookupKey=None, recurring={"interval": "day"}, active=False)
    got(ask(site, "PATCH", f"/products/{product['productId']}", {"description": " ", "metadata": {"a": "b"}}), 200)
    sent = [Write(write.what, write.parameters, None) for write in site.stand_in.catalogue.writes]
    assert sent == [
        Write("POST /v1/products", {"name": "Tea"}, None),
        Write("POST /v1/prices", {
            "product": product["productId"], "currency": "eur", "unit_amount": "0", "active": "false",
            "recurring": {"interval": "day"},
        }, None),
        Write(f"POST /v1/products/{product['productId']}", {"description": "", "metadata": {"a": "b"}}, None),
    ]  # fmt: skip
