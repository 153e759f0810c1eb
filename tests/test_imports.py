"""Who may import whom: the layers of `[tool.importlinter]` in pyproject.toml, at most eight floors, and no cycle."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
FLOORS = 8
"""How many packages and modules of `pg_payments` may stand on one another."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("pg_payments", cache_dir=None)


def room(module: str) -> str:
    """The package or module directly under `pg_payments` that a module is part of."""
    return ".".join(module.split(".")[:2])


def imports_between_rooms(graph: grimp.ImportGraph) -> dict[str, set[str]]:
    """What each room imports of other rooms; `pg_payments` itself, which imports nothing, left out."""
    found: dict[str, set[str]] = {room(module): set() for module in graph.modules if module != "pg_payments"}
    for importer in graph.modules - {"pg_payments"}:
        for imported in graph.find_modules_directly_imported_by(importer) - {"pg_payments"}:
            if room(imported) != room(importer):
                found[room(importer)].add(room(imported))
    return found


def floors(imports: dict[str, set[str]]) -> dict[str, int]:
    """Each room's floor: one above the highest of those that it imports. Raises where there is a cycle."""
    on_the_way: list[str] = []

    @cache
    def floor(name: str) -> int:
        assert name not in on_the_way, " -> ".join([*on_the_way, name])
        on_the_way.append(name)
        found = 1 + max((floor(other) for other in sorted(imports[name])), default=0)
        on_the_way.pop()
        return found

    return {name: floor(name) for name in sorted(imports)}


def test_the_contracts_hold(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


def test_rooms_stand_on_at_most_eight_floors(graph: grimp.ImportGraph) -> None:
    found = floors(imports_between_rooms(graph))
    assert max(found.values()) <= FLOORS, sorted(found.items(), key=lambda each: each[1])


def test_no_modules_import_each_other_in_a_cycle(graph: grimp.ImportGraph) -> None:
    floors({module: set(graph.find_modules_directly_imported_by(module)) & graph.modules for module in graph.modules})


@pytest.mark.parametrize(
    "imports",
    [
        {"a": {"b"}, "b": {"a"}},
        {"a": {"b"}, "b": {"c"}, "c": {"b"}},
        {"a": {"b", "d"}, "b": {"c"}, "c": {"d"}, "d": {"b"}},
    ],
)
def test_a_cycle_is_seen(imports: dict[str, set[str]]) -> None:
    with pytest.raises(AssertionError, match="->"):
        floors(imports)
