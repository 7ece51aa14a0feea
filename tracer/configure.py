"""``Tracer.configure``: what a program sets in code, by the names of ddtrace 1.x and of today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.samplers import BaseSampler
from ddmiddleware.tracing.settings import parsed
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ddmiddleware.tracing.tracer import Tracer

_ROWS = {
    "api_version": "DD_TRACE_API_VERSION",
    "compute_stats_enabled": "DD_TRACE_STATS_COMPUTATION_ENABLED",
    "dogstatsd_url": "DD_DOGSTATSD_URL",
    "partial_flush_enabled": "DD_TRACE_PARTIAL_FLUSH_ENABLED",
    "partial_flush_min_spans": "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS",
}
_ADDRESS = ("hostname", "port", "uds_path", "https")
# The order of 1.x, in which they may be given without names.
_ORDER = (
    *("enabled", *_ADDRESS, "sampler", "context_provider", "wrap_executor", "priority_sampling", "settings"),
    *("dogstatsd_url", "writer", "partial_flush_enabled", "partial_flush_min_spans", "api_version"),
    *("compute_stats_enabled", "appsec_enabled", "iast_enabled"),
)
# Of products that are not part of this suite, or decided by settings here.
_WITHOUT_EFFECT = {
    "apm_tracing_disabled": "",
    "appsec_enabled": "",
    "appsec_enabled_origin": "",
    "iast_enabled": "",
    "priority_sampling": "it is always on",
    "writer": "use DD_TRACE_EXPORTERS",
}


def named(given: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return *options* with those that were *given* without names."""
    return {**dict(zip(_ORDER, given, strict=False)), **options}


def configure(tracer: Tracer, options: dict[str, Any]) -> None:
    """Apply *options* (None stands for not given) to *tracer*; one that is unknown or has no effect is reported."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, apply in _APPLY.items():
        if name in given:
            apply(tracer, given.pop(name))
    settings = tracer.settings
    address = {name: given.pop(name) for name in _ADDRESS if name in given}
    if address:
        url = _url(settings, **address)
        _set("DD_TRACE_AGENT_URL", "/".join(address), url, partial(settings.__setitem__, "DD_TRACE_AGENT_URL"))
    for name, row in _ROWS.items():
        if name in given:
            _set(row, name, given.pop(name), partial(settings.__setitem__, row))
    for name in given:
        if name not in _WITHOUT_EFFECT:
            warn("Tracer.configure has no argument %r; it is ignored", text(name))
        elif _WITHOUT_EFFECT[name]:
            warn("Tracer.configure(%s=...) has no effect: %s", name, _WITHOUT_EFFECT[name])
    tracer.reconfigured()


def _set(row: str, name: str, value: object, apply: Callable[[Any], None]) -> None:
    """Apply what *value* means for a setting, as text; a bad one is reported, and changes nothing."""
    try:
        meant = parsed(row, text(value))
    except ValueError as error:
        warn("Tracer.configure(%s=...) cannot be %r (%s); it stays as it was", name, text(value), error)
    else:
        apply(meant)


def _url(
    settings: Any,
    hostname: str | None = None,
    port: int | None = None,
    uds_path: str | None = None,
    https: bool | None = None,
) -> str:
    if uds_path:
        return f"unix://{uds_path}"
    from urllib.parse import urlsplit

    old = urlsplit(settings.agent_address)
    host = hostname or old.hostname or settings["DD_AGENT_HOST"]
    scheme = ("https" if https else "http") if https is not None or old.scheme == "unix" else old.scheme
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port or old.port or settings['DD_TRACE_AGENT_PORT']}"


def _set_enabled(tracer: Tracer, enabled: object) -> None:
    _set("DD_TRACE_ENABLED", "enabled", enabled, partial(setattr, tracer, "enabled"))


def _set_filters(tracer: Tracer, filters: Any, name: str = "trace_processors") -> None:
    steps = list(filters) if isinstance(filters, Iterable) else [filters]
    found = [step for step in steps if callable(getattr(step, "process_trace", None))]
    if len(found) < len(steps):
        warn("Tracer.configure(%s=...): what has no method process_trace is left out", name)
    tracer.set_filters(found)


def _set_old_settings(tracer: Tracer, old: dict[str, Any]) -> None:
    """Apply 1.x's ``settings={"FILTERS": [...]}``."""
    if not isinstance(old, Mapping):
        warn("Tracer.configure(settings=...) has no effect: expected a dictionary")
        return
    if "FILTERS" in old:
        _set_filters(tracer, old["FILTERS"] or [], "settings")
    for name in old:
        if name != "FILTERS":
            warn("Tracer.configure(settings={%r: ...}) has no effect", text(name))


def _set_provider(tracer: Tracer, provider: Any) -> None:
    tracer.context_provider = provider


def _set_wrap_executor(tracer: Tracer, executor: Callable[..., Any]) -> None:
    tracer.wrap_executor = executor


def _set_sampler(tracer: Tracer, sampler: Any) -> None:
    if not isinstance(sampler, BaseSampler):
        warn("Tracer.configure(sampler=...) has no effect: see ddmiddleware.sampler")
        return
    if hasattr(sampler, "sample"):
        warn("Tracer.configure(sampler=...) calls no method sample: see ddmiddleware.sampler")
    for row, value in sampler.settings().items():
        tracer.settings[row] = value


_APPLY: dict[str, Callable[[Tracer, Any], None]] = {
    "enabled": _set_enabled,
    "trace_processors": _set_filters,
    "settings": _set_old_settings,
    "context_provider": _set_provider,
    "wrap_executor": _set_wrap_executor,
    "sampler": _set_sampler,
}
