"""pgTAP, found or fetched, loaded as plain SQL into schema ``tap``: no extension, so any server version will do."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.support.fetching import one_at_a_time
from tests.support.tools import psql

SCRIPT = re.compile(r"pgtap--(\d+)\.(\d+)\.(\d+)\.sql")
INSTALLED = ("/usr/share/postgresql/*/extension", "/usr/pgsql-*/share/extension")
HOW_TO_GET_IT = "pgTAP is needed: install Debian's postgresql-15-pgtap or name a pgtap.sql in PAYMENTS_TEST_PGTAP_SQL"


def load_pgtap(url: str, cache: Path) -> None:
    """Creates schema ``tap`` with pgTAP in it, usable by every role."""
    source = find_pgtap(cache).read_text(encoding="utf-8")
    script = "\n".join(
        [
            "create schema tap;",
            "set search_path = tap;",
            *(line for line in source.splitlines() if not line.startswith("\\")),
            "grant usage on schema tap to public;",
        ]
    )
    done = psql(url, "-1", script=script, options="-c client_min_messages=warning")
    if done.returncode != 0:
        raise RuntimeError(f"pgTAP does not load: {done.stderr.strip()}")


def run_pgtap(url: str, file: Path) -> tuple[int, list[str]]:
    """Runs one test file; how many tests passed, and every line that is not a passed test."""
    done = psql(url, "-f", str(file), options="-c search_path=public,tap")
    lines = done.stdout.splitlines()
    passed = sum(line.startswith("ok ") for line in lines)
    complaints = [line for line in lines if line.strip() and not re.match(r"ok |1\.\.\d+$", line)]
    planned = next((int(line[3:]) for line in lines if line.startswith("1..")), None)
    if done.returncode != 0:
        complaints.append(done.stderr.strip())
    elif planned is None or passed != planned:
        complaints.append(f"planned {planned}, passed {passed}")
    return passed, complaints


def find_pgtap(cache: Path) -> Path:
    """pgTAP's newest installation script: given, installed, fetched earlier, or fetched now with apt."""
    given = os.environ.get("PAYMENTS_TEST_PGTAP_SQL")
    if given:
        return Path(given)
    installed = [file for pattern in INSTALLED for file in Path("/").glob(f"{pattern[1:]}/pgtap--*.sql")]
    found = _newest(installed)
    if found is None:
        with one_at_a_time(cache):
            if _newest(cache.rglob("pgtap--*.sql")) is None:
                _fetch(cache)
            found = _newest(cache.rglob("pgtap--*.sql"))
    if found is None:
        raise RuntimeError(HOW_TO_GET_IT)
    return found


def _newest(files: Iterable[Path]) -> Path | None:
    versions = [(tuple(map(int, match.groups())), file) for file in files if (match := SCRIPT.fullmatch(file.name))]
    return max(versions)[1] if versions else None


def _fetch(cache: Path) -> None:
    """Debian's package, unpacked and not installed; apt's lists are our own too, so the system's stay as they are."""
    try:
        lists, archives = cache / "lists", cache / "archives"
        for directory in (lists, archives):
            (directory / "partial").mkdir(parents=True, exist_ok=True)
        apt = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={archives}", "-o", "APT::Sandbox::User="]
        _quietly("apt-get", *apt, "update", cwd=cache)
        names = _quietly("apt-cache", *apt, "search", "--names-only", r"^postgresql-[0-9]+-pgtap$", cwd=cache)
        newest = max((name.split()[0] for name in names.splitlines()), key=lambda name: int(name.split("-")[1]))
        _quietly("apt-get", *apt, "download", newest, cwd=cache)
        for package in cache.glob("*.deb"):
            _quietly("dpkg", "-x", str(package), ".", cwd=cache)
        shutil.rmtree(lists)
        shutil.rmtree(archives)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise RuntimeError(HOW_TO_GET_IT) from error


def _quietly(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, timeout=120).stdout
