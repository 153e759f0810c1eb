"""The compose files, without Docker: the same commands with the same environment, as processes, sell something."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from pg_payments.testing.local_postgres import LocalServer, temporary_server
from tests.support.ports import answers, free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "docs/examples/shop"
SECRETS = {
    "STRIPE_TEST_WEBHOOK_SECRET": "whsec_of_this_test_only_1234",
    "PAYMENTS_JWT_SECRET": "a secret of this test only, long enough",
}
HERE = "/var/run/postgresql"


def services() -> dict[str, Any]:
    """Both files as Docker merges them: of a service that is in both, the environments are one."""
    base, shop = (yaml.safe_load((where / "docker-compose.yml").read_text()) for where in (ROOT, SHOP))
    merged: dict[str, Any] = base["services"]
    for name, service in shop["services"].items():
        before = merged.get(name, {})
        merged[name] = (
            before | service | {"environment": before.get("environment", {}) | service.get("environment", {})}
        )
    return merged


def filled(text: str) -> str:
    """With variables put in as Docker does; raises for one that has to be set."""

    def value(found: re.Match[str]) -> str:
        name, kind, other = found.groups()
        if name not in SECRETS and kind == ":?":
            raise AssertionError(f"{name} has to be set: {other}")
        return SECRETS.get(name) or (other if kind == ":-" else "")

    return re.sub(r"\$\{(\w+)(:[-?])?([^}]*)\}", value, text)


class Machine:
    """Runs services as processes of this machine: other ports, another directory for the socket."""

    def __init__(self, server: LocalServer) -> None:
        self._socket = str(server.directory)
        self.ports = {"serve:8000": free_port(), "stripe:12111": free_port()}
        self._services = services()

    def here(self, text: str) -> str:
        text = filled(text).replace(HERE, self._socket).replace("/examples/", f"{ROOT}/docs/examples/")
        for name, port in self.ports.items():
            text = text.replace(name, f"127.0.0.1:{port}")
        return text

    def command(self, name: str) -> list[str]:
        service = self._services[name]
        words = [self.here(word) for word in service["command"]]
        programs = {"pg-payments": [sys.executable, "-m", "pg_payments"], "python": [sys.executable]}
        words = programs[words[0]] + words[1:]
        if name == "serve":
            words += ["--port", str(self.ports["serve:8000"])]
        words = [word for word in words if not word.startswith("--base-url")]
        return [word.replace("--port=12111", f"--port={self.ports['stripe:12111']}") for word in words]

    def environment(self, name: str) -> dict[str, str]:
        given = {key: self.here(value) for key, value in self._services[name]["environment"].items()}
        return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)} | given

    def run(self, name: str) -> str:
        """A service that ends."""
        done = subprocess.run(
            self.command(name), env=self.environment(name), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, name: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A service that stays."""
        with (
            log.open("w") as output,
            subprocess.Popen(self.command(name), env=self.environment(name), stdout=output, stderr=output) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()


@pytest.mark.slow
def test_it_sells_something(tmp_path: Path) -> None:
    roles = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["configs"]["roles"]["content"]
    with ExitStack() as stack:
        server = stack.enter_context(temporary_server(settings={"port": "5432"}))
        with psycopg.connect(server.url(), autocommit=True) as conn:
            conn.execute("create database payments")
            conn.execute(roles)
        machine = Machine(server)
        assert "applied" in machine.run("migrate")
        assert machine.run("migrate") == "nothing to do\n"
        stripe = stack.enter_context(machine.running("stripe", tmp_path / "stripe"))
        serve = stack.enter_context(machine.running("serve", tmp_path / "serve"))
        for process, path in ((stripe, "stripe:12111/v1/account"), (serve, "serve:8000/health")):
            url = f"http://{machine.here(path)}"
            wait_until(lambda process=process, url=url: answers(url) or process.poll() is not None, f"{url} answers")  # type: ignore[misc]
        assert (stripe.poll(), serve.poll()) == (None, None), (tmp_path / "serve").read_text()

        sold = machine.run("shop")
        assert sold.rstrip().endswith(": paid")
        with psycopg.connect(server.url("payments")) as conn:
            rows = conn.execute("select type, status, amount, subject_id from payments.transactions").fetchall()
            worker = conn.execute("select count(*) from pg_stat_activity where application_name = 'pg-payments worker'")
            assert rows == [("one_time_payment", "succeeded", 1900, "ada")]
            assert worker.fetchone() == (1,)


def test_no_password_is_published_and_every_base_is_pinned() -> None:
    texts = [(where / "docker-compose.yml").read_text() for where in (ROOT, SHOP)]
    for name, service in services().items():
        for key, value in service["environment"].items():
            secret = re.search(r"PASSWORD|SECRET|KEY", key) and not value.startswith("sk_test_stand_in")
            assert not secret or re.fullmatch(r"\$\{\w+:[-?].*\}", value), (name, key)
            assert not value.endswith(":-}") or "password" not in value.lower()
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    bases = re.findall(r"^\s*FROM (\S+)", "\n".join([*texts, (ROOT / "Dockerfile").read_text()]), re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z-]+", base) for base in bases), bases


def test_what_stays_up_has_a_health_check_and_what_is_waited_for_is_there() -> None:
    known = services()
    for name, service in known.items():
        for waited, how in service.get("depends_on", {}).items():
            assert waited in known
            if how["condition"] == "service_healthy":
                assert "healthcheck" in known[waited], (name, waited)
    assert "--with-worker" in known["serve"]["command"]


def test_every_setting_reaches_the_server() -> None:
    """Those that are about keys, tokens and addresses; a forgotten one is found out in production only."""
    from pg_payments.settings import Settings

    passed = services()["serve"]["environment"]
    names = [
        name.upper() if name.startswith("stripe_") else f"PAYMENTS_{name.upper()}" for name in Settings.model_fields
    ]
    wanted = [name for name in names if re.search("SECRET|KEY|JWT_(AUD|ISS)|PUBLIC_URL|ORIGINS|API_BASE", name)]
    assert [name for name in wanted if name not in passed and name != "PAYMENTS_KEYS_ROLES"] == []
