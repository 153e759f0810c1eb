"""Finds the SQL of the package, in a checkout and inside an installed wheel alike.

The tree holds ``migrations/`` (versioned, applied once), ``functions/`` and ``policies/`` (re-creatable). In a
checkout the three stand beside the package, in a wheel under ``pg_payments/sql/``.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
ROLLBACK_SUFFIX = ".rollback.sql"


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
        files = [*self._files("functions"), *self._files("policies")]
        return [SqlFile(file, file.relative_to(self.root).as_posix()) for file in files]

    def _files(self, directory: str) -> list[Path]:
        return sorted((self.root / directory).rglob("*.sql"))


def _is_rollback(file: Path) -> bool:
    return file.name.endswith(ROLLBACK_SUFFIX)


def packaged() -> SqlTree:
    """The SQL that belongs to this very version of the package."""
    installed = PACKAGE / "sql"
    return SqlTree(installed if installed.is_dir() else PACKAGE.parent)
