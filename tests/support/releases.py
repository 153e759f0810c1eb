"""Released states: which migrations are frozen, and what each release installs.

    python -m tests.support.releases

freezes what is here as the version in ``pg_payments/__init__.py``, and may be run again. It writes
``migrations/released.sha256``, which ``sha256sum -c`` reads too, and ``tests/upgrades/VERSION.sql.xz``, what that
version's ``pg-payments sql --any-client`` prints; and gives the changelog its section.
"""

import lzma
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from pg_payments import __version__
from pg_payments.schema.script import script
from pg_payments.schema.sql_files import SqlTree

ROOT = Path(__file__).parents[2]
SUMS = "migrations/released.sha256"
STATES = "tests/upgrades"
UNRELEASED = "## [Unreleased]\n"


def sums(tree: SqlTree) -> dict[str, str]:
    """The SHA-256 of every migration and of what undoes it, by the file's name."""
    files = [each for file in tree.migrations() for each in (file, tree.rollback_of(file)) if each]
    return {file.path.name: file.sha256 for file in files}


def released(root: Path) -> dict[str, str]:
    """The same of those that were released; nothing where nothing was."""
    path = root / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def offences(root: Path) -> list[str]:
    """What was done to released migrations, or would come before one of them; empty: all is as it was."""
    frozen, present = released(root), sums(SqlTree(root))
    found = [f"{name} is gone" for name in frozen if name not in present]
    found += [f"{name} was edited" for name in frozen if name in present and present[name] != frozen[name]]
    latest = max(frozen, default="")[:4]
    return sorted(found + [f"{name} comes too early" for name in present.keys() - frozen.keys() if name[:4] <= latest])


def states(root: Path = ROOT) -> list[Path]:
    """What each release installs, oldest first."""
    return sorted(
        (root / STATES).glob("*.sql.xz"),
        key=lambda path: [int(part) for part in path.name.removesuffix(".sql.xz").split(".")],
    )


def read(state: Path) -> str:
    """The script of a released state."""
    return lzma.decompress(state.read_bytes()).decode()


def freeze(root: Path = ROOT, version: str = __version__, today: date | None = None) -> list[str]:
    """Freezes a version; returns the files that it had to write.

    Raises ``ValueError`` where released migrations are not as they were, or where the version was frozen otherwise:
    what has been released stays, and what is new needs a new version.
    """
    if wrong := offences(root):
        raise ValueError(f"released migrations stay as they are: {', '.join(wrong)}")
    state, text = root / STATES / f"{version}.sql.xz", script(SqlTree(root), any_client=True) + "\n"
    if state.exists() and read(state) != text:
        raise ValueError(
            f"{version} was frozen otherwise: raise the version, or, if it was never tagged, delete {state}"
        )
    written = {
        root / SUMS: "".join(f"{digest}  {name}\n" for name, digest in sums(SqlTree(root)).items()).encode(),
        state: state.read_bytes() if state.exists() else lzma.compress(text.encode(), preset=9),
        root / "CHANGELOG.md": _changelog(root, version, today or datetime.now(UTC).date()).encode(),
    }
    changed = [path for path, content in written.items() if not path.exists() or path.read_bytes() != content]
    for path in changed:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(written[path])
    return [path.relative_to(root).as_posix() for path in changed]


def _changelog(root: Path, version: str, today: date) -> str:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if f"\n## [{version}]" in text:
        return text
    return text.replace(UNRELEASED, f"{UNRELEASED}\n## [{version}] - {today}\n", 1)


if __name__ == "__main__":
    try:
        done = freeze()
    except ValueError as error:
        sys.exit(str(error))
    print("\n".join(f"wrote {name}" for name in done) or f"{__version__} is frozen already")
