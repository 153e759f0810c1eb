"""Runs a page's blocks as a reader would: one shell, one database, one Python, from the top to the bottom."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from pydantic import SecretStr

from pg_payments.cli.dev import make_roles
from pg_payments.demo.serving import address_of, loopback_socket, served
from pg_payments.http.application import create_app
from pg_payments.schema.migrate import migrate
from pg_payments.testing.local_postgres import LocalServer, temporary_server
from pg_payments.testing.offline_stripe import OfflineStripe, offline_stripe
from tests.docs.blocks import ROOT, Block, Page, page_of
from tests.support import site
from tests.support.ports import answers, free_port
from tests.support.waiting import wait_until

TUTORIAL = "docs/tutorial.md"
DATABASE = "shop"
DEPLOYER = "deployer"
"""Who follows the pages: no superuser, but one who may make roles and databases."""
SECONDS = 120
SETTINGS = {
    "STRIPE_TEST_SECRET_KEY": "sk_test_stand_in",
    "STRIPE_TEST_WEBHOOK_SECRET": site.TEST_SECRET,
    "PAYMENTS_JWT_SECRET": site.JWT_SECRET,
    "PAYMENTS_ADMIN_API_KEY": site.ADMIN_KEY,
    "PAYMENTS_MASTER_KEY": "5BpSOGuGW0mKuzAPCLjYYBJLYmrZqQ7R0c0Pm5w5Bhk=",
}
PROGRAMS = {
    # where a command serves is chosen, since others serve on this machine
    "pg-payments": """\
case "$1" in
  serve) set -- "$@" --port "$SITE_PORT";;
  dev) set -- "$@" --port "$SITE_PORT" --stripe-port "$STRIPE_PORT";;
esac
exec {python} -m pg_payments "$@"
""",
    # what a page installs is here already; that the extra exists is looked at
    "pip": """\
for word; do case "$word" in *[*])
  extra="${{word##*[}}"; extra="${{extra%%]*}}"
  grep -q "^$extra = " {root}/pyproject.toml || {{ echo "no extra $extra" >&2; exit 1; }};; esac; done
""",
}


@contextmanager
def cluster() -> Iterator[LocalServer]:
    """A Postgres of the pages' own: they make roles. `shop_example` is the tutorial's database, to copy others from."""
    with temporary_server() as server:
        with psycopg.connect(server.url(), autocommit=True) as conn:
            conn.execute(f"create role {DEPLOYER} login createrole createdb".encode())
            conn.execute(f"create database shop_example owner {DEPLOYER}".encode())
        migrate(server.url("shop_example", DEPLOYER))
        make_roles(server.url("shop_example", DEPLOYER))
        with psycopg.connect(server.url("shop_example", DEPLOYER), autocommit=True) as conn:
            for block in page_of(TUTORIAL).blocks:
                if block.language == "sql" and "create" in block.text:
                    conn.execute(block.text.encode())
        yield server


class Reader:
    """Somebody who follows one page."""

    def __init__(self, page: Page, server: LocalServer, directory: Path, stripe: OfflineStripe) -> None:
        self._page, self._server, self._directory, self._stripe = page, server, directory, stripe
        self._url = server.url(DATABASE, DEPLOYER)
        self._ports = {"8000": free_port(), "12111": free_port()}
        self._names: dict[str, Any] = {"__name__": "page"}
        self._background: list[subprocess.Popen[bytes]] = []
        sells = any("_coffee" in block.text for block in page.blocks)
        self._price = stripe.sell("Coffee", 1900) if sells else {"id": "", "product": ""}
        self._state = directory / ".state"
        self._log = directory / ".output"
        self._state.touch()
        binaries = directory / ".bin"
        binaries.mkdir()
        for name, text in PROGRAMS.items():
            script = f"#!/bin/sh\n{text.format(python=sys.executable, root=ROOT)}"
            (binaries / name).write_text(script)
            (binaries / name).chmod(0o755)
        self.environment = (
            {name: value for name, value in os.environ.items() if not name.startswith(("PAYMENTS_", "STRIPE_", "PG"))}
            | {
                "PATH": f"{binaries}:{server.bin_dir}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "HOME": str(directory),
                "COLUMNS": "120",
                "PGHOST": str(server.directory),
                "PGPORT": server.url().partition("port=")[2].partition("&")[0],
                "PGUSER": DEPLOYER,
                "SITE_PORT": str(self._ports["8000"]),
                "STRIPE_PORT": str(self._ports["12111"]),
                "PAYMENTS_DATABASE_URL": self._url,
                "STRIPE_API_BASE": stripe.base_url,
            }
            | SETTINGS
        )

    def follow(self) -> int:
        """Runs what is to be run; returns how many blocks that were."""
        with ExitStack() as stack:
            stack.callback(self._stop)
            if "serving" in self._page.traits:
                stack.enter_context(self._serving())
            run = [block for block in self._page.blocks if block.is_run]
            for block in run:
                if before := block.marks.get("before"):
                    self._sql(before)
                if "in the background" in block.marks:
                    self._begin(block)
                elif block.language == "sh":
                    self._sh(self._here(block.text), int(block.marks.get("exits with", "0")))
                else:
                    getattr(self, f"_{block.language}")(self._here(block.text))
                if then := block.marks.get("then"):
                    wait_until(lambda: self._says(then), f"{block.where}: {then}")
            return len(run)

    @contextmanager
    def _serving(self) -> Iterator[None]:
        login = site.admin_shop_url(_Cluster(self._server), DATABASE)  # type: ignore[arg-type]
        secrets = {name: SecretStr(SETTINGS[f"PAYMENTS_{name.upper()}"]) for name in ("admin_api_key", "master_key")}
        settings = site.site_settings(login, self._stripe.base_url, dashboard="on", **secrets)
        with (
            loopback_socket(self._ports["8000"]) as bound,
            served(create_app(settings), bound),
            self._stripe.delivering(f"{address_of(bound)}/api/webhooks/stripe/test", site.TEST_SECRET),
        ):
            yield

    def _here(self, text: str) -> str:
        """With this machine's places in the places of the page's."""
        for port, ours in self._ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ours}").replace(
                f"localhost:{port}", f"localhost:{ours}"
            )
        places = {
            "postgresql://deployer@db.example/app": self._url,
            "<the user's token>": site.token("ada"),
            "<the administrators' key>": site.ADMIN_KEY,
            "price_coffee": self._price["id"],
            "prod_coffee": self._price["product"],
        }
        for there, here in places.items():
            text = text.replace(there, here)
        return text

    def _sql(self, text: str) -> None:
        """With psql, statement by statement; a transaction that is left open, or a warning, is a fault of the page."""
        done = subprocess.run(
            [self._server.bin_dir / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", self._url_now()],
            input=f"{text}\n;\nselect 'ended as it began: ' || (now() = statement_timestamp());\n",
            env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        assert "WARNING" not in done.stderr, f"{text}\n{done.stderr}"
        assert "ended as it began: true" in done.stdout, f"a transaction is left open: {text}"

    def _says(self, query: str) -> bool:
        with psycopg.connect(self._url_now(), autocommit=True) as conn:
            return conn.execute(self._here(query).encode()).fetchone() == (True,)

    def _url_now(self) -> str:
        """The database that the reader's shell has come to use."""
        told = [line for line in self._state.read_text().splitlines() if " PAYMENTS_DATABASE_URL=" in line]
        if not told:
            return self._url
        url = shlex.split(told[-1])[-1].partition("=")[2]
        return url if "host=" in url else self._server.url(url.rpartition("/")[2], DEPLOYER)

    def _environment_now(self) -> dict[str, str]:
        """What the reader's shell has come to have: what a block took away does not come back with the next."""
        begun = self._state.stat().st_size > 0
        return {"PATH": self.environment["PATH"]} if begun else self.environment

    def _sh(self, text: str, status: int) -> None:
        script = f"set -a; . {self._state}\ntrap 'export -p > {self._state}' EXIT\n{text}"
        done = subprocess.run(
            ["bash", "-uo" if status else "-euo", "pipefail", "-c", script],
            env=self._environment_now(), cwd=self._directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == status, f"{text}\n{done.stdout}\n{done.stderr}\n{self._said_in_background()}"

    def _begin(self, block: Block) -> None:
        address = self._here(block.marks["in the background"])
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", f". {self._state}\n{self._here(block.text)}"],
                env=self._environment_now(), cwd=self._directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self._background.append(process)
        wait_until(lambda: answers(address) or process.poll() is not None, f"{block.where} serves")
        assert process.poll() is None, self._said_in_background()

    def _said_in_background(self) -> str:
        files = [self._log, *self._directory.glob("*.log")]
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())

    def _stop(self) -> None:
        for process in reversed(self._background):
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _python(self, text: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            exec(compile(text, self._page.path, "exec", dont_inherit=True), self._names)

    def _http(self, text: str) -> None:
        head, _, body = text.strip().partition("\n\n")
        request, *headers = head.splitlines()
        method, path = request.split(" ", 1)
        answer = httpx.request(
            method, f"http://127.0.0.1:{self._ports['8000']}{path}", timeout=30, content=body.encode(),
            headers=dict(header.split(": ", 1) for header in headers),
        )  # fmt: skip
        assert answer.is_success, answer.text

    def _json(self, text: str) -> None:
        json.loads(text)

    def _toml(self, text: str) -> None:
        tomllib.loads(text)

    def _yaml(self, text: str) -> None:
        assert list(yaml.safe_load_all(text))

    def _ini(self, text: str) -> None:
        configparser.ConfigParser(strict=False).read_string(text)


class _Cluster:
    """As much of `tests.support.servers.Server` as it takes to make logins."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    def login(self, role: str, *member_of: str) -> str:
        with psycopg.connect(self._server.url(), autocommit=True) as conn:
            conn.execute(f"create role {role} login".encode())
            for group in member_of:
                conn.execute(f"grant {group} to {role}".encode())
        return role

    def url(self, database: str, user: str) -> str:
        return self._server.url(database, user)


def follow(page: Page, server: LocalServer, directory: Path) -> int:
    """Follows a page in a database of its own; its roles are gone afterwards. Returns how many blocks were run."""
    template = "template1" if "empty database" in page.traits else "shop_example"
    with psycopg.connect(server.url(), autocommit=True) as conn, offline_stripe() as stripe:
        before = _roles(conn)
        try:
            if "no database" not in page.traits:
                conn.execute(f"create database {DATABASE} template {template} owner {DEPLOYER}".encode())
                _give(page, server)
            return Reader(page, server, directory, stripe).follow()
        finally:
            for name in _databases(conn):
                conn.execute(f'drop database if exists "{name}" with (force)'.encode())
            for role in _roles(conn) - before:
                conn.execute(f'drop role "{role}"'.encode())


def _give(page: Page, server: LocalServer) -> None:
    """What a page says to be there: `tests/docs/given/…`."""
    with psycopg.connect(server.url(DATABASE, DEPLOYER), autocommit=True) as conn:
        for trait in page.traits:
            if trait.startswith("given "):
                conn.execute((ROOT / f"tests/docs/given/{trait.removeprefix('given ')}.sql").read_bytes())


def _roles(conn: psycopg.Connection[Any]) -> set[str]:
    return {row[0] for row in conn.execute("select rolname from pg_catalog.pg_roles")}


def _databases(conn: psycopg.Connection[Any]) -> list[str]:
    known = ["postgres", "template0", "template1", "shop_example"]
    rows = conn.execute("select datname from pg_catalog.pg_database where datname <> all(%s)", [known])
    return [row[0] for row in rows]
