"""``ddmiddleware.config``: the settings in force, to read and to set in code, and the options of each integration.

What is set here goes before the environment and holds from then on: for integrations that are patched and for spans
that start or finish later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from ddmiddleware._header_tags import wanted
from ddmiddleware.integrations import TABLE, options_of
from ddmiddleware.tracing import SETTINGS_TABLE, default_settings, has_config_in_ddtrace, parsed, warn

# Middleware that is no row of the table.
_MIDDLEWARE = ("asgi", "wsgi")
# ddtrace's other spellings of an option.
_SPELLINGS = {
    "service_name": "service",
    "distributed_tracing_enabled": "distributed_tracing",
    "trace_query_string": "query_string",
}
_SWITCHES = ("distributed_tracing", "query_string", "split_by_domain")
_ROWS = frozenset(row.name for row in SETTINGS_TABLE)
# Options of an integration that makes the spans of two services.
_SERVICES = {
    ("celery", "producer_service_name"): "celery_producer",
    ("celery", "worker_service_name"): "celery_worker",
}


class _Pairs(MutableMapping[str, str]):
    """A setting of pairs; a change of one is a change of the setting."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _now(self) -> dict[str, str]:
        return dict(default_settings[self._name])

    def __getitem__(self, key: str) -> str:
        return self._now()[key]

    def __setitem__(self, key: str, value: object) -> None:
        default_settings[self._name] = {**self._now(), str(key): str(value)}

    def __delitem__(self, key: str) -> None:
        rest = self._now()
        del rest[key]
        default_settings[self._name] = rest

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __repr__(self) -> str:
        return repr(self._now())


class _Http:
    """What is about headers and query strings, of one integration, or of all."""

    def __init__(self, config: Config | IntegrationConfig) -> None:
        self._config = config

    @property
    def trace_query_string(self) -> bool:
        """Whether the query string becomes the tag ``http.query.string``."""
        config = self._config
        if isinstance(config, IntegrationConfig):
            return bool(config._options.query_string)
        return bool(default_settings["DD_TRACE_QUERY_STRING_ENABLED"])

    @trace_query_string.setter
    def trace_query_string(self, on: bool) -> None:
        config = self._config
        if isinstance(config, IntegrationConfig):
            config.query_string = on
        else:
            _set("DD_TRACE_QUERY_STRING_ENABLED", on)

    def trace_headers(self, headers: Iterable[str] | Mapping[str, str] | str) -> None:
        """Tag these request and response headers: names, or a mapping of names to tags."""
        tags = wanted(headers)
        config = self._config
        if isinstance(config, IntegrationConfig):
            config._options.set("header_tags", tags)
        else:
            default_settings["DD_TRACE_HEADER_TAGS"] = tags


class _HttpServer:
    """What makes a request an error: ``config.http_server.error_statuses = "404,500-599"``."""

    @property
    def error_statuses(self) -> str:
        """Statuses and ranges of them, separated by commas."""
        return default_settings.effective()["dd_trace_http_server_error_statuses"]

    @error_statuses.setter
    def error_statuses(self, statuses: str) -> None:
        _set("DD_TRACE_HTTP_SERVER_ERROR_STATUSES", statuses)


class IntegrationConfig:
    """The options of one integration, as attributes and as items, also by the spellings that ddtrace's users know.

    ``service`` (``service_name``), ``distributed_tracing`` (``distributed_tracing_enabled``), ``trace_query_string``;
    ``http.trace_headers([...])``; and its own settings, ``django["instrument_views"]``. What else is set has no effect:
    it is reported, and kept for who reads it.
    """

    __slots__ = ("_options", "_unknown", "http")
    _options: Any
    _unknown: dict[str, Any]
    http: _Http

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_options", options_of(name))
        object.__setattr__(self, "_unknown", {})
        object.__setattr__(self, "http", _Http(self))

    def __getattr__(self, option: str) -> Any:
        service = _SERVICES.get((self._options.name, option))
        if service:
            return options_of(service).service
        known = _SPELLINGS.get(option, option)
        if known in self._options.NAMES:
            return getattr(self._options, known)
        if option in self._unknown:
            return self._unknown[option]
        row = self._row(option)
        if row:
            return default_settings[row]
        raise AttributeError(f"config.{self._options.name} has no option {option!r}{_nearest(option, self)}")

    def __setattr__(self, option: str, value: Any) -> None:
        known = _SPELLINGS.get(option, option)
        service = _SERVICES.get((self._options.name, option))
        if service:
            options_of(service).set("service", value)
        elif known in self._options.NAMES:
            try:
                if known in _SWITCHES and isinstance(value, str):
                    value = parsed("DD_TRACE_ENABLED", value)
            except ValueError as error:
                warn("config.%s.%s cannot be %r (%s); it stays as it was", self._options.name, option, value, error)
            else:
                self._options.set(known, value)
        elif row := self._row(option):
            _set(row, "" if value is None else value)
        else:
            self._unknown[option] = value
            warn("config.%s has no option %r, it has no effect%s", self._options.name, option, _nearest(option, self))

    def _row(self, option: str) -> str:
        """Return the setting that an option is, or ``""``: ``instrument_views`` is ``DD_DJANGO_INSTRUMENT_VIEWS``."""
        row = f"DD_{self._options.name}_{option}".upper()
        return next((name for name in (row, row.removesuffix("_NAME")) if name in _ROWS), "")

    def __getitem__(self, option: str) -> Any:
        try:
            return getattr(self, option)
        except AttributeError as error:
            raise KeyError(str(error)) from None

    __setitem__ = __setattr__

    def __contains__(self, option: str) -> bool:
        return option in tuple(self) or option in self._unknown or bool(self._row(option))

    def __iter__(self) -> Iterator[str]:
        return iter((*self._options.NAMES, *_SPELLINGS))

    def get(self, option: str, default: Any = None) -> Any:
        """Return an option's value, or *default* where there is no such option."""
        return getattr(self, option, default)


class Config:
    """The settings of this process; ``config.<name>`` is an integration's, for every name in the table."""

    def __init__(self) -> None:
        self._integrations: dict[str, IntegrationConfig] = {}
        self.http = _Http(self)
        self.http_server = _HttpServer()

    @property
    def service(self) -> str:
        """The service's name, guessed where nobody has set it."""
        return default_settings.service

    @service.setter
    def service(self, name: str | None) -> None:
        _set("DD_SERVICE", name or "")

    @property
    def env(self) -> str:
        """The environment, such as production."""
        return default_settings.env

    @env.setter
    def env(self, name: str | None) -> None:
        _set("DD_ENV", name or "")

    @property
    def version(self) -> str:
        """The service's version."""
        return default_settings.version

    @version.setter
    def version(self, version: str | None) -> None:
        _set("DD_VERSION", version or "")

    @property
    def tags(self) -> MutableMapping[str, str]:
        """The tags of every span."""
        return _Pairs("DD_TAGS")

    @tags.setter
    def tags(self, tags: Mapping[str, Any] | str | None) -> None:
        _set("DD_TAGS", tags or {})

    @property
    def service_mapping(self) -> MutableMapping[str, str]:
        """Services that go by another name."""
        return _Pairs("DD_SERVICE_MAPPING")

    @service_mapping.setter
    def service_mapping(self, names: Mapping[str, str] | str | None) -> None:
        _set("DD_SERVICE_MAPPING", names or {})

    def trace_headers(self, headers: Iterable[str] | Mapping[str, str] | str) -> None:
        """Tag these request and response headers, whatever serves the request."""
        self.http.trace_headers(headers)

    def effective(self) -> dict[str, str]:
        """Return the value in force of every setting as text, by lower-case name: ``dd_service``, ``dd_env`` ...

        Credentials in addresses are masked, and so is what is secret by its name.
        """
        return default_settings.effective()

    def sources(self) -> dict[str, str]:
        """Return where each value comes from: ``code``, ``environment NAME``, ``command line`` or ``default``."""
        return default_settings.sources()

    def __getattr__(self, name: str) -> IntegrationConfig:
        if name not in TABLE and name not in _MIDDLEWARE and name not in self._integrations:
            if not has_config_in_ddtrace(name):
                raise AttributeError(f"config has no {name!r}{_nearest(name, self)}")
            warn("config.%s has no effect: there is no integration of that name", name)
        return self._integrations.setdefault(name, IntegrationConfig(name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self) or name.startswith("_") or hasattr(type(self), name) or "http_server" not in vars(self):
            super().__setattr__(name, value)
        else:
            warn("config has no %r to set, it has no effect%s", name, _nearest(name, self))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *TABLE, *_MIDDLEWARE})


def _set(name: str, value: Any) -> None:
    """Set a setting to *value*, or to what its text means; a bad text is reported and changes nothing."""
    if isinstance(value, Mapping):
        value = {str(key): str(item) for key, item in value.items()}
    else:
        try:
            value = parsed(name, str(value))
        except ValueError as error:
            warn("%s cannot be %r (%s); it stays as it was", name, value, error)
            return
    default_settings[name] = value


def _nearest(name: str, owner: Config | IntegrationConfig) -> str:
    from difflib import get_close_matches

    known = list(owner) if isinstance(owner, IntegrationConfig) else [n for n in dir(owner) if n[0] != "_"]
    found = get_close_matches(name, known, 1)
    return f"; is it {found[0]!r}?" if found else ""


config = Config()
