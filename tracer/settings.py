"""The effective value of every setting.

Sources: code, then the environment, then the default. A bad value warns once, naming variable, value and default, and
the default is used; nothing here ever stops the application from starting.
"""

from __future__ import annotations

import os
import sys

from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.settings_table import TABLE, Setting
from ddmiddleware.tracing.settings_values import boolean

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

AGENT_SOCKET = "/var/run/datadog/apm.socket"  # where an agent on this host has one
_ROWS = {row.name: row for row in TABLE}


class Settings:
    """The effective value of every row, and where it came from: ``settings["DD_SERVICE"]``."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.environ = os.environ if environ is None else environ
        self._values: dict[str, Any] = {}
        self._warned: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            self._values[name] = self._read(_ROWS[name])
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in _ROWS:
            raise KeyError(f"no setting is called {name}")
        self._values[name] = value

    def changed(self, **values: Any) -> Settings:
        """Return a copy with *values* set in code; those that are None stay as they are."""
        copy = Settings(self.environ)
        copy._values.update(self._values)
        for name, value in values.items():
            if value is not None:
                copy[name] = value
        return copy

    def _read(self, row: Setting) -> Any:
        for name in (row.name, *row.aliases):
            value = self.environ.get(name, "")
            if value:
                try:
                    return row.parse(value)
                except ValueError as error:
                    shown = "***" if row.secret else repr(value)
                    self._warn(name, f"{name}={shown} is no valid value ({error}); using {row.default!r}")
        return row.default

    def switch(self, name: str) -> bool | None:
        """Return a switch that belongs to a pattern (``DD_TRACE_<NAME>_ENABLED``), or None where it is unset."""
        value = self.environ.get(name, "")
        if value:
            try:
                return boolean(value)
            except ValueError as error:
                self._warn(name, f"{name}={value!r} is no valid value ({error}); ignored")
        return None

    def text(self, name: str) -> str:
        """Return a variable that belongs to a pattern (``DD_<NAME>_SERVICE``), or ``""``."""
        return self.environ.get(name, "")

    def _is_set(self, name: str) -> bool:
        row = _ROWS[name]
        return self[name] != row.default or any(self.environ.get(each) for each in (name, *row.aliases))

    def _warn(self, name: str, message: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warn("%s", message)

    @property
    def service(self) -> str:
        """The service's name: as set, or guessed from the command line."""
        return self["DD_SERVICE"] or self["DD_TAGS"].get("service") or guess_service(sys.argv)

    @property
    def agent_address(self) -> str:
        """The agent's URL: as set, from host and port, its socket where that exists, or the local collector's."""
        url: str = self["DD_TRACE_AGENT_URL"]
        if url:
            return url
        if not (self._is_set("DD_AGENT_HOST") or self._is_set("DD_TRACE_AGENT_PORT")) and os.path.exists(AGENT_SOCKET):
            return f"unix://{AGENT_SOCKET}"
        host = self["DD_AGENT_HOST"]
        return f"http://{f'[{host}]' if ':' in host else host}:{self['DD_TRACE_AGENT_PORT']}"


def guess_service(argv: list[str]) -> str:
    """Name a service after what the command line runs: a script, a module, or the ``module:app`` given to a server."""
    for argument in argv[1:]:
        module, colon, name = argument.partition(":")
        if (
            colon
            and name.partition("(")[0].replace(".", "_").isidentifier()
            and module.replace(".", "_").isidentifier()
        ):
            return module.rpartition(".")[2] if module.count(".") == 0 else module.partition(".")[0]
    program = os.path.basename(argv[0]) if argv and argv[0] else ""
    if program == "__main__.py":
        program = os.path.basename(os.path.dirname(argv[0]))
    if program.startswith("-"):  # python -c and the like
        program = ""
    return program.removesuffix(".py") or "unnamed-python-service"


settings = Settings()
