"""The pages of the repository: links lead somewhere, and the README can be read in two minutes."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from pg_payments.errors import BY_SQLSTATE
from pg_payments.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "llms.txt", "docs/**/*.md")
    for page in ROOT.glob(pattern)
    if "node_modules" not in page.parts
)
LINK = re.compile(r'(?:\]\(|src=")([^)"\s]+)')
"""A link or picture of Markdown, or a picture of HTML."""
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@cache
def anchors(page: Path) -> set[str]:
    """What headings are called in links: lower case, hyphens for spaces, nothing else but letters and digits."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    docs = ROOT / "docs"
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in (docs / "index.md", docs / "decisions" / "README.md")
        for link in LINK.findall(page.read_text(encoding="utf-8"))
    }
    assert [str(page) for page in docs.rglob("*.md") if page not in linked | {docs / "index.md"}] == []


def test_the_readme_is_short_and_begins_with_its_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len([line for line in readme.splitlines() if not line.startswith("<!--")]) <= 130
    demo, tests, *_ = [text.strip() for language, text in FENCED.findall(readme) if language == "sh"]
    assert demo.endswith("pg-payments demo")
    assert tests.endswith("pytest")
    assert len([text for language, text in FENCED.findall(readme) if "create function fulfil_order()" in text]) == 1


def test_settings_and_errors_are_all_written_down() -> None:
    settings = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    errors = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    names = [
        name.upper() if name.startswith("stripe_") else f"PAYMENTS_{name.upper()}" for name in Settings.model_fields
    ]
    assert [name for name in names if f"`{name}`" not in settings] == []
    assert [state for state in BY_SQLSTATE if f"`{state}`" not in errors] == []
