"""Every public symbol of every module that is patched looks the same before and after ``patch_all()``."""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import re
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ddmiddleware import patch_all, unpatch
from tests.integrations.test_fidelity import CLASS_PROBES, EXPECTED, FUNCTION_PROBES, REPLACED, shown
from tests.integrations.test_fidelity import pytestmark as _warnings

pytestmark = [*_warnings, pytest.mark.once]

MODULES = sorted({path.partition(":")[0] for _, path, _ in REPLACED})
ABCS = (collections.abc.Callable, collections.abc.Iterable, collections.abc.Mapping, collections.abc.Hashable)
SYMBOL_PROBES: dict[str, Callable[[Any], Any]] = {
    **{key: probe for key, probe in FUNCTION_PROBES.items() if not key.startswith("source")},
    "identity": id,
    "isclass": inspect.isclass,
    "ABCs": lambda c: [(isinstance(c, abc), isinstance(c, type) and issubclass(c, abc)) for abc in ABCS],
}
# All but those that make instances, or read files: test_fidelity.py does so with the owners of what is replaced.
OF_CLASSES = {key: probe for key, probe in CLASS_PROBES.items() if key not in ("isinstance", "source")}
# Where one attribute is watched on the class itself, and where what is replaced is no function in Python.
WATCHED = {path.rpartition(".")[0] for _, path, adds in REPLACED if adds}
TARGETS = {path for _, path, _ in REPLACED}
NO_FUNCTIONS = {"cassandra.cluster:ResponseFuture", "sanic.app:Router", "sanic.router:Router"}
_ADDRESS = re.compile(r" at 0x\w+")


def public(module: types.ModuleType) -> dict[str, Any]:
    """Return a module's classes and functions that are no other module's secret."""
    names = getattr(module, "__all__", None) or [name for name in dir(module) if name[:1] != "_"]
    found = {name: getattr(module, name, None) for name in names}
    return {name: value for name, value in found.items() if inspect.isclass(value) or inspect.isroutine(value)}


def look(symbols: dict[str, Any]) -> dict[tuple[str, str], Any]:
    seen = {}
    for name, value in symbols.items():
        for key, probe in (SYMBOL_PROBES | OF_CLASSES if isinstance(value, type) else SYMBOL_PROBES).items():
            result = shown(partial(probe, value))
            seen[name, key] = _ADDRESS.sub("", result) if isinstance(result, str) else result
    return seen


def allowed(path: str, symbol: Any) -> set[str]:
    """Return what may differ of a symbol: docs/integrations/README.md lists it."""
    if path in WATCHED:
        return {"names", "own names"}
    if path in NO_FUNCTIONS:
        return {"members"}
    at_home = f"{symbol.__module__}:{symbol.__qualname__}"  # from where others may have it
    return {"identity", *EXPECTED.get(path, ())} if TARGETS & {path, at_home} else set()


@pytest.mark.parametrize("path", MODULES)
def test_public_symbols(path: str) -> None:
    module = importlib.import_module(path)
    symbols = public(module)
    look(symbols)  # looking makes some classes' __annotations__
    before = look(symbols)
    patch_all()
    after = look(public(module))
    unpatch()
    assert public(module) == symbols
    assert after.keys() == before.keys()
    differing = {key for key, value in after.items() if value != before[key]}
    assert {(name, key) for name, key in differing if key not in allowed(f"{path}:{name}", symbols[name])} == set()
