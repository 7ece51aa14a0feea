"""References to replaced functions that could not be rebound: calls through them are not traced.

Found are names of modules, attributes of their classes, defaults of their functions, and partials; not what sits in
instances, containers and closures.
"""

from __future__ import annotations

import ast
import functools
import linecache
import sys
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any, NamedTuple


class Stale(NamedTuple):
    """*name* (``module:Class.attribute``) still means the original of *path*; it was made at *line* of *file*."""

    name: str
    path: str
    file: str
    line: int


def stale(originals: Mapping[int, str]) -> list[Stale]:
    """Return the references to functions whose ``id`` is in *originals*, which gives the path of each."""
    found = []
    for module_name, module in sorted(sys.modules.items()):
        try:
            names = object.__getattribute__(module, "__dict__")  # a lazy module would be loaded by its own
        except AttributeError:
            continue
        if type(names) is not dict or module_name.partition(".")[0] in ("ddmiddleware", "wrapt"):
            continue
        for steps, path, line in _within(dict(names), module_name, originals):
            file = names.get("__file__") or ""
            found.append(Stale(f"{module_name}:{'.'.join(steps)}", path, file, line or _line(file, steps)))
    return found


def _within(
    names: Mapping[str, Any], module: str, originals: Mapping[int, str], steps: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, int]]:
    for name, value in names.items():
        function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        path = originals.get(id(function))
        if path is not None:
            yield (*steps, name), path, 0
        elif type(function) is FunctionType and function.__module__ == module:
            defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
            for default in defaults:
                if id(default) in originals:
                    yield (*steps, name), originals[id(default)], function.__code__.co_firstlineno
        elif type(function) is functools.partial and id(function.func) in originals:
            yield (*steps, name), originals[id(function.func)], 0
        elif isinstance(function, type) and function.__module__ == module and len(steps) < 3:
            yield from _within(dict(vars(function)), module, originals, (*steps, name))


def _line(file: str, steps: tuple[str, ...]) -> int:
    """Return the line of *file* that gives the name its meaning, 0 where that cannot be seen."""
    try:
        body: list[ast.stmt] = ast.parse("".join(linecache.getlines(file))).body
    except (SyntaxError, ValueError):
        return 0
    *classes, name = steps
    for each in classes:
        body = next((node.body for node in body if isinstance(node, ast.ClassDef) and node.name == each), [])
    bindings = [node for part in body for node in ast.walk(part) if isinstance(node, ast.stmt) and _binds(node, name)]
    return bindings[-1].lineno if bindings else 0


def _binds(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any((alias.asname or alias.name) in (name, "*") for alias in node.names)
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Name) and target.id == name for target in targets)
    return False
