"""The effective value of every setting.

Sources: code, then the environment, then the default. A bad value warns once, naming variable, value and default, and
the default is used; nothing here ever stops the application from starting.
"""

from __future__ import annotations

import os
import sys

from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.log import info, warn
from ddmiddleware.tracing.settings_row import Setting
from ddmiddleware.tracing.settings_table import TABLE
from ddmiddleware.tracing.settings_values import boolean

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

AGENT_SOCKET = "/var/run/datadog/apm.socket"  # where an agent on this host has one
_UNNAMED = "unnamed-python-service"
_ROWS = {row.name: row for row in TABLE}
# What platforms call the service that they run: AWS Lambda, Cloud Run and Cloud Functions, Azure App Service.
_PLATFORM = ("AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTION_NAME", "WEBSITE_SITE_NAME")


class Settings:
    """The effective value of every row, and where it came from: ``settings["DD_SERVICE"]``."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.environ = os.environ if environ is None else environ
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}
        self._warned: set[str] = set()
        self._listeners: list[Callable[[str], None]] = []
        self._checked = False
        # Names for the patterns such as DD_<NAME>_SERVICE: those that stand above this room put theirs here.
        self.components: tuple[Iterable[str], ...] = ()

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            self._values[name] = self._read(_ROWS[name])
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in _ROWS:
            raise KeyError(f"no setting is called {name}")
        self._values[name] = value
        self._sources[name] = "code"
        for changed in self._listeners:
            with guard:
                changed(name)

    def listen(self, changed: Callable[[str], None]) -> None:
        """Call *changed* with the name of each setting that code sets from now on, after it."""
        self._listeners.append(changed)

    def source(self, name: str) -> str:
        """Return where the value of a setting comes from: ``code``, ``environment NAME`` or ``default``."""
        self[name]
        return self._sources[name]

    def changed(self, **values: Any) -> Settings:
        """Return a copy with *values* set in code; those that are None stay as they are, and a bad text is reported."""
        copy = Settings(self.environ)
        copy._values.update(self._values)
        copy._sources.update(self._sources)
        copy.components = self.components
        for name, value in values.items():
            try:
                if value is not None:
                    copy[name] = _ROWS[name].parse(value) if isinstance(value, str) else value
            except ValueError as error:
                warn("%s cannot be %r (%s); it stays as it was", name, _safe(name, value), error)
        return copy

    def row(self, name: str) -> Setting:
        """Return a setting's row of the table."""
        return _ROWS[name]

    def found(self, name: str) -> tuple[Any, str]:
        """Return the value in force and its source; where a setting is unset, it may follow from others."""
        value, source = self[name], self.source(name)
        if value or name not in _FOLLOWS:
            return value, source
        return _FOLLOWS[name](self)

    def effective(self) -> dict[str, str]:
        """Return the value in force of every setting as text, by lower-case name; what is secret is masked."""
        from ddmiddleware.tracing.settings_text import shown

        return {name.lower(): shown(self, name) for name in _ROWS}

    def sources(self) -> dict[str, str]:
        """Return the source of every setting's value, by lower-case name."""
        return {name.lower(): self.found(name)[1] for name in _ROWS}

    def sort_out(self) -> tuple[dict[str, str], list[str]]:
        """Return the mistyped names in the environment, each with what may be meant, and those of ddtrace only."""
        from ddmiddleware.tracing.settings_names import sorted_out

        return sorted_out(self.environ, {name for names in self.components for name in names})

    def of_integrations(self) -> dict[str, str]:
        """Return what the environment sets for single integrations, by name; a switch that is none is reported."""
        from ddmiddleware.tracing.settings_names import of_integrations

        found = of_integrations(self.environ, {name for names in self.components for name in names})
        services = ("_SERVICE", "_SERVICE_NAME")
        return {
            name: text
            for name in found
            if (text := self.text(name)) and (name.endswith(services) or self.switch(name) is not None)
        }

    def check(self) -> None:
        """Report, once, the names in the environment that look like settings and are none."""
        if self._checked:
            return
        self._checked = True
        if any(name.startswith("DD_") and name not in _ROWS for name in self.environ):
            mistyped, _ = self.sort_out()
            if mistyped:
                from ddmiddleware.tracing.settings_names import warning

                warn("no setting of ours, and without effect: %s", warning(mistyped))
        if self["DD_TRACE_STARTUP_LOGS"]:
            info("configuration: %s", self.effective())

    def _read(self, row: Setting) -> Any:
        for name, parse in row.readers:
            text = self.environ.get(name, "")
            if text:
                try:
                    value = parse(text)
                except ValueError as error:
                    from ddmiddleware.tracing.settings_text import unread

                    self._warn(name, unread(name, text, error, row))
                    continue
                if value is not None:
                    self._sources[row.name] = f"environment {name}"
                    return value
        self._sources[row.name] = "default"
        return row.default

    def switch(self, name: str) -> bool | None:
        """Return a switch that belongs to a pattern (``DD_TRACE_<NAME>_ENABLED``), or None where it is unset."""
        value = self.environ.get(name, "")
        if value:
            try:
                return boolean(value)
            except ValueError as error:
                self._warn(name, f"{name}={_safe(name, value)!r} is no valid value ({error}); ignored")
        return None

    def text(self, name: str) -> str:
        """Return a variable that belongs to a pattern (``DD_<NAME>_SERVICE``), or ``""``."""
        return self.environ.get(name, "")

    def _warn(self, name: str, message: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warn("%s", message)

    @property
    def service(self) -> str:
        """The service's name: as set, or guessed from the platform or the command line."""
        name: str = self.found("DD_SERVICE")[0]
        return name

    @property
    def env(self) -> str:
        """The environment: as set, or the tag of that name."""
        env: str = self.found("DD_ENV")[0]
        return env

    @property
    def version(self) -> str:
        """The service's version: as set, or the tag of that name."""
        version: str = self.found("DD_VERSION")[0]
        return version

    @property
    def agent_address(self) -> str:
        """The agent's URL: as set, from host and port, its socket where that exists, or the local collector's."""
        url: str = self.found("DD_TRACE_AGENT_URL")[0]
        return url


def _service(settings: Settings) -> tuple[str, str]:
    tagged = settings["DD_TAGS"].get("service")
    if tagged:
        return tagged, settings.source("DD_TAGS")
    for name in _PLATFORM:
        value = settings.environ.get(name, "")
        if value:
            return value, f"environment {name}"
    guessed = guess_service(sys.argv)
    if guessed == _UNNAMED:  # a worker that was spawned, as those of uvicorn and hypercorn are
        guessed = settings.environ.get("_DDMIDDLEWARE_SERVICE") or _UNNAMED
    return guessed, "command line"


def _env(settings: Settings) -> tuple[str, str]:
    tagged = settings["DD_TAGS"].get("env")
    return (tagged, settings.source("DD_TAGS")) if tagged else ("", settings.source("DD_ENV"))


def _version(settings: Settings) -> tuple[str, str]:
    tagged = settings["DD_TAGS"].get("version")
    return (tagged, settings.source("DD_TAGS")) if tagged else ("", settings.source("DD_VERSION"))


def _agent_url(settings: Settings) -> tuple[str, str]:
    host, source = settings["DD_AGENT_HOST"], settings.source("DD_AGENT_HOST")
    if source == "default":
        source = settings.source("DD_TRACE_AGENT_PORT")
        if source == "default" and os.path.exists(AGENT_SOCKET):
            return f"unix://{AGENT_SOCKET}", source
    return f"http://{f'[{host}]' if ':' in host else host}:{settings['DD_TRACE_AGENT_PORT']}", source


_FOLLOWS: dict[str, Callable[[Settings], tuple[str, str]]] = {
    "DD_SERVICE": _service,
    "DD_ENV": _env,
    "DD_VERSION": _version,
    "DD_TRACE_AGENT_URL": _agent_url,
}


def _safe(name: str, value: str) -> str:
    from ddmiddleware.tracing.settings_text import masked

    return masked(name, value)


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
    return program.removesuffix(".py") or _UNNAMED


def parsed(name: str, value: str) -> Any:
    """Return what *value* means as the text of a setting; raise ValueError saying what was expected."""
    return _ROWS[name].parse(value)


settings = Settings()
