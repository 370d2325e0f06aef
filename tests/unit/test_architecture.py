"""The house rules that a reader relies on: one road for imports, no circles, no module that holds two ideas."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_OF_ONE_IDEA = 400

LIBRARY = (
    {"__init__", "errors"},
    {"model", "logs", "parts"},
    {"settings", "seen", "addresses", "geojson"},
    {"executors", "http"},
    {"mapping", "sizes", "locality"},
    {"stores", "catalog"},
    {"sources"},
    {"plan", "alternates"},
    {"asking", "batch", "differences", "removal", "verdict", "replication", "upload", "consistency", "keeping"},
    {"under_way"},
    {"sync", "verify", "watch", "finding", "compat", "forgetting"},
    {"lake", "findable"},
    {"commands", "demo"},
    {"cli", "__main__"},
)

SERVICES = (
    {"__init__", "schema", "refusals", "meters"},
    {"observed", "adql", "values", "lake_tables", "parameters", "examples", "style"},
    {"results"},
    {"database", "tap_schema"},
    {"published", "running", "uploads", "uws", "vosi"},
    {"query", "dachs"},
    {"availability"},
    {"services"},
    {"responses", "holdings"},
    {"tap", "scs", "sia2", "frontpage"},
    {"app", "figures", "registration"},
)
LINKS = (
    {"__init__", "terms", "cutouts", "cuttable"},
    {"rows"},
    {"asked", "links", "votable"},
    {"description", "descriptors", "pages"},
    {"service", "soda"},
)
LEVELS = {"stac_rucio_sync": LIBRARY, "obscore_tap": SERVICES, "datalink": LINKS}
"""From the ground up: a module may import what lies below it in its package, and nothing beside it."""

MODULES = sorted(path for package in LEVELS for path in (ROOT / package).rglob("*.py") if "guest" not in path.parts)


def room_of(module: str) -> tuple[str, str]:
    """Return the package of a module and what it belongs to there."""
    package, *parts = module.split(".")
    is_module = bool(parts) and any((ROOT / package / f"{parts[0]}{end}").exists() for end in ("", ".py"))
    return package, parts[0] if is_module else "__init__"


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@cache
def imports_of(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def level_of(package: str, room: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS[package]) if room in rooms)


def title(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=title)
def test_imports_go_down_the_road(path: Path) -> None:
    here = room_of(module_of(path))
    for module in imports_of(path):
        there = room_of(module)
        if there[0] == here[0] and there != here:
            assert level_of(*there) < level_of(*here), f"{path.name} imports {module}"


def test_the_library_does_not_know_the_services() -> None:
    """Only the commands that start or describe them do: the command line is above both."""
    commands = {f"stac_rucio_sync/commands/{name}.py" for name in ("serve", "dachs_rd", "registry_record")}
    for path in MODULES:
        if path.is_relative_to(ROOT / "stac_rucio_sync") and title(path) not in commands:
            assert {module.split(".")[0] for module in imports_of(path)}.isdisjoint({"obscore_tap", "datalink"}), path


def test_tap_does_not_know_datalink() -> None:
    for path in (ROOT / "obscore_tap").rglob("*.py"):
        assert "datalink" not in {module.split(".")[0] for module in imports_of(path)}, path


def test_translation_needs_nothing_but_what_is_published() -> None:
    allowed = {"obscore_tap.schema", "stac_rucio_sync.errors"}
    for path in (ROOT / "obscore_tap" / "adql").rglob("*.py"):
        for module in imports_of(path):
            ours = module.split(".")[0] in LEVELS and not module.startswith("obscore_tap.adql")
            assert not ours or any(module == one or module.startswith(one + ".") for one in allowed), (path, module)


def test_modules_have_no_circles() -> None:
    names = {module_of(path) for path in MODULES}
    graph = {module_of(path): (imports_of(path) & names) - {module_of(path)} for path in MODULES}
    # A package's __init__ may gather its own modules.
    for name, needs in graph.items():
        graph[name] = frozenset(need for need in needs if not name.startswith(need + "."))
    assert list(TopologicalSorter(graph).static_order())


_ASK_THE_DATABASE = {("obscore_tap", room) for room in ("database", "uploads", "uws")}


@pytest.mark.parametrize(
    ("driver", "rooms"),
    [
        ("rucio", {("stac_rucio_sync", "stores")}),
        ("psycopg", {("stac_rucio_sync", room) for room in ("stores", "lake", "demo")} | _ASK_THE_DATABASE),
        ("sqlalchemy", {("stac_rucio_sync", "stores"), ("obscore_tap", "published")} | _ASK_THE_DATABASE),
    ],
)
def test_a_driver_is_imported_in_its_store_only(driver: str, rooms: set[tuple[str, str]]) -> None:
    for path in MODULES:
        if any(module.split(".")[0] == driver for module in imports_of(path)):
            assert room_of(module_of(path)) in rooms, f"{path} imports {driver}"


STORES = {"rucio": {"storage"}, "storage": set(), "tables": set()}
"""Which other stores each may know: Rucio's protocols say where on a storage a file lies."""


@pytest.mark.parametrize("store", STORES)
def test_stores_do_not_know_each_other(store: str) -> None:
    stores = "stac_rucio_sync.stores"
    modules = list((ROOT / stores.replace(".", "/") / store).glob("*.py"))
    assert len(modules) > 1
    for path in modules:
        met = {module.split(".")[2] for module in imports_of(path) if module.startswith(f"{stores}.")}
        assert met <= STORES[store] | {store}, path


def test_every_store_has_its_driver() -> None:
    drivers = {"rucio": {"rucio"}, "storage": {"rucio"}, "tables": {"psycopg", "sqlalchemy"}}
    for path in (ROOT / "stac_rucio_sync" / "stores").rglob("*.py"):
        used = {module.split(".")[0] for module in imports_of(path)} & {"rucio", "psycopg", "sqlalchemy"}
        assert used <= drivers.get(path.parent.name, set()), path


@pytest.mark.parametrize("path", MODULES, ids=title)
def test_a_module_holds_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_OF_ONE_IDEA


def test_the_map_shows_every_room_and_no_other() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = {Path(name).name for name in re.findall(r"`([a-z_/0-9]+(?:\.py|/))`", page)}
    parts = [ROOT / name for name in (*LEVELS, "rucio_policy", "sql", "tests")]
    assert named <= {path.name for part in parts for path in (part, *part.rglob("*"))}
    for package in LEVELS:
        folder = ROOT / package
        rooms = {path.parent.name for path in folder.glob("*/__init__.py")} | {
            path.name for path in folder.glob("*.py")
        }
        assert rooms - {"__init__.py", "__main__.py"} <= named, package
