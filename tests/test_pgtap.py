"""Runs every pgTAP file once per server; a file is one test here, its failing lines are the message."""

from pathlib import Path

import pytest

from tests.support.pgtap import run_pgtap

FILES = sorted((Path(__file__).parent / "pgtap").glob("test_*.sql"))


def test_there_are_files_to_run() -> None:
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem.removeprefix("test_"))
def test_pgtap(file: Path, pgtap_url: str) -> None:
    _, complaints = run_pgtap(pgtap_url, file)
    assert not complaints, "\n".join(complaints)
