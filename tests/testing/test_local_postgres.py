"""Servers of one's own: from binaries that not everybody may run, stopped, crashed, removed."""

import shutil
from pathlib import Path

import psycopg
import pytest

from pg_payments.errors import ConfigurationError
from pg_payments.testing.local_postgres import LocalServer, embedded_bin, temporary_server


def answer(server: LocalServer) -> object:
    with psycopg.connect(server.url()) as conn:
        return conn.execute("select 42").fetchone()


@pytest.mark.slow
def test_a_server_comes_and_goes() -> None:
    with temporary_server() as server:
        assert answer(server) == (42,)
        server.stop("immediate")
        with pytest.raises(psycopg.OperationalError):
            answer(server)
        server.start()
        assert answer(server) == (42,)
    assert not server.directory.exists()


def test_a_kept_server_stays() -> None:
    with temporary_server(keep=True) as server:
        pass
    try:
        assert answer(server) == (42,)
    finally:
        server.remove()


@pytest.mark.slow
def test_binaries_in_a_private_directory(tmp_path: Path) -> None:
    private = tmp_path / "private"
    package = embedded_bin().parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, private / part.name, symlinks=True)
    private.chmod(0o700)
    with temporary_server(private / embedded_bin().relative_to(package.parent)) as server:
        assert answer(server) == (42,)
    assert private.stat().st_mode & 0o777 == 0o700


def test_settings_that_postgres_refuses_are_reported() -> None:
    with (
        pytest.raises(ConfigurationError, match=r"pg_ctl failed: .*shared_buffers"),
        temporary_server(settings={"shared_buffers": "rather a lot"}),
    ):
        pass
