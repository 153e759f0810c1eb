"""Texts that want to be more than text: subjects, metadata, line items, URLs, addresses, environments."""

import json

import pytest

from tests.access.stage import GUEST, MALLORY, Attempt, Stage

ITEMS = '[{"price": "price_1"}]'
HERE = "https://a.example/"


def literal(value: str | None) -> str:
    """As an SQL literal, control characters and all."""
    if value is None:
        return "null"
    return "E'" + "".join(f"\\U{ord(c):08x}" if ord(c) < 32 or c in "'\\" else c for c in value) + "'"


def begin(**changes: str | None) -> str:
    arguments: dict[str, str | None] = {
        "environment": "test",
        "mode": "payment",
        "line_items": ITEMS,
        "success_url": HERE,
        "cancel_url": HERE,
    }
    return (
        "select payments.begin_checkout("
        + ", ".join(f"{name} => {literal(value)}" for name, value in (arguments | changes).items())
        + ")"
    )


ENVIRONMENTS = {
    "of another name": "prod",
    "in capitals": "TEST",
    "with a blank": "test ",
    "of none": "",
    "of null": None,
    "with a quote": "test'; drop table x; --",
    "with a wildcard": "%",
}
SUBJECT_TYPES = {
    "with a colon": "user:ada",
    "in capitals": "User",
    "of none": "",
    "with a quote": "user'--",
    "with a newline": "user\n",
    "with a blank": "user ",
    "beginning with a digit": "1user",
    "with other letters": "\u0443ser",
    "that is very long": "u" * 64,
}
SUBJECT_IDS = {
    "that is empty": "",
    "with a newline": "ada\n",
    "with a control character": "ada\u0001",
    "that is very long": "a" * 256,
}
OTHERS_IDS = {
    "with a quote": "ada' or '1'='1",
    "of another key": "ada:x",
    "with a comment": "ada--",
    "of an array": "{ada}",
    "with a wildcard": "%",
    "with a backslash": "ada\\",
    "with a dollar": "$1",
}
URLS = {
    "of a script": "javascript:alert(1)",
    "of data": "data:text/html,<script>alert(1)</script>",
    "of a file": "file:///etc/passwd",
    "without a scheme": "//evil.example/",
    "of a path": "/thanks",
    "over plain http": "http://shop.example/",
    "to a host like localhost": "http://localhost.evil.example/",
    "with localhost for a user": "http://localhost@evil.example/",
    "with a user": "https://shop.example@evil.example/",
    "with a user and password": "https://a:b@evil.example/",
    "with a backslash": "https://shop.example\\@evil.example/",
    "with one slash": "https:/evil.example",
    "with a newline": "https://shop.example/\nSet-Cookie: a=b",
    "ending in a newline": "https://shop.example/\n",
    "with a return": "https://shop.example/\r\nLocation: https://evil.example",
    "with a tab in the host": "https://shop\t.example/",
    "with a control character": "https://shop.example/\u0001",
    "with a blank": "https://shop.example/a b",
    "after a blank": " https://shop.example/",
    "without a host": "https:///x",
    "of an odd port": "https://shop.example:99999999/",
    "that is empty": "",
    "of null": None,
    "that is very long": "https://shop.example/" + "a" * 5000,
}
METADATA: dict[str, object] = {
    "naming a subject's type": {"payments_subject_type": "user"},
    "naming a subject": {"payments_subject_id": "ada"},
    "naming a checkout": {"payments_checkout_id": "00000000-0000-4000-8000-000000000ada"},
    "naming a mode": {"payments_checkout_mode": "payment"},
    "naming a subject in capitals": {"PAYMENTS_SUBJECT_ID": "ada"},
    "naming a subject in the other way": {"insforge_subject_id": "ada"},
    "with an empty key": {"": "x"},
    "with brackets in a key": {"a[b]": "x"},
    "with a newline in a key": {"a\nb": "x"},
    "with a long key": {"k" * 41: "x"},
    "with a long value": {"k": "x" * 501},
    "with a number": {"k": 1},
    "with null": {"k": None},
    "with an object": {"k": {"payments_subject_id": "ada"}},
    "with an array": {"k": ["ada"]},
    "with too many keys": {f"k{n}": "x" for n in range(47)},
    "that is an array": [],
    "that is a string": "x",
}
LINE_ITEMS: dict[str, object] = {
    "with a price of its own": [
        {"price_data": {"currency": "eur", "unit_amount": 1, "product": "prod_1"}, "quantity": 1}
    ],
    "with a price and data": [{"price": "price_1", "price_data": {"unit_amount": 1}}],
    "with a tax rate": [{"price": "price_1", "tax_rates": []}],
    "with an adjustable quantity": [{"price": "price_1", "adjustable_quantity": {"enabled": True}}],
    "with an amount": [{"amount": 1, "currency": "eur", "name": "x", "quantity": 1}],
    "with no price": [{"quantity": 1}],
    "with an empty price": [{"price": ""}],
    "with a number for a price": [{"price": 1}],
    "with a price with a blank": [{"price": "price_1 price_2"}],
    "of quantity zero": [{"price": "price_1", "quantity": 0}],
    "of less than nothing": [{"price": "price_1", "quantity": -1}],
    "of half a thing": [{"price": "price_1", "quantity": 0.5}],
    "of a text of things": [{"price": "price_1", "quantity": "1"}],
    "of very many things": [{"price": "price_1", "quantity": 10**15}],
    "of nothing": [],
    "of too many": [{"price": "price_1"}] * 101,
    "that are an object": {"price": "price_1"},
    "that are a string": "price_1",
    "that hold null": [None],
    "that hold arrays": [[{"price": "price_1"}]],
}
EMAILS = {
    "of no address": "ada",
    "with a newline": "ada@shop.example\nBcc: all@shop.example",
    "with a blank": "a da@shop.example",
    "of two addresses": "a@b.example,c@d.example@e.example",
    "that is empty": "",
    "that is very long": "a" * 512 + "@shop.example",
}

ATTEMPTS = [
    *(
        Attempt(f"names an environment {what}", MALLORY, begin(environment=value), "PY001")
        for what, value in ENVIRONMENTS.items()
    ),
    *(
        Attempt(f"bills a subject of a type {what}", MALLORY, begin(subject_type=value, subject_id="ada"), "PY001")
        for what, value in SUBJECT_TYPES.items()
    ),
    *(
        Attempt(f"bills a subject {what}", MALLORY, begin(subject_type="user", subject_id=value), "PY001")
        for what, value in SUBJECT_IDS.items()
    ),
    *(
        Attempt(f"bills a subject {what}", MALLORY, begin(subject_type="user", subject_id=value), "42501")
        for what, value in OTHERS_IDS.items()
    ),
    *(
        Attempt(
            f"opens a portal for a subject {what}",
            MALLORY,
            f"select payments.begin_portal_session('test', 'user', {literal(value)})",
            "42501",
        )
        for what, value in OTHERS_IDS.items()
    ),
    *(
        Attempt(
            f"opens a portal for a type {what}",
            MALLORY,
            f"select payments.begin_portal_session('test', {literal(value)}, 'mallory')",
            ("PY001", "42501"),
        )
        for what, value in SUBJECT_TYPES.items()
    ),
    *(Attempt(f"returns to a URL {what}", MALLORY, begin(success_url=value), "PY001") for what, value in URLS.items()),
    *(Attempt(f"cancels to a URL {what}", GUEST, begin(cancel_url=value), "PY001") for what, value in URLS.items()),
    *(
        Attempt(
            f"returns from the portal to a URL {what}",
            MALLORY,
            f"select payments.begin_portal_session('test', 'user', 'mallory', {literal(value)})",
            "PY001",
        )
        for what, value in URLS.items()
        if value is not None
    ),
    *(
        Attempt(f"sends metadata {what}", MALLORY, begin(metadata=json.dumps(value)), "PY001")
        for what, value in METADATA.items()
    ),
    *(
        Attempt(f"sends line items {what}", GUEST, begin(line_items=json.dumps(value)), "PY001")
        for what, value in LINE_ITEMS.items()
    ),
    *(
        Attempt(f"gives an e-mail {what}", MALLORY, begin(customer_email=value), "PY001")
        for what, value in EMAILS.items()
    ),
    Attempt("sends no line items", MALLORY, begin(line_items=None), "PY001"),
    Attempt(
        "sends a price twice, the second its own",
        MALLORY,
        begin(line_items='[{"price": "price_1", "price": {"unit_amount": 1}}]'),
        "PY001",
    ),
    Attempt(
        "sends a reserved key twice",
        MALLORY,
        begin(metadata='{"payments_subject_id": "mallory", "payments_subject_id": "ada"}'),
        "PY001",
    ),
    Attempt(
        "sends a reserved key in escapes", MALLORY, begin(metadata=r'{"\u0070ayments_subject_id": "ada"}'), "PY001"
    ),
    Attempt(
        "sends the settings' own prefix",
        MALLORY,
        begin(metadata='{"acme_subject_type": "user", "acme_subject_id": "ada"}'),
        "PY001",
        meanwhile="insert into payments_private.settings values ('metadata_prefix', 'acme_')",
    ),
    Attempt(
        "leads to an origin that is not allowed",
        MALLORY,
        begin(success_url="https://evil.example/"),
        "PY001",
        meanwhile="select payments.allow_origins(array['https://shop.example'])",
    ),
    Attempt(
        "leads to an origin that begins like an allowed one",
        MALLORY,
        begin(success_url="https://shop.example.evil.example/", cancel_url="https://shop.example/"),
        "PY001",
        meanwhile="select payments.allow_origins(array['https://shop.example'])",
    ),
    Attempt(
        "leads to another port of an allowed origin",
        MALLORY,
        begin(success_url="https://shop.example:8443/", cancel_url="https://shop.example/"),
        "PY001",
        meanwhile="select payments.allow_origins(array['https://shop.example'])",
    ),
    Attempt(
        "cancels to an origin that is not allowed",
        GUEST,
        begin(success_url="https://shop.example/", cancel_url="https://evil.example/"),
        "PY001",
        meanwhile="select payments.allow_origins(array['https://shop.example'])",
    ),
    Attempt(
        "asks the portal back to an origin that is not allowed",
        MALLORY,
        "select payments.begin_portal_session('test', 'user', 'mallory', 'https://evil.example/')",
        "PY001",
        meanwhile="select payments.allow_origins(array['https://shop.example'])",
    ),
    Attempt(
        "names a portal configuration with a blank",
        MALLORY,
        "select payments.begin_portal_session('test', 'user', 'mallory', configuration_id => 'bpc_1 x')",
        "PY001",
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
