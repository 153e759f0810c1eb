"""The words of docs/glossary.md: what was retired there is not said any more, in code, comments, tests and pages."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RETIRED = {
    r"circles?": "payment group",
    r"[pv]_nodes?|lock_nodes|links_of|[pv]_links|type:id nodes?": "object reference, references",
    r"leaders?": "group representative",
    r"rivals?(_\w+)?|\w+_rivals?": "same-second snapshots",
    r"overtaken": "superseded",
    r"payment_objects": "payment facts",
    r"\w+_worlds|worlds_of": "by account",
    r"stash(?!ed_events)\w*": "quarantine",
    r"(?<!encrypted )(?<!Secrets )at rest|give up|given up|gave up": "parked",
    r"the (whole |real )?road|road of": "pipeline",
    r"the floor|floor-\d+|floor's": "baseline",
    r"as books|open_books": "state, or bookkeeping",
    r"is_lent|take_undelivered": "pooler_check, missed_events",
    r"orphans?|delete_orphans|p_pass|v_pass|'said \w+": "stage; extract, project, prune",
}
"""What is said no more, as a pattern of whole words, and what is said instead."""

ELSEWHERE = {
    "docs/glossary.md": "says what the old words were",
    "tests/test_words.py": "so does this",
    "tests/schema.sql": "is made of the schema",
    "docs/reference/sql.md": "is made of the schema",
}
READ = {".py", ".sql", ".md", ".toml", ".txt"}


def texts() -> list[str]:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in tracked if Path(name).suffix in READ and name not in ELSEWHERE and (ROOT / name).exists()]


def said(text: str) -> list[str]:
    """The retired words in a text, with what to say instead."""
    return [
        f"{found.group()}: say {instead}"
        for pattern, instead in RETIRED.items()
        for found in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
    ]


def test_nobody_says_what_was_retired() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: git says which files are ours")
    found = {name: words for name in texts() if (words := said((ROOT / name).read_text(encoding="utf-8")))}
    assert found == {}


@pytest.mark.parametrize(
    "text",
    ["the leaders of a circle", "It was Given up.", "stash_event(p_id)", "the whole road", "floor-16"],
)
def test_an_old_word_is_found(text: str) -> None:
    assert said(text)


@pytest.mark.parametrize("text", ["floor(extract(epoch from now()))", "a leaderboard", "encircle", "at restart"])
def test_another_word_is_not(text: str) -> None:
    assert said(text) == []
