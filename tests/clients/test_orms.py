"""The snippets of docs/how-to/orms.md work as they are written, as a caller with nothing but its own rights."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pg_payments.caller import Caller
from pg_payments.checkout import start_checkout
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.stripe.client import StripeApi
from tests.support.fetching import made_once
from tests.support.required import lacking
from tests.support.servers import Server
from tests.support.site import ADA, BOB, bring_application, shop_url
from tests.support.stripe_account import StripeAccount
from tests.support.tools import ROOT

Conn = psycopg.Connection[dict[str, Any]]
CLAIMS = json.dumps({"sub": ADA, "role": "authenticated"})
NODE = ROOT / "tests/clients/node"
INSTALL_SECONDS = 180


def snippet(heading: str) -> str:
    text = (ROOT / "docs/how-to/orms.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {heading}$.*?^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def defined_by(heading: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": f"snippet_{heading.lower()}"}
    exec(compile(snippet(heading), f"orms.md: {heading}", "exec", dont_inherit=True), names)
    return names


@pytest.fixture
def url(server: Server, conn: Conn) -> str:
    bring_application(conn)
    return shop_url(server, conn.info.dbname)


def begun(conn: Conn) -> list[dict[str, Any]]:
    return conn.execute("select * from payments.stripe_checkout_sessions").fetchall()


def assert_is_adas(row: dict[str, Any]) -> None:
    assert (row["subject_key"], row["owner_key"], row["status"]) == (f"user:{ADA}", f"user:{ADA}", "initialized")
    assert (row["line_items"], len(row["request_hash"])) == ([{"price": "price_1", "quantity": 1}], 64)


def test_sqlalchemy(url: str, conn: Conn) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    from sqlalchemy.orm import Session

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    names = defined_by("SQLAlchemy")
    with Session(engine) as session:
        made = names["begin_checkout"](session, ADA, CLAIMS, "price_1")
        assert (made.status, made.url, made.subject_key) == ("initialized", None, f"user:{ADA}")
        session.commit()
    (row,) = begun(conn)
    assert_is_adas(row)
    with Session(engine) as session, pytest.raises(sqlalchemy.exc.ProgrammingError) as refused:
        names["begin_checkout"](session, BOB, CLAIMS, "price_1")
    assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
    engine.dispose()


@pytest.mark.slow
def test_alembic_leaves_our_schemas_alone(url: str) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    autogenerate = pytest.importorskip("alembic.autogenerate", reason="Alembic is not installed")
    from alembic.migration import MigrationContext

    include_name = defined_by("Alembic")["include_name"]
    metadata = sqlalchemy.MetaData()
    sqlalchemy.Table("wishes", metadata, sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True))
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    with engine.connect() as connection:

        def planned(**options: Any) -> set[tuple[str, str]]:
            context = MigrationContext.configure(connection, opts={"include_schemas": True, **options})
            steps = [step for step in autogenerate.compare_metadata(context, metadata) if isinstance(step, tuple)]
            return {(step[0], step[1].schema or "public") for step in steps if step[0].endswith("_table")}

        assert planned(include_name=include_name) == {("add_table", "public"), ("remove_table", "public")}
        assert ("remove_table", "payments") in planned()
    engine.dispose()


@pytest.fixture
def django(url: str) -> Iterator[Any]:
    """Django with one database and nothing else."""
    pytest.importorskip("django", reason="Django is not installed")
    from django import setup  # type: ignore[import-untyped]
    from django.conf import settings  # type: ignore[import-untyped]
    from django.db import connections  # type: ignore[import-untyped]

    parts = conninfo_to_dict(url)
    database = {
        "ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"], "USER": parts["user"],
        "PASSWORD": parts.get("password") or "", "HOST": parts.get("host") or "", "PORT": str(parts.get("port") or ""),
    }  # fmt: skip
    if not settings.configured:
        settings.configure(DATABASES={"default": database}, USE_TZ=True)
        setup()
    connections.settings = connections.configure_settings({"default": database})
    if hasattr(connections._connections, "default"):
        del connections["default"]
    yield connections
    connections["default"].close()


def test_django(django: Any, conn: Conn) -> None:
    from django.db.utils import ProgrammingError  # type: ignore[import-untyped]

    names = defined_by("Django")
    made = names["begin_checkout"](ADA, CLAIMS, "price_1")
    (row,) = begun(conn)
    assert_is_adas(row)
    assert made == {"id": row["id"], "status": "initialized", "url": None}
    with pytest.raises(ProgrammingError):
        names["begin_checkout"](BOB, CLAIMS, "price_1")


def test_djangos_connection_is_a_pool(django: Any, conn: Conn) -> None:
    pool = defined_by("Django")["DjangoPool"]()
    with loopback_socket() as bound:
        account = StripeAccount(address_of(bound))
        with served(account.app, bound):
            product = account.create_product({"name": "Coffee"})
            price = account.create_price({"product": product["id"], "unit_amount": 900, "currency": "eur"})["id"]
            row = start_checkout(
                pool, StripeApi("sk_test_of_the_shop", account.base_url), Caller("authenticated", CLAIMS, guest=False),
                environment="test", mode="payment", line_items=[{"price": price, "quantity": 1}],
                success_url="https://shop.example/thanks", cancel_url="https://shop.example/cart",
                subject_type="user", subject_id=ADA, metadata={"order_id": "7"}, idempotency_key="order:7",
            )  # fmt: skip
    assert (row["status"], row["metadata"], row["line_items"][0]["price"]) == ("open", {"order_id": "7"}, price)
    assert row["url"].startswith(account.base_url)
    with django["default"].cursor() as cursor:  # it is Django's again: its role, and jsonb as Django reads it
        cursor.execute("select current_user = session_user, '{}'::jsonb")
        assert cursor.fetchone() == (True, "{}")


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which Drizzle and Kysely are installed."""
    if shutil.which("npm") is None:
        lacking("node", "npm is not installed")
    return made_once(tmp_path_factory, "orms", install_orms)


def install_orms(home: Path) -> None:
    shutil.copytree(NODE, home, dirs_exist_ok=True)
    installed = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund"], cwd=home, timeout=INSTALL_SECONDS, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if installed.returncode:
        lacking("node", f"npm install failed: {installed.stderr[-300:]}")


def javascript(url: str) -> str:
    """What node-postgres takes for a libpq URI: a socket as its host."""
    parts = conninfo_to_dict(url)
    host = quote(str(parts.get("host") or "localhost"), safe="")
    login = f"{parts['user']}:{quote(str(parts.get('password') or ''), safe='')}"
    return f"postgresql://{login}@{host}:{parts.get('port') or 5432}/{parts['dbname']}"


@pytest.mark.slow
@pytest.mark.newest("both make the calls that SQLAlchemy and Django make on all")
@pytest.mark.parametrize("heading", ["Kysely", "Drizzle"])
def test_an_orm_of_javascript(node: Path, url: str, conn: Conn, heading: str) -> None:
    frame = (NODE / f"{heading.lower()}.ts").read_text(encoding="utf-8")
    program = node / f"{heading}_{os.getpid()}.ts"  # another process may be at it on another version
    program.write_text(frame.replace("/* the snippet */", snippet(heading)), encoding="utf-8")

    def run(user: str) -> subprocess.CompletedProcess[str]:
        asked = json.dumps({"url": javascript(url), "user": user, "price": "price_1", "claims": CLAIMS})
        return subprocess.run(
            ["npx", "tsx", program.name],
            cwd=node,
            input=asked,
            timeout=120,
            capture_output=True,
            text=True,
            check=False,
        )

    done = run(ADA)
    assert done.returncode == 0, done.stderr
    (row,) = begun(conn)
    assert_is_adas(row)
    assert json.loads(done.stdout) == {"id": str(row["id"])}
    refused = run(BOB)
    assert refused.returncode != 0
    assert "42501" in refused.stderr
