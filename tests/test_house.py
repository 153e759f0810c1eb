"""The size of things: functions of a screen, lines that are read without scrolling; and that no code stands twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LONGEST_FUNCTION = 60
LONGEST_LINE = 120
README_LINES = 130

LONG_FUNCTIONS = {
    "payments_private.apply_snapshots": 63,
    "payments_private.join_group": 69,
    "payments_private.lock_references": 71,
    "payments_private.project_prices": 67,
    "payments_private.project_subscriptions": 76,
    "payments_private.store_snapshot": 95,
    "payments_private.take_event": 66,
}
"""Functions that are longer, and how long they may be; docs/decisions/long-functions.md has the measured reasons."""

BEGINNING = re.compile(r"create (?:or replace )?(?:function|procedure) ([\w.]+)")
TAG = re.compile(r"\$\w*\$")
COMMENT = re.compile(r"comment on .*?;$", re.DOTALL | re.MULTILINE)


def sql_files(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.sql"))]


def functions_in(text: str) -> Iterator[tuple[str, int]]:
    """Each function that a file creates, with its number of lines, from `create` to the end of its body."""
    lines = text.splitlines()
    n = 0
    while n < len(lines):
        begun = BEGINNING.match(lines[n])
        if begun is None:
            n += 1
            continue
        start = n
        while (tag := TAG.search(lines[n])) is None:
            n += 1
        body = tag.group()
        if lines[n].count(body) == 1:
            n += 1
            while body not in lines[n]:
                n += 1
        n += 1
        yield begun.group(1), n - start


def long_lines(text: str) -> list[str]:
    """Lines over the limit, but for what `comment on` says, which is read in the reference."""
    without = COMMENT.sub(lambda said: "\n" * said.group().count("\n"), text)
    return [f"{n}: {line}" for n, line in enumerate(without.splitlines(), 1) if len(line) > LONGEST_LINE]


def test_a_function_fits_a_screen() -> None:
    sizes = {name: size for file in sql_files("functions") for name, size in functions_in(file.read_text("utf-8"))}
    assert len(sizes) > 300
    assert {name: size for name, size in sizes.items() if size > LONG_FUNCTIONS.get(name, LONGEST_FUNCTION)} == {}
    assert [name for name in LONG_FUNCTIONS if sizes.get(name, 0) <= LONGEST_FUNCTION] == [], "is short meanwhile"


def test_every_long_function_has_its_reason() -> None:
    page = (ROOT / "docs/decisions/long-functions.md").read_text("utf-8")
    assert [name for name in LONG_FUNCTIONS if f"`{name.partition('.')[2]}`" not in page] == []


@pytest.mark.parametrize("folder", ["functions", "migrations", "policies"])
def test_no_line_is_longer_than_a_window(folder: str) -> None:
    found = {file.name: lines for file in sql_files(folder) if (lines := long_lines(file.read_text("utf-8")))}
    assert found == {}


LOGIN = re.compile(r"""\.login\(\s*f?["'](\w+)["']|^\w*(?:ROLE|OWNER) = ["'](\w+)["']""", re.MULTILINE)
GUARDED = re.compile(r"begin\s+create role (\w+)[^;]*;\s*exception when duplicate_object")
DROPPED = re.compile(r"drop role (?:if exists )?(\w+)(?=[;\"'])(?![^\n]*42501)")
MADE = re.compile(r"create (?:role|user) (\w+)")
ELSEWHERE = ("cluster", "crash_server", "temporary_server", "running.py")
"""Signs of a server of one's own, whose roles meet nobody."""


def roles_of_tests(text: str) -> tuple[set[str], set[str]]:
    """The roles that stay in the cluster after a test, and those that are made as if nobody had made them before."""
    stay = {name for found in LOGIN.findall(text) for name in found if name}
    stay |= {*GUARDED.findall(text), *DROPPED.findall(text)}
    return stay, set(MADE.findall(GUARDED.sub("", text)))


def test_a_role_that_is_made_anew_is_nobodys_who_stays() -> None:
    """Roles are the cluster's: what one test commits is in the way of another that makes it and rolls back."""
    stay: dict[str, str] = {}
    made: dict[str, list[str]] = {}
    for file in sorted((ROOT / "tests").rglob("*.*")):
        if file.suffix not in (".py", ".sql") or file.name in ("test_house.py", "schema.sql"):
            continue
        text = file.read_text("utf-8")
        staying, making = roles_of_tests(text)
        stay |= dict.fromkeys(staying, file.name)
        if not any(sign in text for sign in ELSEWHERE):
            for role in making:
                made.setdefault(role, []).append(file.name)
    assert len(stay) > 20
    assert len(made) > 10
    found = {role: (stay[role], files) for role, files in made.items() if role in stay and set(files) != {stay[role]}}
    assert found == {}


@pytest.mark.parametrize(
    ("text", "stay", "made"),
    [
        ('server.login("a_b", "payments_user")', {"a_b"}, set()),
        ('conn.execute("create role shopper; grant payments_user to shopper")', set(), {"shopper"}),
        ("do $$ begin create role anon; exception when duplicate_object then null; end $$", {"anon"}, set()),
        ('helper.execute("drop owned by buyer; drop role buyer")', {"buyer"}, set()),
        ('SHOP_OWNER = "test_owner"\ncreate role stranger login', {"test_owner"}, {"stranger"}),
    ],
)
def test_roles_are_found(text: str, stay: set[str], made: set[str]) -> None:
    assert roles_of_tests(text) == (stay, made)


def test_the_readme_is_read_in_two_minutes() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


def test_what_is_too_long_is_found() -> None:
    text = "create function a.b() returns void as $$\n" + "x\n" * 61 + "$$;\n" + "-" * 121 + "\n"
    assert list(functions_in(text)) == [("a.b", 63)]
    assert long_lines(text + "comment on function a.b() is\n  '" + "x" * 200 + "';\n") == ["64: " + "-" * 121]


SIX = 6
CODE = {".py", ".sql", ".html", ".js", ".css"}
AS_IT_WAS = ("tests/schema.sql", "tests/upgrades/", "pg_payments/dashboard/static/htmx-")
"""What is generated, frozen or somebody else's. Migrations are frozen, too, and not looked at."""
IMPORT = re.compile(r"^ *(?:from [\w.]+ )?import (?:\([^)]*\)|.*)$", re.MULTILINE)
FRAME = re.compile(
    r"""\W*                                       # brackets, commas, quotes
      | (?:\#|--|//).*                            # a comment
      | (?:\)\ )?returns\ .* | language\ \w+.*    # the head of a function in SQL
      | set\ (?:search_path|plan_cache_mode|enable_seqscan|jit|client_min_messages)\ .*
      | as\ \$\w*\$ | declare | begin | loop | else | end(?:\ if|\ loop)?;? | null; | return\ null;
    """,
    re.VERBOSE,
)


def code_in(text: str) -> list[tuple[int, str]]:
    """The lines that do something, with their numbers: no imports, comments, brackets or heads of SQL functions."""
    without = COMMENT.sub(lambda said: "\n" * said.group().count("\n"), text)
    without = IMPORT.sub(lambda said: "\n" * said.group().count("\n"), without)
    lines = enumerate((" ".join(line.split()) for line in without.splitlines()), 1)
    return [(n, line) for n, line in lines if not FRAME.fullmatch(line)]


def repeated(texts: dict[str, str]) -> list[tuple[str, ...]]:
    """Where the same six lines of code stand, a row for each six: `file:line` of every place."""
    places: dict[str, list[str]] = {}
    for name, text in texts.items():
        lines = code_in(text)
        for start in range(len(lines) - SIX + 1):
            six = "\n".join(line for _, line in lines[start : start + SIX])
            places.setdefault(six, []).append(f"{name}:{lines[start][0]}")
    return [tuple(found) for found in places.values() if len(found) > 1]


def test_the_same_six_lines_stand_nowhere_twice() -> None:
    files = [
        (file, file.relative_to(ROOT).as_posix())
        for folder in ("pg_payments", "functions", "policies", "tests", "benchmarks")
        for file in sorted((ROOT / folder).rglob("*.*"))
    ]
    texts = {name: file.read_text("utf-8") for file, name in files
             if file.suffix in CODE and not name.startswith(AS_IT_WAS)}  # fmt: skip
    assert len(texts) > 500
    assert repeated(texts) == []


@pytest.mark.parametrize(
    ("between", "found"),
    [
        ("", [("a:1", "b:3")]),
        ("\n    # why\n", [("a:1", "b:3")]),
        ("-- why\n  end if;\n", [("a:1", "b:3")]),
        ("from x import (\n    y,\n    z,\n)\n)\n", [("a:1", "b:3")]),
        ("comment on function f() is\n  'x';\nlanguage plpgsql stable\nas $$\nbegin\n", [("a:1", "b:3")]),
        ("something()\n", []),
        ("update t\n set name = 'x'\n", []),
    ],
)
def test_what_stands_twice_is_found(between: str, found: list[tuple[str, ...]]) -> None:
    three, more = "one()\ntwo()\n  three()\n", "four()\nfive()\nsix()\n"
    assert repeated({"a": three + more, "b": "import x\n\n" + three + between + more}) == found
    assert repeated({"a": three + more, "b": three + more.replace("six", "seven")}) == []
