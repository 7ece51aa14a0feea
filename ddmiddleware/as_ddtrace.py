"""``import ddmiddleware.as_ddtrace``: from then on ``import ddtrace`` gives this suite, where ddtrace is not installed.

``ddtrace`` is this package by another name, and so is every module below it: ``ddtrace.constants`` and
``ddmiddleware.constants`` are one object. A real ddtrace is found first, whenever it is there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_THEIRS = "ddtrace"
_OURS = "ddmiddleware"
# What this suite has beside ddtrace's names must not become one of them.
_PRIVATE = ("as_ddtrace", "collector", "integrations", "tracing")


class _Finder(MetaPathFinder):
    """Stands before the other finders, which would load a second copy of a module by the package's path."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of an alias, or None for what is not ours or is found elsewhere."""
        top, _, rest = name.partition(".")
        if top != _THEIRS or not self._is_ours(top):
            return None
        if rest.partition(".")[0] in _PRIVATE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        ours = f"{_OURS}.{rest}" if rest else _OURS
        try:
            if find_spec(ours) is None:
                return None
        except ModuleNotFoundError:  # its parent is no package
            return None
        return ModuleSpec(name, _Alias(ours), is_package=True)

    def _is_ours(self, top: str) -> bool:
        """Return whether the name means this suite: it is loaded as that, or there is no real one to load."""
        if top in sys.modules:
            return sys.modules[top] is sys.modules[_OURS]
        others = [finder for finder in sys.meta_path if finder is not self]
        return not any(finder.find_spec(top, None) for finder in others)


class _Alias(Loader):
    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return our module of the same name."""
        module = import_module(self._ours)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is: it was executed under its own name."""
        module.__spec__ = self._spec  # the import system has put the alias's there


sys.meta_path.insert(0, _Finder())
