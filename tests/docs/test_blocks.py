"""Every block of every page is run as it stands, or says why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pg_payments.testing.local_postgres import LocalServer
from tests.docs import running
from tests.docs.blocks import PAGES, ROOT, Page, page_of

RUN = ("sh", "sql", "python", "http", "json", "toml", "yaml", "ini")
FEWEST_RUN, MOST_LEFT = 85, 25
"""Of all blocks: it is noticed when fewer are run than were, or more are left alone."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalServer]:
    with running.cluster() as server:
        yield server


@pytest.mark.parametrize("path", PAGES)
def test_every_block_is_run_or_says_why_not(path: str) -> None:
    for block in page_of(path).blocks:
        if block.is_run:
            assert block.language in RUN, f"{block.where}: nobody runs this; say why not, or which test does"
            assert "…" not in block.text, f"{block.where}: cannot be copied and pasted"
        elif reason := block.marks.get("not run"):
            assert len(reason.split()) >= 3, f"{block.where}: why not?"
        else:
            test = ROOT / block.marks["tested by"]
            name = Path(path).name
            assert name in test.read_text(encoding="utf-8"), f"{block.where}: {test} tests it not"


def test_most_blocks_are_run() -> None:
    counted = Counter("run" if block.is_run else "left" for path in PAGES for block in page_of(path).blocks)
    left = [block for path in PAGES for block in page_of(path).blocks if "not run" in block.marks]
    assert counted["run"] >= FEWEST_RUN, counted
    assert len(left) <= MOST_LEFT, [block.where for block in left]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```\nGET /\n```\n", "nobody runs this"),
        ("```rust\nfn main() {}\n```\n", "nobody runs this"),
        ("```sql\nselect '…';\n```\n", "copied and pasted"),
        ("<!-- not run: no -->\n\n```sql\nselect 1;\n```\n", "why not"),
        ("<!-- tested by: tests/test_words.py -->\n```ts\nx\n```\n", "tests it not"),
    ],
)
def test_a_block_without_a_reason_is_found(text: str, complaint: str, tmp_path: Path) -> None:
    page = tmp_path / "another_page.md"
    page.write_text(f"# A page\n\n{text}", encoding="utf-8")
    with pytest.raises(AssertionError, match=complaint):
        test_every_block_is_run_or_says_why_not(str(page))


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in PAGES if any(block.is_run for block in page_of(path).blocks)])
def test_the_blocks_of_a_page_work_as_they_stand(path: str, cluster: LocalServer, tmp_path: Path) -> None:
    page = page_of(path)
    assert running.follow(page, cluster, tmp_path) == len([block for block in page.blocks if block.is_run])


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "```sql\nselect * from payments.no_such_table;\n```\n",
        "```sql\nbegin;\nselect 1;\n```\n",
        "```sh\npg-payments no-such-command\n```\n",
        "```sh\nfalse | cat\n```\n",
        "```python\nimport no_such_module\n```\n",
        "```yaml\na: [\n```\n",
    ],
)
def test_a_block_that_does_not_work_is_found(text: str, cluster: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    page: Page = page_of(str(path))
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it raises
        running.follow(page, cluster, tmp_path)
