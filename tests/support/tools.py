"""Programs run as processes: our own command line, and Postgres's clients.

The wheel's psql and pg_dump are newer than every server here, so they understand all of them, and the same program
writes the same dump wherever the tests run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO

from pg_payments.testing.local_postgres import embedded_bin
from tests.support.command_server import CommandServer

ROOT = Path(__file__).resolve().parents[2]

_COMMANDS = CommandServer()
WARNING = "warning: the roles belong to the whole cluster"

_NOISE = re.compile(
    r"^(--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict )"
    # Postgres 15.20 notes when a column was made, which only its own pg_dump leaves out.
    r"|ALTER TABLE ONLY \S+ ALTER COLUMN \S+ SET \(pg_attver=\d+\);$"
)


_VIEW = re.compile(r"^CREATE VIEW .*?;$", re.DOTALL | re.MULTILINE)


def start_command(*arguments: str, output: IO[str] | None = None, **variables: str) -> subprocess.Popen[str]:
    """``pg-payments`` as a process of its own, in an environment without our settings but for ``variables``.

    What runs for long writes to ``output``, since nobody empties the pipes that it has otherwise.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "pg_payments", *arguments],
        env=_clean_environment() | variables,
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=output or subprocess.PIPE,
        text=True,
    )


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs ``pg-payments`` to its end, in a process of its own."""
    done = _COMMANDS.run(arguments, _clean_environment() | variables)
    if done is not None:
        return done
    with start_command(*arguments, output=None, **variables) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _clean_environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PAYMENTS_", "STRIPE_", "PG"))}
    clean.pop("DATABASE_URL", None)
    return clean | {"PYTHONPATH": str(ROOT)}


def complaints(errors: str) -> str:
    """What a command wrote to stderr, but for the warning that roles belong to the cluster, where other tests are."""
    return "".join(line for line in errors.splitlines(keepends=True) if not line.startswith(WARNING))


def psql(url: str, *arguments: str, script: str | None = None, options: str = "") -> subprocess.CompletedProcess[str]:
    """Runs psql without its startup file, stopping at the first error; ``options`` are server settings (``-c a=b``)."""
    return subprocess.run(
        [embedded_bin() / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments, "-d", url],
        input=script,
        stdin=subprocess.DEVNULL if script is None else None,
        env=os.environ | {"PGOPTIONS": options, "PGCLIENTENCODING": "UTF8"},
        capture_output=True,
        text=True,
        check=False,
    )


def pg_dump(url: str, *arguments: str) -> str:
    """The schema of a database as SQL, without what says nothing about it: settings, headings, blank lines doubled."""
    dump = subprocess.run(
        [embedded_bin() / "pg_dump", "--schema-only", *arguments, "-d", url], capture_output=True, text=True, check=True
    ).stdout
    kept = "\n".join(line for line in dump.splitlines() if not _NOISE.match(line))
    kept = _VIEW.sub(
        lambda view: re.sub(r"\b[a-z]\.(?=[a-z_])", "", view[0]), kept
    )  # 18 leaves out what needs no alias
    return re.sub(r"\n{3,}", "\n\n", kept).strip() + "\n"


def write(path: Path, text: str) -> Path:
    """Writes a file with its directories; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
