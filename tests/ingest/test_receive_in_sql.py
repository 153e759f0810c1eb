"""Deliveries verified in SQL: what Stripe's own verifier says of them, and nothing else, as PostgREST would call it."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from typing import Any

import psycopg
import pytest
import stripe

Conn = psycopg.Connection[dict[str, Any]]
SECRET = "whsec_of_the_endpoint_for_tests_0001"
OTHER = "whsec_of_another_endpoint_for_tests"


def signature(body: str, secret: str = SECRET, at: int | None = None, scheme: str = "v1") -> str:
    at = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},{scheme}={digest}"


def event(event_id: str = "evt_1", livemode: bool = False, **fields: Any) -> str:
    made = {
        "id": event_id, "object": "event", "type": "customer.created", "livemode": livemode,
        "created": int(time.time()),
        "data": {"object": {"id": "cus_1", "object": "customer", "name": "Ada", "livemode": livemode}},
    }  # fmt: skip
    return json.dumps(made | fields, indent=2)


def secrets(conn: Conn, **names: str) -> None:
    for environment, secret in names.items():
        conn.execute("select payments.set_signing_secret(%s, %s)", (environment, secret))


def post(conn: Conn, body: str, header: str | None) -> tuple[dict[str, Any], str | None]:
    """As PostgREST calls: anonymously, in a transaction, the body for the only parameter, then asks for the status."""
    with conn.transaction():
        headers = json.dumps({"user-agent": "Stripe/1.0"} | ({} if header is None else {"stripe-signature": header}))
        conn.execute(
            "select set_config('request.headers', %s, true), set_config('response.status', '', true)", (headers,)
        )
        conn.execute("set local role payments_anon")
        row = conn.execute("select payments.receive_stripe_webhook(%s::json) as answer", (body,)).fetchone()
        assert row is not None
        status = conn.execute("select nullif(current_setting('response.status', true), '') as status").fetchone()
        return row["answer"], status["status"] if status else None


def refused(conn: Conn, body: str, header: str | None) -> str | None:
    with pytest.raises(psycopg.Error) as error:
        post(conn, body, header)
    return error.value.sqlstate


def test_a_delivery_is_applied_as_any_other(conn: Conn) -> None:
    secrets(conn, test=SECRET)
    body = event()
    assert post(conn, body, signature(body)) == ({"received": True, "status": "processed", "duplicate": False}, None)
    assert post(conn, body, signature(body))[0]["duplicate"] is True
    assert conn.execute("select name, environment from payments.customers").fetchall() == [
        {"name": "Ada", "environment": "test"}
    ]


def test_its_environment_is_that_of_the_secret(conn: Conn) -> None:
    secrets(conn, test=SECRET, live=OTHER)
    body = event(livemode=True)
    assert refused(conn, body, signature(body)) == "PY008"
    assert post(conn, body, signature(body, OTHER))[0]["status"] == "processed"
    rows = conn.execute("select environment from payments.webhook_events").fetchall()
    assert rows == [{"environment": "live"}]


def test_several_secrets_count_until_they_are_forgotten(conn: Conn) -> None:
    secrets(conn, test=SECRET)
    conn.execute("select payments.set_signing_secret('test', %s, 'next')", (OTHER,))
    for number, secret in enumerate((SECRET, OTHER)):
        body = event(f"evt_{number}")
        assert post(conn, body, signature(body, secret))[0]["status"] == "processed"
    conn.execute("select payments.forget_signing_secret('test')")
    body = event("evt_3")
    assert refused(conn, body, signature(body)) == "PY015"
    assert post(conn, body, f"{signature(body, OTHER)},v0=abc,v1={'0' * 64}")[0]["status"] == "processed"


def test_what_is_not_signed_recently_by_a_secret_is_refused(conn: Conn) -> None:
    body = event()
    assert refused(conn, body, signature(body)) == "PY015"  # there is no secret
    secrets(conn, test=SECRET)
    now = int(time.time())
    for header in (
        None, "", "t=", "v1=abc", f"t={now}", f"t={now},v1=", f"t=-1,v1={'0' * 64}", "t=99999999999999999999,v1=00",
        signature(body, OTHER), signature(body, at=now - 400), signature(body, scheme="v0"), signature(body + " "),
        signature(body).replace("t=", "t =", 1), signature(body).upper(),
    ):  # fmt: skip
        assert refused(conn, body, header) == "PY015", header
    assert conn.execute("select from payments.webhook_events").fetchall() == []


def test_what_fails_is_kept_and_stripe_comes_again(conn: Conn) -> None:
    secrets(conn, test=SECRET)
    conn.execute(
        "create function public.boom() returns trigger language plpgsql as $$ begin raise 'out of stock'; end $$;"
        "create trigger boom before update on payments.webhook_events for each row "
        "when (new.processing_status = 'processed') execute function public.boom()"
    )
    body = event()
    answer, status = post(conn, body, signature(body))
    assert (answer["status"], status) == ("failed", "500")
    assert len(conn.execute("select from payments.webhook_events where processing_status = 'failed'").fetchall()) == 1


def test_a_signed_body_that_is_no_event_is_refused(conn: Conn) -> None:
    secrets(conn, test=SECRET)
    for body in ("[]", "{}", '"x"', "1"):
        assert refused(conn, body, signature(body)) == "PY007"


@pytest.mark.parametrize(
    "secret", ["", "whsec_short", "sk_test_0123456789012345678901234", "whsec_with a space in it 0000"]
)
def test_only_signing_secrets_are_taken(conn: Conn, secret: str) -> None:
    with pytest.raises(psycopg.Error) as error:
        secrets(conn, test=secret)
    assert error.value.sqlstate == "PY001"


BODIES = 2000


def test_it_agrees_with_stripes_own_verifier(conn: Conn) -> None:
    chance = random.Random(20)
    keys = [SECRET, OTHER, "whsec_" + "long" * 40, "whsec_" + "x" * 58, "whsec_" + "x" * 59]  # 64 and 65 bytes, too
    conn.execute("truncate payments_private.signing_secrets")
    conn.execute("select payments.set_signing_secret('test', %s)", (keys[0],))
    for number, key in enumerate(keys[2:]):
        conn.execute("select payments.set_signing_secret('test', %s, %s)", (key, f"key {number}"))
    known = [key for key in keys if key != OTHER]
    now = int(time.time())
    told = []
    for number in range(BODIES):
        text = "".join(chance.choice('abc {}"\\\n\täß€𝄞漢\x7f0') for _ in range(chance.randrange(200)))
        body = json.dumps({"id": f"evt_{number}", "text": text}, ensure_ascii=chance.random() < 0.5)
        header = signature(body, chance.choice(keys), now - chance.choice([0, 10, 250, 350, 1000]))
        match chance.randrange(8):
            case 0:
                body += chance.choice([" ", "\n"])
            case 1:
                header = header[:-1] + chance.choice("0123456789abcdef")
            case 2:
                header = "v1=00," + header
            case 3:
                header = header.replace("v1", "v0")
            case 4:
                header += ",v1=" + "0" * 64
        told.append((body, header))  # fmt: skip

    def verifies(body: str, header: str) -> bool:
        def by(key: str) -> bool:
            try:
                return bool(stripe.WebhookSignature.verify_header(body, header, key, 300))
            except stripe.SignatureVerificationError:
                return False

        return any(by(key) for key in known)

    conn.execute(
        """create function pg_temp.verifies(body text, header text) returns boolean language plpgsql as $$
           begin return payments_private.environment_of_signature(body, header) = 'test';
           exception when sqlstate 'PY015' then return false; end $$"""
    )
    expected = [verifies(*each) for each in told]
    rows = conn.execute(
        "select pg_temp.verifies(b, h) as ok "
        "from unnest(%s::text[], %s::text[]) with ordinality u (b, h, n) order by n",
        ([body for body, _ in told], [header for _, header in told]),
    ).fetchall()
    assert 400 < sum(expected) < BODIES - 400
    assert [row["ok"] for row in rows] == expected
