"""For MkDocs: what pages link to outside of `docs/` becomes pages of the site, too, so that no link leads out of it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r'(?P<before>\]\(|src="|href=")(?P<path>[^)"\s#:]+)(?P<anchor>#[^)"\s]*)?(?=[)"\s])')
CODE = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
LIST = re.compile(r"^(?!- |\* |\||>|\d+\.|#)(\S.*)\n(- |1\. )", re.MULTILINE)
"""A list right after its sentence: MkDocs wants a line between them."""
UNSEARCHED = "---\nsearch: {exclude: true}\n---\n\n"
"""Before sources and folders: who searches wants what is said of them."""
LANGUAGES = {
    ".py": "python",
    ".sql": "sql",
    ".toml": "toml",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".ts": "ts",
    ".txt": "text",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for every file and folder of the repository that a page of the site links to."""
    open_, seen = [f"docs/{file.src_uri}" for file in files.documentation_pages()], set[str]()
    while open_:
        path = open_.pop()
        if path in seen:
            continue
        seen.add(path)
        if not path.startswith("docs/") or path.endswith((".py", ".yml")):
            files.append(File.generated(config, place_of(path), content=content_of(path)))
        if path.endswith(".md"):
            open_ += [target for target in targets(path, (ROOT / path).read_text(encoding="utf-8")) if is_ours(target)]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """With links that lead to the site's places."""
    path = next((path for path in (f"docs/{page.file.src_uri}", page.file.src_uri.removeprefix("repository/"))
                 if (ROOT / path).is_file() and place_of(path) == page.file.src_uri), None)  # fmt: skip
    return markdown if path is None else linked(markdown, path)


def linked(markdown: str, path: str) -> str:
    here = posixpath.dirname(place_of(path))

    def place(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link["path"]))
        if not (ROOT / target).exists():
            return link[0]
        to = posixpath.relpath(place_of(target), here or ".")
        html = link["before"].startswith(("src", "href")) and to.endswith(".md")
        return f"{link['before']}{to[:-3] + '.html' if html else to}{link['anchor'] or ''}"

    def prose(text: str) -> str:
        return LIST.sub(r"\1\n\n\2", LINK.sub(place, text))

    pieces, end = list[str](), 0
    for code in CODE.finditer(markdown):
        pieces += [prose(markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, prose(markdown[end:])])


def targets(path: str, markdown: str) -> list[str]:
    return [
        posixpath.normpath(posixpath.join(posixpath.dirname(path), link["path"]))
        for link in LINK.finditer(CODE.sub("", markdown))
    ]


def is_ours(target: str) -> bool:
    return not target.startswith("..") and (ROOT / target).exists()


def place_of(path: str) -> str:
    """Where in the site a path of the repository is."""
    if path.startswith("docs/") and not path.endswith((".py", ".yml")) and not (ROOT / path).is_dir():
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"repository/{path}/index.md"
    return f"repository/{path}" if path.endswith(".md") else f"repository/{path}.md"


def content_of(path: str) -> str:
    file = ROOT / path
    if file.is_dir():
        inside = sorted(child.name for child in file.iterdir() if not child.name.startswith(("__", ".")))
        return f"{UNSEARCHED}# {path}\n\n" + "".join(f"- `{name}`\n" for name in inside)
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return text
    language = LANGUAGES.get(file.suffix, "text")
    return f"{UNSEARCHED}# {file.name}\n\n`{path}`\n\n````{language}\n{text.rstrip()}\n````\n"
