"""`pg-payments dev --stand-in`: one command, and something is sold, offline."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.ports import answers, free_port
from tests.support.tools import command, start_command
from tests.support.waiting import wait_until


@pytest.mark.slow
@pytest.mark.newest("what the command starts; its own Postgres is the newest, and what it asks is tried on all")
@pytest.mark.parametrize("given", ["nothing", "a database"])
def test_something_is_sold_offline(tmp_path: Path, empty_database_url: str, given: str) -> None:
    port, output = free_port(), tmp_path / "output"
    database = ["--database-url", empty_database_url] if given == "a database" else []
    with output.open("w") as file:
        process = start_command("dev", "--stand-in", "--port", str(port), "--stripe-port", "0", *database, output=file)
        try:
            base = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{base}/health") or process.poll() is not None, "it serves")
            said = output.read_text()
            assert process.poll() is None, said
            once, monthly = re.findall(r"price_\w+", said)
            token = said.partition("good for 30 days: ")[2].split()[0]
            admin = said.partition("PAYMENTS_ADMIN_API_KEY=")[2].split()[0]
            stripe = said.partition("Stripe     ")[2].split()[0]
            for price, mode in ((once, "payment"), (monthly, "subscription")):
                wish = {"mode": mode, "lineItems": [{"priceId": price, "quantity": 1}],
                        "successUrl": f"{base}/health", "cancelUrl": f"{base}/health",
                        "subject": {"type": "user", "id": "ada"}}  # fmt: skip
                answer = httpx.post(f"{base}/api/payments/stripe/test/checkout-sessions", json=wish,
                                    headers={"Authorization": f"Bearer {token}"}, timeout=30)  # fmt: skip
                assert answer.status_code == 201, answer.text
                httpx.post(answer.json()["checkoutSession"]["url"], data={"do": "pay"})

            def sold() -> list[Any]:
                listed = httpx.get(f"{base}/api/payments/stripe/test/transactions", headers={"x-api-key": admin})
                return sorted((row["type"], row["status"], row["amount"]) for row in listed.json()["transactions"])

            payment, invoice = ("one_time_payment", "succeeded", 1900), ("subscription_invoice", "succeeded", 900)
            wait_until(lambda: sold() == [payment, invoice], "both are recorded")
            httpx.post(f"{stripe}/stand-in/clock", data={"days": "31"})
            wait_until(lambda: sold() == [payment, invoice, invoice], "the subscription is renewed")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, output.read_text()
    if given == "nothing":
        url = output.read_text().partition("Database   ")[2].split()[0]
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"STRIPE_LIVE_SECRET_KEY": "sk_live_hush"}, "dev does not run with a live key"),
        ({"STRIPE_TEST_SECRET_KEY": "sk_live_hush"}, "STRIPE_TEST_SECRET_KEY holds a live key"),
        ({"DATABASE_URL": "mysql://u:hush@h/d"}, "no address of Postgres"),
    ],
)
def test_it_refuses_what_is_not_for_development(variables: dict[str, str], reason: str) -> None:
    done = command("dev", "--stand-in", **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    assert "hush" not in done.stderr


def test_without_a_key_it_names_the_stand_in(database_url: str) -> None:
    done = command("dev", "--database-url", database_url)
    assert done.returncode == 1
    assert "use --stand-in" in done.stderr
