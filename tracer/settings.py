"""Every setting, in one table: name, type, default, help.

Sources: code, then the environment, then the default. A bad value warns once, naming variable, value and default, and
the default is used; nothing here ever stops the application from starting.
"""

from __future__ import annotations

import os
import sys

from ddmiddleware.tracing.log import warn

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Setting:
    """One row: the environment variable, how its text is read, the default, and what it means."""

    def __init__(
        self, name: str, parse: Callable[[str], Any], default: Any, help: str, aliases: tuple[str, ...] = ()
    ) -> None:
        self.name, self.parse, self.default, self.help, self.aliases = name, parse, default, help, aliases


def boolean(value: str) -> bool:
    """Read a switch; raise ValueError for what is neither on nor off."""
    word = value.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError("expected true or false")


def whole(value: str) -> int:
    """Read a number that is at least 1."""
    number = int(value)
    if number < 1:
        raise ValueError("expected a number of at least 1")
    return number


def seconds(value: str) -> float:
    """Read a time in seconds, between 0 and an hour."""
    number = float(value)
    if not 0 <= number <= 3600:
        raise ValueError("expected seconds between 0 and 3600")
    return number


def port(value: str) -> int:
    """Read a TCP port."""
    number = int(value)
    if not 1 <= number <= 65535:
        raise ValueError("expected a port between 1 and 65535")
    return number


def host(value: str) -> str:
    """Read a host name or address; one of IPv6 may stand in brackets."""
    value = value.strip().removeprefix("[").removesuffix("]")
    if not value or not all(character.isalnum() or character in "-._:%" for character in value):
        raise ValueError("expected a host name or an address")
    return value


def pairs(value: str) -> dict[str, str]:
    """Read ``key:value`` pairs, separated by commas or spaces."""
    found = {}
    for part in value.replace(",", " ").split():
        key, colon, text = part.partition(":")
        if not colon or not key:
            raise ValueError(f"expected key:value, got {part!r}")
        found[key] = text
    return found


def switches(value: str) -> dict[str, bool]:
    """Read ``name:true,other:false``."""
    return {name: boolean(word) for name, word in pairs(value).items()}


def statuses(value: str) -> frozenset[int]:
    """Read HTTP statuses and ranges of them, such as ``404,500-599``."""
    found: set[int] = set()
    for part in value.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = int(first), int(last if dash else first)
        if not 100 <= low <= high <= 599:
            raise ValueError("expected statuses between 100 and 599, such as 500-599")
        found.update(range(low, high + 1))
    return frozenset(found)


def api_version(value: str) -> str:
    """Read a version of the agent's protocol."""
    if value not in ("v0.4", "v0.5"):
        raise ValueError("expected v0.4 or v0.5")
    return value


def agent_url(value: str) -> str:
    """Check an agent's address: ``http://host:port``, ``https://host:port`` or ``unix:///path``."""
    from urllib.parse import urlsplit

    parts = urlsplit(value)
    if any(character <= " " for character in value):
        raise ValueError("expected no spaces")
    if parts.scheme in ("http", "https") and parts.hostname:
        _ = parts.port  # raises ValueError for what is no port
    elif not (parts.scheme == "unix" and parts.path and not parts.netloc):
        raise ValueError("expected http://host:port, https://host:port or unix:///path")
    return value


TABLE = (
    Setting(
        "DD_SERVICE", str, "", "Name of the service; guessed from the command line if unset.", ("OTEL_SERVICE_NAME",)
    ),
    Setting("DD_ENV", str, "", "Environment, such as production; a tag of every span."),
    Setting("DD_VERSION", str, "", "Version of the service; a tag of its spans."),
    Setting("DD_TAGS", pairs, {}, "Tags of every span: key:value pairs, separated by commas or spaces."),
    Setting("DD_SERVICE_MAPPING", pairs, {}, "Services to rename: from:to pairs."),
    Setting("DD_TRACE_ENABLED", boolean, True, "false switches everything off: no patch, thread, socket or log line."),
    Setting("DD_TRACE_DEBUG", boolean, False, "Log what ddmiddleware does, at DEBUG on the logger ddmiddleware."),
    Setting("DD_TRACE_AGENT_URL", agent_url, "", "Address of the collector or agent: http, https or unix:///path."),
    Setting(
        "DD_AGENT_HOST", host, "localhost", "Host of the agent, where no URL is given.", ("DD_TRACE_AGENT_HOSTNAME",)
    ),
    Setting("DD_TRACE_AGENT_PORT", port, 8126, "Port of the agent, where no URL is given.", ("DD_AGENT_PORT",)),
    Setting("DD_TRACE_AGENT_TIMEOUT_SECONDS", seconds, 2.0, "How long one request to the agent may take."),
    Setting("DD_TRACE_API_VERSION", api_version, "v0.5", "Version of the agent's protocol: v0.4 or v0.5."),
    Setting("DD_TRACE_WRITER_INTERVAL_SECONDS", seconds, 1.0, "How long finished spans may wait before they are sent."),
    Setting(
        "DD_TRACE_WRITER_BUFFER_SIZE_BYTES", whole, 8 << 20, "How much is kept while the agent is away; then dropped."
    ),
    Setting(
        "DD_TRACE_WRITER_MAX_SPANS", whole, 50_000, "How many finished spans may wait to be encoded; then dropped."
    ),
    Setting(
        # With what the rest of an exit takes, a collector that hangs costs a second.
        "DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS",
        seconds,
        0.8,
        "How long sending the rest may delay the process's exit.",
    ),
    Setting("DD_TRACE_PARTIAL_FLUSH_ENABLED", boolean, True, "Send the finished spans of a long trace before it ends."),
    Setting("DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", whole, 300, "How many finished spans make a partial flush."),
    Setting("DD_PATCH_MODULES", switches, {}, "Integrations to switch, for patch_all: redis:false,httpx:true."),
    Setting("DD_LOGS_INJECTION", boolean, True, "Add trace and span ids to log records."),
    Setting(
        "DD_TRACE_HTTP_SERVER_ERROR_STATUSES", statuses, statuses("500-599"), "Statuses that make a request an error."
    ),
)
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

    def _read(self, row: Setting) -> Any:
        for name in (row.name, *row.aliases):
            value = self.environ.get(name, "")
            if value:
                try:
                    return row.parse(value)
                except ValueError as error:
                    self._warn(name, f"{name}={value!r} is no valid value ({error}); using {row.default!r}")
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
        """The agent's URL: as set, from host and port, or the local collector's."""
        url: str = self["DD_TRACE_AGENT_URL"]
        if url:
            return url
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
