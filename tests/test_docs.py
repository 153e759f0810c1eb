"""The pages of the repository: links lead somewhere, and the README can be read in two minutes."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import pg_payments
from pg_payments.errors import BY_SQLSTATE, PaymentsError
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


def table_rows(page: str) -> list[list[str]]:
    """The cells of every row of a page's tables, without headings."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return [row for row in rows if "`" in row[0] or row[0][:1].isdigit() or row[0] == "Stripe's"]


def test_settings_are_written_down_as_they_are() -> None:
    """Every one, no other, and with its default: the second column has one for each variable of the first."""
    expected = {
        name.upper() if name.startswith("stripe_") else f"PAYMENTS_{name.upper()}": field.default
        for name, field in Settings.model_fields.items()
    }
    told: dict[str, str | None] = {}
    for variables, defaults, _ in table_rows("docs/reference/settings.md"):
        names = [name for name in re.findall(r"`([A-Z_]+)`", variables) if name != "DATABASE_URL"]
        values = [value or None for value, _ in re.findall(r"`([^`]*)`|(\u2013)", defaults)]
        told |= dict(zip(names, values, strict=True))
    assert told == {name: None if value is None else str(value) for name, value in expected.items()}


def classes(kind: type[PaymentsError] = PaymentsError) -> Iterator[type[PaymentsError]]:
    for module in pkgutil.walk_packages(pg_payments.__path__, "pg_payments."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for each in kind.__subclasses__():
        yield each
        yield from classes(each)


def test_errors_are_written_down_as_they_are() -> None:
    """Every SQLSTATE with its status and code, every other code that there is, and none that there is not."""
    rows = table_rows("docs/reference/errors.md")
    states = {row[0].strip("`"): (int(row[1]), row[2].strip("`")) for row in rows if row[0].startswith("`")}
    assert states == {state: (kind.http_status, kind.code) for state, kind in BY_SQLSTATE.items()}
    text = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    raised = {kind.code for kind in classes() if kind.__module__.startswith("pg_payments.")}
    assert raised == set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+|FORBIDDEN|CONFLICT|OVERLOADED|STOPPED)`", text))
    sources = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("functions/**/*.sql"))
    assert set(re.findall(r"\bPY[0-9]{3}\b", sources)) == set(re.findall(r"`(PY\d\d\d)`", text))
