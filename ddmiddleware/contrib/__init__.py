"""What ddtrace's users import from ``ddtrace.contrib``: middleware, helpers, and ``patch`` of single integrations.

A module of each integration's name is made when it is imported: ``from ddmiddleware.contrib.redis import patch``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from ddmiddleware import integrations


class _Finder(MetaPathFinder):
    """Makes the modules of integrations that have no file here."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return a spec for the name of an integration."""
        package, _, integration = name.rpartition(".")
        return ModuleSpec(name, _Loader()) if package == __name__ and integration in integrations.TABLE else None


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> None:
        """Leave making an ordinary module to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill *module* with the functions of its integration."""
        name = module.__name__.rpartition(".")[2]
        functions = dict(zip(("patch", "unpatch", "get_version"), functions_of(name), strict=True))
        vars(module).update(functions, __all__=list(functions), __doc__=f"The integration ``{name}``.")


def functions_of(name: str) -> tuple[Callable[..., None], Callable[[], None], Callable[[], str]]:
    """Return ``patch``, ``unpatch`` and ``get_version`` of an integration, which every module here has."""
    return (
        partial(integrations.patch, **{name: True}),
        partial(integrations.unpatch, name),
        partial(version, name),
    )


def version(name: str) -> str:
    """Return the version of the library that the integration *name* traces, or ``""``."""
    tops = [module.partition(".")[0] for module in integrations.TABLE[name].modules]
    return next((str(getattr(sys.modules[top], "__version__", "")) for top in tops if top in sys.modules), "")


sys.meta_path.append(_Finder())
