"""The size of things: lines that are read without scrolling."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LONGEST_LINE = 120

COMMENT = re.compile(r"comment on .*?;$", re.DOTALL | re.MULTILINE)


def sql_files(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.sql"))]


def long_lines(text: str) -> list[str]:
    """Lines over the limit, but for what `comment on` says, which is read in the reference."""
    without = COMMENT.sub(lambda said: "\n" * said.group().count("\n"), text)
    return [f"{n}: {line}" for n, line in enumerate(without.splitlines(), 1) if len(line) > LONGEST_LINE]


@pytest.mark.parametrize("folder", ["functions", "migrations", "policies"])
def test_no_line_is_longer_than_a_window(folder: str) -> None:
    found = {file.name: lines for file in sql_files(folder) if (lines := long_lines(file.read_text("utf-8")))}
    assert found == {}


def test_what_is_too_long_is_found() -> None:
    text = "create function a.b() returns void as $$\n" + "x\n" * 61 + "$$;\n" + "-" * 121 + "\n"
    assert long_lines(text + "comment on function a.b() is\n  '" + "x" * 200 + "';\n") == ["64: " + "-" * 121]
