"""The public client of our HTTP interface, npm's ``@insforge/sdk``, in Node: unchanged, one process a call."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fetching import one_at_a_time
from tests.support.required import lacking
from tests.support.tools import ROOT

SOURCE = ROOT / "tests/http/sdk"
INSTALL_SECONDS = 120
CALL_SECONDS = 60


@dataclass(frozen=True)
class Told:
    """What the SDK told its application: ``data`` or the members of an ``InsForgeError``; the other is None."""

    data: Any
    error: dict[str, Any] | None


@dataclass(frozen=True)
class Sdk:
    """The SDK where it is installed."""

    home: Path

    def call(self, base_url: str, method: str, *args: Any, **client: Any) -> Told:
        """``payments.stripe[method](…)``, or an administrator's request with ``apiKey``; ``client`` as in call.mjs."""
        return Told(**self._run("call.mjs", {"baseUrl": base_url, "method": method, "args": args} | client))

    def broken_promises(self, answers: Sequence[tuple[str, Any]]) -> list[str]:
        """What is wrong with answers, each given with the name of its schema in ``@insforge/shared-schemas``."""
        wrong: list[str] = self._run("check.mjs", answers)
        return wrong

    def _run(self, script: str, question: Any) -> Any:
        done = subprocess.run(
            ["node", script], cwd=self.home, input=json.dumps(question), timeout=CALL_SECONDS,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def installed_sdk(cache: Path) -> Sdk:
    """The SDK under ``cache``, installed from npm's registry unless this very version is there already."""
    if not (shutil.which("node") and shutil.which("npm")):
        lacking("node", "node and npm are not installed")
    lock = (SOURCE / "package-lock.json").read_bytes()
    home = cache / hashlib.sha256(lock).hexdigest()[:12]
    with one_at_a_time(cache):
        shutil.copytree(SOURCE, home, dirs_exist_ok=True)
        if not (home / "node_modules/.package-lock.json").exists():  # npm writes it last
            _install(home)
    return Sdk(home)


def _install(home: Path) -> None:
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]
    try:
        done = subprocess.run(
            ["npm", "ci", *options], cwd=home, timeout=INSTALL_SECONDS, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        lacking("node", f"npm could not install the SDK within {INSTALL_SECONDS} s")
    if done.returncode != 0:
        lacking("node", f"npm could not install the SDK: {' '.join(done.stderr.split())[:300]}")
