"""The house rules that a reader relies on: one road for imports, no circles, no module that holds two ideas."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "stac_rucio_sync"
LINES_OF_ONE_IDEA = 400

LEVELS = (
    {"__init__", "errors"},
    {"model"},
    {"settings", "seen", "addresses"},
    {"http"},
    {"mapping", "sources", "stores", "sizes"},
    {"plan"},
    {"audit", "batch", "removal", "verdict"},
    {"sync", "verify"},
    {"lake"},
    {"commands", "demo"},
    {"cli", "__main__"},
)
"""From the ground up: a module may import what lies below it, and nothing beside it."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "guest" not in path.parts)


def room_of(module: str) -> str:
    parts = module.split(".")
    is_module = len(parts) > 1 and any((PACKAGE / f"{parts[1]}{end}").exists() for end in ("", ".py"))
    return parts[1] if is_module else "__init__"


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def level_of(room: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS) if room in rooms)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_the_road(path: Path) -> None:
    room = room_of(module_of(path))
    for module in imports_of(path):
        if module.startswith("stac_rucio_sync.") and room_of(module) != room:
            assert level_of(room_of(module)) < level_of(room), f"{path.name} imports {module}"


def test_modules_have_no_circles() -> None:
    names = {module_of(path) for path in MODULES}
    graph = {module_of(path): (imports_of(path) & names) - {module_of(path)} for path in MODULES}
    # A package's __init__ may gather its own modules.
    for name, needs in graph.items():
        graph[name] = {need for need in needs if not name.startswith(need + ".")}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(
    ("driver", "rooms"),
    [("rucio", {"stores"}), ("psycopg", {"stores", "lake", "demo"}), ("sqlalchemy", {"stores"})],
)
def test_a_driver_is_imported_in_its_store_only(driver: str, rooms: set[str]) -> None:
    for path in MODULES:
        if any(module.split(".")[0] == driver for module in imports_of(path)):
            assert room_of(module_of(path)) in rooms, f"{path} imports {driver}"


def test_the_two_stores_do_not_know_each_other() -> None:
    for path in (PACKAGE / "stores").glob("*.py"):
        drivers = {module.split(".")[0] for module in imports_of(path)} & {"rucio", "psycopg", "sqlalchemy"}
        assert not {"rucio", "psycopg"} <= drivers, path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_holds_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_OF_ONE_IDEA
