"""The fenced blocks of the pages, and what an HTML comment before one says of it.

Without a comment a block is run, in the order of its page. A comment on the lines before it may say otherwise:

    <!-- not run: why not -->                 the block is left alone
    <!-- tested by: tests/…/test_x.py -->     that test, which names the page, runs it
    <!-- in the background: http://… -->      a shell's command that goes on; it has begun when the address answers
    <!-- exits with: 1 -->                    the status in which a shell's block ends, which is no fault
    <!-- before: select … -->                 SQL that is run first, and that a reader has no need of
    <!-- then: select … -->                   SQL that has to say true, at once or soon
    <!-- page: empty database, serving -->    at the top: no schema yet; the server runs, for `curl` and `http`
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = {"docs/reference/sql.md", "docs/reference/commands.md"}
"""Made by tests from what they describe: their blocks are signatures."""
PAGES = sorted(
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md")
    for page in ROOT.glob(pattern)
    if str(page.relative_to(ROOT)) not in GENERATED
)
_PIECE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$|^ *<!-- (?P<said>.*?) ?-->$",
    re.DOTALL | re.MULTILINE,
)
KINDS = ("not run", "tested by", "in the background", "exits with", "before", "then", "page")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return not {"not run", "tested by"} & self.marks.keys()


@dataclass(frozen=True)
class Page:
    path: str
    blocks: list[Block]
    traits: set[str]


def page_of(path: str) -> Page:
    """A page's blocks, each with the comments before it; what `then` says belongs to the block before."""
    text = (ROOT / path).read_text(encoding="utf-8")
    blocks: list[Block] = []
    traits: set[str] = set()
    marks: dict[str, str] = {}
    for piece, line in _pieces(text):
        if (said := piece["said"]) is not None:
            kind, _, rest = said.partition(": ")
            if kind == "page":
                traits |= {trait.strip() for trait in rest.split(",")}
            elif kind == "then":
                assert blocks, f"{path}:{line}: nothing comes before this"
                blocks[-1].marks["then"] = rest
            elif kind in KINDS:
                marks[kind] = rest
            continue
        dedented = re.sub(rf"^{piece['indent']}", "", piece["text"], flags=re.MULTILINE)
        blocks.append(Block(path, line, piece["language"], dedented, marks))
        marks = {}
    assert not marks, f"{path}: {marks} stands before no block"
    return Page(path, blocks, traits)


def _pieces(text: str) -> Iterator[tuple[re.Match[str], int]]:
    for piece in _PIECE.finditer(text):
        yield piece, text.count("\n", 0, piece.start()) + 1
