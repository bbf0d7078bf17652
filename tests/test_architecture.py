"""Checks of the package's structure: imports, sizes and broad excepts."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import pytest

PACKAGE = Path(__file__).parent.parent / "qos_agent"
# The build writes _version.py from the tags.
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "_version.py")

# A package may import the packages before it in this list.
PACKAGES = (
    "model",
    "system",
    "evidence",
    "config",
    "journal",
    "influx",
    "verdict",
    "archive",
    "probes",
    "uplink",
    "schedule",
    "report",
    "agent",
    "noc",
    "cli",
    "__main__",
)
NOC_PACKAGES = (
    "sections",
    "settings",
    "database",
    "certificates",
    "authority",
    "register",
    "remote",
    "provision",
    "backup_config",
    "backup_remote",
    "backup",
    "backup_influxdb",
    "state",
    "rollup",
    "census",
    "troubles",
    "witness",
    "simulator",
    "service",
    "health",
    "installation",
)

# Imports that would tie two kinds of work together.
FORBIDDEN = (
    ("probes", {"journal", "uplink", "agent", "schedule", "influx"}),
    ("journal", {"uplink", "probes", "agent", "influx"}),
    ("uplink", {"probes", "agent", "schedule"}),
    ("verdict", {"probes", "journal", "uplink", "influx"}),
    ("report", {"agent", "noc"}),
)
HEAVY = {
    "influxdb_client",
    "duckdb",
    "rich",
    "speedtest",
    "cryptography",
    "ibis",
    "xlsxwriter",
    "segno",
    "typst",
    "matplotlib",
}


def _module(path: Path) -> str:
    """The top-level name a file belongs to: `probes` for probes/latency/x.py."""
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


@cache
def _tree(path: Path) -> ast.Module:
    """Parse a file once; several checks walk it."""
    return ast.parse(path.read_text())


def _imports(path: Path) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            base = node.module
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from (
                (node, name) for name in (names if base == "qos_agent" else [base])
            )
        elif isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)


def _own(path: Path) -> set[str]:
    return {
        name.split(".")[1]
        for _, name in _imports(path)
        if name.startswith("qos_agent.") and name != "qos_agent.__version__"
    } - {_module(path)}


def _ranked(name: str, packages: tuple[str, ...]) -> int:
    assert name in packages, f"{name}: add it to the list of packages"
    return packages.index(name)


def _found(check: Callable[[Path], set[str]], files: list[Path]) -> dict[str, set[str]]:
    """Return what a check finds in each file that has something to find."""
    return {str(p.relative_to(PACKAGE)): names for p in files if (names := check(p))}


def _above(path: Path) -> set[str]:
    """Return the packages that a file imports and that stand after its own."""
    package = _module(path)
    if package == "__init__":
        return set()
    rank = _ranked(package, PACKAGES)
    return {name for name in _own(path) if _ranked(name, PACKAGES) > rank}


def test_imports_point_downward() -> None:
    """No package imports a package that stands after it in the list."""
    assert _found(_above, FILES) == {}


NOC_FILES = [p for p in FILES if p.is_relative_to(PACKAGE / "noc")]


def _above_inside_noc(path: Path) -> set[str]:
    """Return the packages of noc/ that a file imports and that stand after its own."""
    package = path.relative_to(PACKAGE / "noc").parts[0].removesuffix(".py")
    if package == "__init__":
        return set()
    rank = _ranked(package, NOC_PACKAGES)
    imported = {
        name.split(".")[2]
        for _, name in _imports(path)
        if name.startswith("qos_agent.noc.")
    } - {package}
    return {name for name in imported if _ranked(name, NOC_PACKAGES) > rank}


def test_imports_point_downward_inside_noc() -> None:
    """No package of the operations centre imports one that stands after it."""
    assert _found(_above_inside_noc, NOC_FILES) == {}


@pytest.mark.parametrize(
    ("family", "forbidden"), FORBIDDEN, ids=[f for f, _ in FORBIDDEN]
)
def test_families_do_not_import_each_other(family: str, forbidden: set[str]) -> None:
    """Probes do not import the journal, and the journal does not import the uplink."""
    found = {name for path in FILES if _module(path) == family for name in _own(path)}
    assert found & forbidden == set()


def _heavy(path: Path) -> set[str]:
    """Return the heavy libraries that are loaded when a module is imported."""
    if path.name.startswith("screen") or path.name == "speedtest_child.py":
        return set()  # imported inside the command that needs them
    names = {
        alias.name.split(".")[0]
        for node in _tree(path).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (
            node.names
            if isinstance(node, ast.Import)
            else [ast.alias(name=node.module or "")]
        )
    }
    return names & HEAVY


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    """Importing a module does not load InfluxDB's client or a renderer."""
    assert _found(_heavy, FILES) == {}


def _functions() -> Iterator[tuple[str, int]]:
    for path in FILES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                yield f"{path.relative_to(PACKAGE)}:{node.name}", length


def test_files_have_at_most_400_lines() -> None:
    """No file is longer than 400 lines."""
    long = {str(p): n for p in FILES if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}


def test_functions_do_one_thing() -> None:
    """Median under 10 lines, nine of ten under 30, none over 60."""
    lengths = dict(_functions())
    assert {name: n for name, n in lengths.items() if n > 60} == {}
    assert quantiles(lengths.values(), n=10)[-1] <= 30
    assert median(lengths.values()) < 10


def test_broad_excepts_are_few() -> None:
    """They are in the envelope, the supervisor and at the command boundary.

    The supervisor has one for threads and one for actions. Elsewhere a broad except
    may only undo something and raise again.
    """
    found = []
    for path in FILES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = "" if node.type is None else ast.unparse(node.type)
                passed_on = ast.unparse(node.body[-1]) == "raise"
                if caught in {"", "Exception", "BaseException"} and not passed_on:
                    found.append(str(path.relative_to(PACKAGE)))
    supervisor = "system/supervision.py"
    boundaries = ["cli/main.py", "probes/envelope.py"]
    assert sorted(found) == [*boundaries, supervisor, supervisor]
