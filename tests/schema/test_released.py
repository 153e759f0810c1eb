"""What was released stays as it was, and the version is said in one place."""

import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from pg_payments import __version__
from tests.support.releases import ROOT, freeze, offences, read, released, states

TODAY = date(2031, 2, 3)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree of which 0.9.0 was released."""
    tmp_path = tmp_path_factory.mktemp("released")
    for directory in ("migrations", "functions", "policies"):
        shutil.copytree(ROOT / directory, tmp_path / directory)
    (tmp_path / "migrations/released.sha256").unlink(missing_ok=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n")
    assert freeze(tmp_path, "0.9.0", TODAY) == [
        "migrations/released.sha256", "tests/upgrades/0.9.0.sql.xz", "CHANGELOG.md",
    ]  # fmt: skip
    return tmp_path


@pytest.fixture
def root(frozen: Path, tmp_path: Path) -> Path:
    """The same, to change."""
    return shutil.copytree(frozen, tmp_path / "tree")


def test_released_migrations_are_as_they_were() -> None:
    assert offences(ROOT) == []


def test_every_released_state_is_kept_and_told_of() -> None:
    told = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    kept = [state.name.removesuffix(".sql.xz") for state in states()]
    assert sorted(told) == sorted(kept)
    assert bool(kept) == bool(released(ROOT))
    for state, version in zip(states(), kept, strict=True):
        assert read(state).startswith(f"-- pg-payments {version}: ")


def test_the_version_is_said_in_one_place() -> None:
    places = [
        path.relative_to(ROOT).as_posix()
        for path in (*(ROOT / "pg_payments").rglob("*.py"), ROOT / "pyproject.toml", ROOT / "Dockerfile")
        if re.search(rf"version\S* *= *\W{re.escape(__version__)}\W", path.read_text(encoding="utf-8"))
    ]
    assert places == ["pg_payments/__init__.py"]


def test_freezing_again_changes_nothing_and_tells_another_day(root: Path) -> None:
    assert freeze(root, "0.9.0", date(2031, 2, 4)) == []
    assert "## [Unreleased]\n\n## [0.9.0] - 2031-02-03\n\n### Added" in (root / "CHANGELOG.md").read_text()


CHANGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "edited": (
        lambda files: (files / "0006.transactions.sql").open("a").write("-- more\n"),
        ["0006.transactions.sql was edited"],
    ),
    "its rollback edited": (
        lambda files: (files / "0005.checkout.rollback.sql").write_text("select 1;\n"),
        ["0005.checkout.rollback.sql was edited"],
    ),
    "gone": (lambda files: (files / "0002.ledger.sql").unlink(), ["0002.ledger.sql is gone"]),
    "renamed": (
        lambda files: (files / "0002.ledger.sql").rename(files / "0002.events.sql"),
        ["0002.events.sql comes too early", "0002.ledger.sql is gone"],
    ),
    "slipped in": (
        lambda files: (files / "0003.other.sql").write_text("select 1;\n"), ["0003.other.sql comes too early"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_released_migration_stays(root: Path, change: str) -> None:
    make, expected = CHANGES[change]
    make(root / "migrations")
    found = offences(root)
    assert set(expected) <= set(found)
    assert all(name.startswith("0002") for name in {line[:4] for line in found if line not in expected})
    with pytest.raises(ValueError, match="released migrations stay as they are"):
        freeze(root, "0.9.1", TODAY)


def test_a_new_migration_needs_a_new_version(root: Path) -> None:
    (root / "migrations/9000.more.sql").write_text("select 1;\n")
    assert offences(root) == []
    with pytest.raises(ValueError, match=r"0\.9\.0 was frozen otherwise: raise the version"):
        freeze(root, "0.9.0", TODAY)
    assert freeze(root, "0.10.0", TODAY)[0] == "migrations/released.sha256"
    assert [state.name for state in states(root)] == ["0.9.0.sql.xz", "0.10.0.sql.xz"]
    assert "9000.more.sql" in released(root)
    assert "migrations/9000.more.sql" not in read(states(root)[0])
