"""What a caller may ask for: every rule as a row of a table, with the field that a violation names.

The rules hold for a bare INSERT as for `begin_checkout`, so they are tried on the INSERT.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

Row = dict[str, Any]
Conn = psycopg.Connection[Row]

SUBJECT = {"subject_type": "user", "subject_id": "ada"}
PRICE = {"price": "price_1", "quantity": 1}
GOOD: Row = {
    "environment": "test",
    "mode": "payment",
    "line_items": [PRICE],
    "success_url": "https://shop.example/thanks",
    "cancel_url": "https://shop.example/cart",
}

GOOD_CHANGES: list[Row] = [
    {},
    {"environment": "live"},
    SUBJECT,
    SUBJECT | {"mode": "subscription"},
    {"line_items": [{"price": "price_metered"}]},
    {"line_items": [PRICE] * 100},
    {"line_items": [{"price": "price_1", "quantity": 999_999}]},
    {"success_url": "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}"},
    {"success_url": "https://shop.example/thanks#{CHECKOUT_SESSION_ID}"},
    {"success_url": "https://Shop.Example:8443/a/%20b?c=d&e=f#g"},
    {"success_url": "https://[2001:db8::1]/"},
    {"success_url": "https://xn--bcher-kva.example"},
    {"success_url": "https://shop.example/Bücher"},
    {"success_url": "http://localhost"},
    {"success_url": "http://localhost:3000/x"},
    {"success_url": "http://127.0.0.1:3000"},
    {"success_url": "http://[::1]:3000/"},
    {"success_url": "https://shop.example/" + "x" * 4979},
    {"customer_email": "ada+shop@mail.shop.example"},
    {"metadata": {}},
    {"metadata": {"k" * 40: "v" * 500}},
    {"metadata": {f"key {n}": "" for n in range(45)}},
    {"metadata": {"Grüße": "😀", "paymentsX": "not our prefix"}},
    {"idempotency_key": "k" * 255},
    {"idempotency_key": "order:42 / päivä"},
]

NOT_URLS = [
    "",
    "shop.example",
    "/thanks",
    "//shop.example/thanks",
    "http://shop.example",
    "http://localhost.evil.example",
    "http://localhost@evil.example",
    "http://127.0.0.1.evil.example/",
    "https://",
    "https:///thanks",
    "https://shop.example@evil.example",
    "https://user:password@shop.example",
    "https://evil.example\\@shop.example",
    "https://shop.example\\.evil.example",
    "https://shop.example/a b",
    "https://shop.example/\n",
    "https://shop.example/\x01",
    "https://shop.example:port/",
    "https://shop.example:123456/",
    "https://bücher.example/",
    " https://shop.example/",
    "HTTPS://shop.example/",
    "ftp://shop.example/",
    "javascript:alert(1)//https://shop.example",
    "data:text/html,https://shop.example",
    "https://shop.example/" + "x" * 4980,
]

BAD: list[tuple[str, Row]] = [
    ("environment", {"environment": "prod"}),
    ("environment", {"environment": "TEST"}),
    ("environment", {"environment": None}),
    ("mode", {"mode": "setup"}),
    ("mode", {"mode": None}),
    ("mode", {"mode": ""}),
    ("line_items", {"line_items": None}),
    ("line_items", {"line_items": []}),
    ("line_items", {"line_items": {}}),
    ("line_items", {"line_items": "price_1"}),
    ("line_items", {"line_items": [PRICE] * 101}),
    ("line_items[0]", {"line_items": ["price_1"]}),
    ("line_items[0]", {"line_items": [None]}),
    ("line_items[1]", {"line_items": [PRICE, {**PRICE, "price_data": {"unit_amount": 1}}]}),
    ("line_items[0]", {"line_items": [{**PRICE, "adjustable_quantity": {"enabled": True}}]}),
    ("line_items[0]", {"line_items": [{**PRICE, "tax_rates": []}]}),
    ("line_items[0].price", {"line_items": [{}]}),
    ("line_items[0].price", {"line_items": [{"price": None}]}),
    ("line_items[0].price", {"line_items": [{"price": ""}]}),
    ("line_items[0].price", {"line_items": [{"price": "price 1"}]}),
    ("line_items[0].price", {"line_items": [{"price": {"id": "price_1"}}]}),
    ("line_items[0].price", {"line_items": [{"price": "p" * 256}]}),
    ("line_items[2].quantity", {"line_items": [PRICE, PRICE, {"price": "price_1", "quantity": 0}]}),
    ("line_items[0].quantity", {"line_items": [{"price": "price_1", "quantity": -1}]}),
    ("line_items[0].quantity", {"line_items": [{"price": "price_1", "quantity": 1.5}]}),
    ("line_items[0].quantity", {"line_items": [{"price": "price_1", "quantity": "1"}]}),
    ("line_items[0].quantity", {"line_items": [{"price": "price_1", "quantity": None}]}),
    ("line_items[0].quantity", {"line_items": [{"price": "price_1", "quantity": 1_000_000}]}),
    *((field, {field: url}) for field in ("success_url", "cancel_url") for url in [None, *NOT_URLS]),
    ("subject", {"subject_type": "user"}),
    ("subject", {"subject_id": "ada"}),
    ("subject", {"mode": "subscription"}),
    *(
        ("subject_type", SUBJECT | {"subject_type": t})
        for t in ("", "User", "1st", "_x", "te am", "te:am", "t\n", "t" * 64)
    ),
    *(("subject_id", SUBJECT | {"subject_id": i}) for i in ("", "a\nb", "a\x01b", "i" * 256)),
    *(
        ("customer_email", {"customer_email": e})
        for e in (
            "",
            "ada",
            "@shop.example",
            "ada@",
            "a da@shop.example",
            "a@b@c",
            "a@b\n",
            "a" * 500 + "@shop.example",
        )
    ),
    ("metadata", {"metadata": []}),
    ("metadata", {"metadata": "x"}),
    ("metadata", {"metadata": {str(n): "" for n in range(46)}}),
    ("metadata.n", {"metadata": {"n": 1}}),
    ("metadata.n", {"metadata": {"n": None}}),
    ("metadata.n", {"metadata": {"n": {"deep": "er"}}}),
    ("metadata.n", {"metadata": {"n": "v" * 501}}),
    ("metadata.", {"metadata": {"": "x"}}),
    ("metadata.a[b]", {"metadata": {"a[b]": "x"}}),
    ("metadata." + "k" * 40, {"metadata": {"k" * 41: "x"}}),
    ("metadata.payments_subject_id", {"metadata": {"payments_subject_id": "bob"}}),
    ("metadata.Payments_checkout_id", {"metadata": {"Payments_checkout_id": "x"}}),
    ("metadata.insforge_subject_type", {"metadata": {"insforge_subject_type": "user"}}),
    ("metadata.payments_", {"metadata": {"payments_": "x"}}),
    ("idempotency_key", {"idempotency_key": ""}),
    ("idempotency_key", {"idempotency_key": "a\nb"}),
    ("idempotency_key", {"idempotency_key": "k" * 256}),
]


@pytest.fixture
def ada(scratch_conn: Conn) -> Conn:
    """A transaction of the user ada's."""
    scratch_conn.execute("create role shopper; grant payments_user to shopper; set local role shopper")
    scratch_conn.execute("""set local request.jwt.claims = '{"sub": "ada"}'""")
    return scratch_conn


def insert(conn: Conn, table: str, values: Row) -> None:
    given = {name: Jsonb(value) if name in ("line_items", "metadata") and value is not None else value
             for name, value in values.items()}  # fmt: skip
    statement = sql.SQL("insert into payments.{} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, given)),
        sql.SQL(", ").join(map(sql.Placeholder, given)),
    )
    with conn.transaction():
        conn.execute(statement, given)


def refused_field(conn: Conn, table: str, values: Row) -> str | None:
    """What a violation names, once it is the expected kind of error, with a message and a hint."""
    try:
        insert(conn, table, values)
    except psycopg.Error as error:
        refused = error
    else:
        return None
    assert refused.sqlstate == "PY001", refused
    field = refused.diag.message_detail or ""
    assert field
    assert (refused.diag.message_primary or "").startswith(field)
    assert refused.diag.message_hint
    return field


def test_what_is_allowed(ada: Conn) -> None:
    refused = {
        str(change)[:80]: refused_field(ada, "stripe_checkout_sessions", GOOD | change) for change in GOOD_CHANGES
    }
    assert {change: field for change, field in refused.items() if field is not None} == {}


def test_what_is_refused_and_which_field_is_to_blame(ada: Conn) -> None:
    wrong = [
        (field, found, change)
        for field, change in BAD
        if (found := refused_field(ada, "stripe_checkout_sessions", GOOD | change)) != field
    ]
    assert wrong == []


def test_begin_checkout_knows_the_same_rules(ada: Conn) -> None:
    statement = """select payments.begin_checkout(%(environment)s, %(mode)s, %(line_items)s, %(success_url)s,
                          %(cancel_url)s, %(subject_type)s, %(subject_id)s, %(customer_email)s, %(metadata)s,
                          %(idempotency_key)s)"""
    optional = dict.fromkeys(("subject_type", "subject_id", "customer_email", "metadata", "idempotency_key"))
    for field, change in BAD:
        values = optional | GOOD | change
        as_json = {
            name: None if values[name] is None else json.dumps(values[name]) for name in ("line_items", "metadata")
        }
        with pytest.raises(psycopg.Error) as refused, ada.transaction():
            ada.execute(statement, values | as_json)
        assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY001", field), change


@pytest.mark.parametrize(
    ("prefix", "key", "reserved"),
    [
        ("acme_", "acme_subject_id", True),
        ("acme_", "Acme_anything", True),
        ("acme_", "acme", False),
        ("a%", "ab_subject_id", False),
        ("", "subject_id", True),
        ("", "order_id", False),
        ("acme_", "payments_subject_id", True),
    ],
)
def test_a_prefix_of_the_settings_is_reserved_too(scratch_conn: Conn, prefix: str, key: str, reserved: bool) -> None:
    scratch_conn.execute("insert into payments_private.settings (name, value) values ('metadata_prefix', %s)", [prefix])
    scratch_conn.execute("set local payments.guest_secret = 'a guest that has 128 bits'")
    found = refused_field(scratch_conn, "stripe_checkout_sessions", GOOD | {"metadata": {key: "x"}})
    assert found == (f"metadata.{key}" if reserved else None)


# The portal


PORTAL_BAD: list[tuple[str, Row]] = [
    ("environment", {"environment": "prod"}),
    ("environment", {"environment": None}),
    ("subject", {"subject_type": None}),
    ("subject", {"subject_id": None}),
    ("configuration_id", {"configuration_id": ""}),
    ("configuration_id", {"configuration_id": "bpc 1"}),
    ("configuration_id", {"configuration_id": "c" * 256}),
    *(("return_url", {"return_url": url}) for url in NOT_URLS),
]


def test_what_a_portal_is_refused_for(ada: Conn) -> None:
    good = {"environment": "test", "return_url": "https://shop.example/account"} | SUBJECT
    wrong = [
        (field, found, change)
        for field, change in PORTAL_BAD
        if (found := refused_field(ada, "stripe_customer_portal_sessions", good | change)) != field
    ]
    assert wrong == []


# The origins


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://shop.example", True),
        ("https://shop.example/any/path?and=query#and-fragment", True),
        ("https://SHOP.example/", True),
        ("https://shop.example:443/", True),
        ("https://shop.example:8443/", False),
        ("https://shop.example.evil.example/", False),
        ("https://evil.example/https://shop.example", False),
        ("https://evil.example?https://shop.example", False),
        ("https://evil.example#https://shop.example", False),
        ("https://xshop.example/", False),
        ("https://sub.shop.example/", False),
        ("https://shop.example./", False),
        ("http://localhost:3000/x", True),
        ("http://localhost/", False),
        ("http://127.0.0.1:3000", False),
        ("https://other.example:8443/", True),
        ("https://other.example/", False),
    ],
)
def test_the_allowed_origins(ada: Conn, url: str, allowed: bool) -> None:
    ada.execute("set local role payments_owner")
    ada.execute("""select payments.allow_origins(array['https://shop.example', 'http://localhost:3000',
                                                       'https://Other.example:8443', 'https://shop.example:443'])""")
    ada.execute("set local role shopper")
    good = GOOD | {"success_url": "https://shop.example", "cancel_url": "https://shop.example"}
    for field in ("success_url", "cancel_url"):
        assert refused_field(ada, "stripe_checkout_sessions", good | {field: url}) == (None if allowed else field)
    portal = SUBJECT | {"environment": "test", "return_url": url}
    if not allowed:
        assert refused_field(ada, "stripe_customer_portal_sessions", portal) == "return_url"


def test_without_origins_every_one_is_allowed_again(scratch_conn: Conn) -> None:
    scratch_conn.execute("set local payments.guest_secret = 'a guest that has 128 bits'")
    scratch_conn.execute("select payments.allow_origins(array['https://other.example'])")
    assert refused_field(scratch_conn, "stripe_checkout_sessions", GOOD) == "success_url"
    scratch_conn.execute("select payments.allow_origins(null)")
    assert refused_field(scratch_conn, "stripe_checkout_sessions", GOOD) is None


@pytest.mark.parametrize(
    "origins",
    [[], [None], [""], ["*"], ["https://*.shop.example"], ["https://shop.example/"], ["http://shop.example"],
     ["shop.example"], ["https://a.example https://b.example"], ["https://shop.example", "null"]],
)  # fmt: skip
def test_what_is_no_origin(scratch_conn: Conn, origins: list[str | None]) -> None:
    with pytest.raises(psycopg.Error) as refused:
        scratch_conn.execute("select payments.allow_origins(%s::text[])", [origins])
    assert (refused.value.sqlstate, refused.value.diag.message_detail) == ("PY001", "origins")


@pytest.mark.parametrize("role", ["payments_user", "payments_anon", "payments_service", "payments_admin"])
def test_only_the_owner_sets_origins(scratch_conn: Conn, role: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        scratch_conn.execute(f"set local role {role}; select payments.allow_origins(null)")
