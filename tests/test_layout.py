"""The rooms: who may import whom, and that the package list and the links match the folders."""

import ast
import importlib
import inspect
import pathlib

import pytest

from ddmiddleware.integrations import TABLE

ROOT = pathlib.Path(__file__).parent.parent
# folder: import name below ddmiddleware
ROOMS = {"collector": "collector", "integrations": "integrations", "profiler": "profiling", "tracer": "tracing"}
MAY_IMPORT = {
    "tracer": {"tracing"},
    "profiler": {"profiling", "tracing"},
    "integrations": {"integrations", "tracing"},
    "collector": {"collector"},
    "ddmiddleware": {"ddmiddleware", "integrations", "profiling", "tracing", "collector"},
    "example_apps": {"ddmiddleware"},
}


def files(room):
    return [path for path in (ROOT / room).rglob("*.py") if not any(part.is_symlink() for part in path.parents)]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"relative import in {path}"
            assert node.level == 0, f"relative import in {path}"
            if node.module == "ddmiddleware":
                yield from (f"ddmiddleware.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_import_direction(room):
    assert files(room)
    for path in files(room):
        for name in imported(path):
            top, *rest = name.split(".")
            assert top not in ROOMS, f"{path} imports {name} bare"  # the folder names are no import names
            if top == "ddmiddleware":
                target = rest[0] if rest and rest[0] in ROOMS.values() else "ddmiddleware"
                assert target in MAY_IMPORT[room], f"{path} imports {name}"
                assert target == ROOMS.get(room, room) or len(rest) <= 1, f"{path} reaches inside {target}: {name}"


@pytest.mark.parametrize("room", ROOMS)
def test_no_exported_name_hides_a_module(room):
    module = importlib.import_module(f"ddmiddleware.{ROOMS[room]}")
    exported = module.__all__
    hidden = set(exported) & {path.stem for path in (ROOT / room).glob("*.py")}
    modules = {name for name in hidden if inspect.ismodule(getattr(module, name))}
    assert not hidden - modules


def test_every_package_is_listed():
    tomllib = pytest.importorskip("tomllib")
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {"ddmiddleware"}
    for room in ["ddmiddleware", *ROOMS]:
        for init in (path for path in files(room) if path.name == "__init__.py"):
            parts = init.parent.relative_to(ROOT).parts
            found.add(".".join(parts if parts[0] == "ddmiddleware" else ("ddmiddleware", ROOMS[parts[0]], *parts[1:])))
    assert set(listed) == found


@pytest.mark.skipif(not (ROOT / "ddmiddleware" / "tracing").is_symlink(), reason="an sdist, or git without links")
@pytest.mark.parametrize("room", ROOMS)
def test_link(room):
    assert (ROOT / "ddmiddleware" / ROOMS[room]).resolve() == ROOT / room


def test_every_integration_has_a_row():
    libraries = {path.stem for path in (ROOT / "integrations").glob("[!_]*.py")}
    rows = {row.loads for row in TABLE.values()}
    assert {name for name in rows if name.startswith("ddmiddleware.integrations.")} == {
        f"ddmiddleware.integrations.{name}" for name in libraries
    }
    frameworks = {name.removeprefix("ddmiddleware.") for name in rows} - {f"integrations.{name}" for name in libraries}
    for name in frameworks:
        assert any((ROOT / "ddmiddleware" / path).exists() for path in (f"{name}.py", f"{name}/__init__.py"))


def test_no_file_is_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for room in [*MAY_IMPORT, "benchmarks", "tests"]
        for path in files(room)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 320
    }
    assert not long
