"""The libraries we trace, and the switches that turn each on and off.

TABLE holds strings only: nothing of a library, and nothing of ours for it, is loaded before the application imports it.
"""

from __future__ import annotations

import sys

from ddmiddleware.tracing import default_settings, guarded, warn

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from typing import Any

    from ddmiddleware.integrations._diagnosis import diagnosis as diagnosis
    from ddmiddleware.integrations._options import options_of as options_of
    from ddmiddleware.integrations._patching import Call as Call
    from ddmiddleware.integrations._patching import Integration as Integration
    from ddmiddleware.integrations._patching import Traced as Traced
    from ddmiddleware.integrations._pin import Pin as Pin

__all__ = [
    "TABLE",
    "Call",
    "Integration",
    "ModuleNotFoundException",
    "Pin",
    "Row",
    "Traced",
    "diagnosis",
    "is_on",
    "options_of",
    "patch",
    "patch_all",
    "switched_by",
    "unpatch",
]


class Row:
    """One integration: the module whose import makes it load, and ours that holds the ``integration`` to load.

    *on* says whether ``patch_all`` patches it by default; *also* is another module of the kind: psycopg has two, and
    elasticsearch has had another beneath it since its version 8.
    """

    def __init__(self, watches: str, loads: str, on: bool = True, also: str = "") -> None:
        self.watches, self.loads, self.on = watches, loads, on
        self.modules = (watches, also) if also else (watches,)


def _row(name: str, watches: str = "", *, on: bool = True, also: str = "") -> Row:
    return Row(watches or name, f"ddmiddleware.integrations.{name}", on, also)


TABLE = {
    "aiohttp_client": _row("aiohttp_client", "aiohttp.client"),
    "cassandra": _row("cassandra", "cassandra.cluster"),
    "celery": _row("celery"),
    "aiomysql": _row("aiomysql"),
    "asyncpg": _row("asyncpg"),
    "elasticsearch": _row("elasticsearch", "elastic_transport", also="elasticsearch"),
    "futures": _row("futures", "concurrent.futures.thread"),
    "gevent": _row("gevent"),
    "httplib": _row("httplib", "http.client"),
    "httpx": _row("httpx"),
    "jinja2": _row("jinja2"),
    "kombu": _row("kombu"),
    "logging": _row("logging"),
    "loguru": _row("loguru"),
    "mako": _row("mako"),
    "mariadb": _row("mariadb"),
    "mysql": _row("mysql", "mysql.connector"),
    "mysqldb": _row("mysqldb", "MySQLdb"),
    "opensearch": _row("opensearch", "opensearchpy"),
    "psycopg": _row("psycopg", also="psycopg2"),
    "pylibmc": _row("pylibmc"),
    "pymemcache": _row("pymemcache"),
    "pymongo": _row("pymongo"),
    "pymysql": _row("pymysql"),
    "redis": _row("redis"),
    "requests": _row("requests"),
    # Off, for the spans of the driver below say the same, and more.
    "sqlalchemy": _row("sqlalchemy", on=False),
    "sqlite3": _row("sqlite3"),
    "structlog": _row("structlog"),
    "threading": _row("threading"),
    "urllib": _row("urllib", "urllib.request"),
    "urllib3": _row("urllib3"),
    "valkey": _row("valkey"),
}
# ddtrace has this one. There is nothing to patch: asyncio's tasks and callbacks take the active span along.
_NEEDLESS = ("asyncio",)
default_settings.components = (TABLE,)
_wanted: set[str] = set()
_watched: set[str] = set()
_switched_by: dict[str, str] = {}


def patch_all(**switches: bool) -> None:
    """Trace every supported library, now or as soon as it is imported.

    Each can be switched by keyword (``redis=False``), by ``DD_TRACE_<NAME>_ENABLED`` or by ``DD_PATCH_MODULES``; the
    keyword wins, then the first of the two. Calling it again adds what is new and undoes nothing.
    """
    if not default_settings["DD_TRACE_ENABLED"]:
        return
    default_settings.check()
    listed = default_settings["DD_PATCH_MODULES"]
    for name, on in {**listed, **switches}.items():
        _check(name, on)
    for name in TABLE:
        on, _switched_by[name] = _switched(name, switches)
        if on:
            _patch(name)
    if default_settings["DD_TRACE_METHODS"]:
        from ddmiddleware.integrations import _methods

        with guarded:
            _methods.patch()


def _switched(name: str, switches: dict[str, bool]) -> tuple[bool, str]:
    """Return whether ``patch_all`` traces a library, and what says so."""
    if name in switches:
        return switches[name], "code"
    variable = f"DD_TRACE_{name.upper()}_ENABLED"
    by_name = default_settings.switch(variable)
    if by_name is not None:
        return by_name, f"environment {variable}"
    listed = default_settings["DD_PATCH_MODULES"]
    if name in listed:
        return listed[name], default_settings.source("DD_PATCH_MODULES")
    return TABLE[name].on, "default"


def switched_by(name: str) -> tuple[bool, str]:
    """Return whether the named library is traced, and what switched it: ``code``, ``environment NAME``, ``default``."""
    return name in _wanted, _switched_by.get(name, "default")


class ModuleNotFoundException(Exception):
    """``patch(raise_errors=True)`` was asked for a library that has no integration; the name is ddtrace's."""


def patch(raise_errors: bool = False, **switches: bool) -> None:
    """Trace the named libraries: ``patch(redis=True)``.

    A name that is not supported is reported in one line; *raise_errors* raises ModuleNotFoundException instead.
    """
    unknown = [name for name, on in switches.items() if on and name not in TABLE and name not in _NEEDLESS]
    if raise_errors and unknown:
        raise ModuleNotFoundException(f"there is no integration called {', '.join(unknown)}")
    if not default_settings["DD_TRACE_ENABLED"]:
        return
    for name, on in switches.items():
        _check(name, on)
        if on and name in TABLE:
            _switched_by[name] = "code"
            _patch(name)


def unpatch(*names: str) -> None:
    """Put back what was replaced in the named libraries, or in all of them where none is named."""
    methods = sys.modules.get("ddmiddleware.integrations._methods")
    if methods is not None and not names:
        methods.integration.unpatch()
    for name in names or tuple(TABLE):
        if name in _wanted:
            _wanted.discard(name)
            integration = _loaded(name)
            if integration is not None:
                integration.unpatch()


def is_on(name: str) -> bool:
    """Return whether the named library is traced, or will be once it is imported."""
    return name in _wanted


def _check(name: str, on: bool) -> None:
    if on and name not in TABLE and name not in _NEEDLESS:
        warn("there is no integration called %r; it is not traced", name)


def _patch(name: str) -> None:
    _wanted.add(name)
    if name in _watched:
        integration = _loaded(name)
        if integration is not None:
            with guarded:
                integration.patch()
        return
    _watched.add(name)
    import wrapt  # not before something is patched: it imports asyncio

    def imported(_module: object) -> None:
        with guarded:
            if name not in _wanted:
                _watched.discard(name)  # undone meanwhile: who wants it again has to ask again
            else:
                from importlib import import_module

                # There is none yet where loading ours is what imports the library: whoever loads it knows.
                integration = getattr(import_module(TABLE[name].loads), "integration", None)
                if integration is not None:
                    integration.patch()

    for module in TABLE[name].modules:
        wrapt.register_post_import_hook(imported, module)


def _loaded(name: str) -> Any:
    module = sys.modules.get(TABLE[name].loads)
    return getattr(module, "integration", None)


def __getattr__(name: str) -> Any:
    if name == "diagnosis":
        from ddmiddleware.integrations import _diagnosis

        return _diagnosis.diagnosis
    if name == "options_of":
        from ddmiddleware.integrations import _options

        return _options.options_of
    if name == "Pin":
        from ddmiddleware.integrations import _pin

        return _pin.Pin
    # Not before they are used: the engine imports wrapt, and that asyncio.
    if name in ("Call", "Integration", "Traced"):
        from ddmiddleware.integrations import _patching

        return getattr(_patching, name)
    raise AttributeError(name)
