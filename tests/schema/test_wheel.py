"""The built wheel alone, in an environment that has nothing else: it migrates and serves from anywhere."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from pg_payments import __version__
from pg_payments.schema.migrate import status
from tests.support.fetching import made_once
from tests.support.network import served
from tests.support.tools import ROOT, complaints, pg_dump

pytestmark = pytest.mark.slow

BARE = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=BARE | variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return next(made_once(tmp_path_factory, "wheel", build_wheel).glob("*.whl"))


def build_wheel(directory: Path) -> None:
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory, cwd=ROOT)
    assert built.returncode == 0, built.stderr


def contents(built: Path) -> dict[str, bytes]:
    """The SQL in a wheel or an sdist, by its path in the tree."""
    if built.suffix == ".whl":
        with zipfile.ZipFile(built) as archive:
            files = {name.removeprefix("pg_payments/sql/"): archive.read(name) for name in archive.namelist()}
    else:
        with tarfile.open(built) as archive_:
            members = [each for each in archive_.getmembers() if each.isfile()]
            files = {each.name.partition("/")[2]: archive_.extractfile(each).read() for each in members}  # type: ignore[union-attr]
    return {name: text for name, text in files.items() if name.endswith(".sql") and not name.startswith("tests/")}


@pytest.mark.parametrize("kind", ["wheel", "sdist", "a wheel of the sdist"])
def test_its_sql_is_the_tree_s(wheel: Path, tmp_path: Path, kind: str) -> None:
    built = wheel
    if kind != "wheel":
        done = run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        built = next(tmp_path.glob("*.tar.gz"))
    if kind == "a wheel of the sdist":
        with tarfile.open(built) as archive:
            archive.extractall(tmp_path, filter="data")
        source = tmp_path / built.name.removesuffix(".tar.gz")
        done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=source)
        assert done.returncode == 0, done.stderr
        built = next(tmp_path.glob("*.whl"))
    assert built.name.startswith(f"pg_payments-{__version__}")
    here = [
        file
        for folder in ("migrations", "functions", "policies", "pg_payments")
        for file in (ROOT / folder).rglob("*.sql")
    ]
    expected = {file.relative_to(ROOT).as_posix(): file.read_bytes() for file in here}
    found = contents(built)
    assert {name: text for name, text in found.items() if not name.startswith("docs/")} == expected


@dataclass(frozen=True)
class Installed:
    """A directory away from the checkout with the wheel in its ``venv``, and how it served before it had the extra."""

    directory: Path

    @property
    def serving_without_extra(self) -> tuple[int, str]:
        code, _, said = (self.directory / "refusal").read_text().partition(" ")
        return int(code), said

    @property
    def program(self) -> Path:
        return self.directory / "venv/bin/pg-payments"


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel alone, asked to serve, then its ``server`` extra as well."""

    def make(directory: Path) -> None:
        venv.create(directory / "venv", with_pip=True)
        install(directory, str(wheel))
        refused = run(directory / "venv/bin/pg-payments", "serve", cwd=directory, DATABASE_URL="postgresql:///nowhere")
        (directory / "refusal").write_text(f"{refused.returncode} {refused.stderr}")
        install(directory, f"{wheel}[server]")

    return Installed(made_once(tmp_path_factory, "elsewhere", make))


def install(directory: Path, what: str) -> None:
    done = run(
        directory / "venv/bin/pip", "install", "-q", "--disable-pip-version-check", what, cwd=directory,
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_it_migrates(installed: Installed, empty_database_url: str, database_url: str) -> None:
    assert run(installed.program, "--version", cwd=installed.directory).stdout.strip() == __version__
    done = run(installed.program, "migrate", cwd=installed.directory, PAYMENTS_DATABASE_URL=empty_database_url)
    assert (done.returncode, complaints(done.stderr)) == (0, "")
    assert status(empty_database_url).up_to_date
    assert pg_dump(empty_database_url) == pg_dump(database_url)


def test_it_serves(installed: Installed, database_url: str) -> None:
    def start(port: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [installed.program, "serve", "--port", str(port), "--database-url", database_url],
            cwd=installed.directory,
            env=BARE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with served(start) as base:
        assert httpx.get(f"{base}/health").status_code == 200


def test_without_the_extra_it_says_which_one_serves(installed: Installed) -> None:
    code, said = installed.serving_without_extra
    assert code == 1
    assert said == "pg-payments: starlette is not installed: pip install 'pg-payments[server]'\n"
