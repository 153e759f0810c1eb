"""Finds the SQL of the package, in a checkout and inside an installed wheel alike.

The tree holds ``migrations/`` (versioned, applied once), ``functions/`` and ``policies/`` (re-creatable). In a
checkout the three stand beside the package, in a wheel under ``pg_payments/sql/``.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
ROLLBACK_SUFFIX = ".rollback.sql"

_STATEMENT = re.compile(
    r"""(?:
        --[^\n]*                                        # a comment
      | /\*.*?\*/
      | (?P<dollar>\$\w*\$).*?(?P=dollar)               # a body
      | \b[eE]'(?:[^'\\]|''|\\.)*'                      # strings, then a name in quotes
      | '(?:[^']|'')*'
      | "(?:[^"]|"")*"
      | [^;]
    )+?(?:;|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_NOT_LINES = re.compile(r"[^\n]")
_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_TABLE_LOCKING = re.compile(
    r"(?:alter\s+table|(?:create|drop)\s+(?:or\s+replace\s+)?(?:constraint\s+)?(?:trigger|policy|rule|index))\b",
    re.IGNORECASE,
)
_VIEW = re.compile(
    r"(?:(?:create|drop|alter)\s+(?:or\s+replace\s+)?view|comment\s+on\s+(?!function|schema))\b", re.IGNORECASE
)
_TABLE = re.compile(r"\b(?:on|alter\s+table(?:\s+if\s+exists)?(?:\s+only)?)\s+(payments\w*\.\w+)", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """One statement of a file, with the comments before it, and where it starts."""

    text: str
    offset: int

    @cached_property
    def bare(self) -> str:
        """The text without the comments before it."""
        return self.text[_COMMENTS.match(self.text).end() :]  # type: ignore[union-attr]

    @property
    def tables(self) -> list[str]:
        """The tables that it locks against reading or writing."""
        return _TABLE.findall(self.bare)[:1] if _TABLE_LOCKING.match(self.bare) else []

    @property
    def changes_relation(self) -> bool:
        """Whether it changes a table or view, so that it is run only where it is new."""
        return bool(self.tables or _VIEW.match(self.bare))

    def __bool__(self) -> bool:
        return bool(self.bare.strip())


@dataclass(frozen=True)
class SqlFile:
    """One file of SQL: where it is, and its name as it is known in the database."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        """The content, with line endings as in the repository whatever git made of them."""
        return self.path.read_text(encoding="utf-8").replace("\r\n", "\n")

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of ``text``."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def statements(self) -> list[Statement]:
        """The statements in ``text``, one after the other."""
        found = [Statement(match.group(), match.start()) for match in _STATEMENT.finditer(self.text)]
        return [statement for statement in found if statement]

    def only(self, wanted: Callable[[Statement], bool]) -> str:
        """The text with spaces for every other statement, so that places in it are those in the file."""
        return "".join(each.text if wanted(each) else _NOT_LINES.sub(" ", each.text) for each in self.statements)

    @cached_property
    def table_sha256(self) -> str | None:
        """The same of the statements that change tables or views; None if there are none."""
        texts = [statement.text for statement in self.statements if statement.changes_relation]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest() if texts else None


@dataclass(frozen=True)
class SqlTree:
    """A directory with migrations/, functions/ and policies/ in it."""

    root: Path

    def migrations(self) -> list[SqlFile]:
        """Versioned migrations, oldest first; names are without ``.sql``, as yoyo knows them."""
        files = self._files("migrations")
        return [SqlFile(file, file.name.removesuffix(".sql")) for file in files if not _is_rollback(file)]

    def rollback_of(self, migration: SqlFile) -> SqlFile | None:
        """The file that undoes a migration, if it has one."""
        path = migration.path.with_name(migration.name + ROLLBACK_SUFFIX)
        return SqlFile(path, path.name) if path.exists() else None

    def reloadable(self) -> list[SqlFile]:
        """functions/ then policies/, each in the order of their paths; names are like ``functions/00_base/now.sql``."""
        return [*self.functions(), *self.policies()]

    def functions(self) -> list[SqlFile]:
        """functions/ in the order of their paths."""
        return self._named("functions")

    def policies(self) -> list[SqlFile]:
        """policies/ in the order of their paths."""
        return self._named("policies")

    def _named(self, directory: str) -> list[SqlFile]:
        return [SqlFile(file, file.relative_to(self.root).as_posix()) for file in self._files(directory)]

    def _files(self, directory: str) -> list[Path]:
        return sorted((self.root / directory).rglob("*.sql"))


def _is_rollback(file: Path) -> bool:
    return file.name.endswith(ROLLBACK_SUFFIX)


def packaged() -> SqlTree:
    """The SQL that belongs to this very version of the package."""
    installed = PACKAGE / "sql"
    return SqlTree(installed if installed.is_dir() else PACKAGE.parent)
