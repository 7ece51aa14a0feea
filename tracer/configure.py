"""``Tracer.configure``: what a program sets in code, by the names of ddtrace 1.x and of today."""

from __future__ import annotations

from ddmiddleware.tracing.log import warn
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
# Of products that are not part of this suite, or decided by settings here.
_WITHOUT_EFFECT = {
    "apm_tracing_disabled": "",
    "appsec_enabled": "",
    "appsec_enabled_origin": "",
    "iast_enabled": "",
    "priority_sampling": "it is always on",
    "sampler": "use DD_TRACE_SAMPLING_RULES",
    "writer": "use DD_TRACE_EXPORTERS",
}


def configure(tracer: Tracer, options: dict[str, Any]) -> None:
    """Apply *options* (None stands for not given) to *tracer*; one that is unknown or has no effect is reported."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, apply in _APPLY.items():
        if name in given:
            apply(tracer, given.pop(name))
    settings = tracer.settings
    address = {name: given.pop(name) for name in _ADDRESS if name in given}
    if address:
        settings["DD_TRACE_AGENT_URL"] = _url(settings, **address)
    for name, row in _ROWS.items():
        if name in given:
            settings[row] = given.pop(name)
    for name in given:
        if name not in _WITHOUT_EFFECT:
            warn("Tracer.configure has no argument %r; it is ignored", text(name))
        elif _WITHOUT_EFFECT[name]:
            warn("Tracer.configure(%s=...) has no effect: %s", name, _WITHOUT_EFFECT[name])
    tracer.reconfigured()


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


def _set_enabled(tracer: Tracer, enabled: bool) -> None:
    tracer.enabled = bool(enabled)


def _set_filters(tracer: Tracer, filters: list[Any]) -> None:
    tracer.set_filters(filters)


def _set_old_settings(tracer: Tracer, old: dict[str, Any]) -> None:
    """Apply 1.x's ``settings={"FILTERS": [...]}``."""
    if "FILTERS" in old:
        tracer.set_filters(old["FILTERS"])
    for name in old:
        if name != "FILTERS":
            warn("Tracer.configure(settings={%r: ...}) has no effect", text(name))


def _set_provider(tracer: Tracer, provider: Any) -> None:
    tracer.context_provider = provider


def _set_wrap_executor(tracer: Tracer, executor: Callable[..., Any]) -> None:
    tracer.wrap_executor = executor


_APPLY: dict[str, Callable[[Tracer, Any], None]] = {
    "enabled": _set_enabled,
    "trace_processors": _set_filters,
    "settings": _set_old_settings,
    "context_provider": _set_provider,
    "wrap_executor": _set_wrap_executor,
}
