"""The tracer: spans, contexts, propagation, and their delivery. ``default_tracer`` is ``ddmiddleware.tracer``."""

from __future__ import annotations

import atexit
import time

from ddmiddleware.tracing import constants, ids
from ddmiddleware.tracing.context import Context, ContextProvider, active
from ddmiddleware.tracing.export.timers import add_job, remove_job, report_runtime_metrics
from ddmiddleware.tracing.guard import guard as guarded
from ddmiddleware.tracing.log import debug, warn
from ddmiddleware.tracing.noop import Silence
from ddmiddleware.tracing.process import (
    at_fork,
    at_multiprocessing_exit,
    at_service_end,
    at_supervision,
    exit_deadline,
    forks_wait,
    keep_interrupt,
    names_resolve_at_exit,
    notice_fork,
    runtime_id,
    service_ended,
    supervising,
)
from ddmiddleware.tracing.settings import Settings, guess_service, parsed
from ddmiddleware.tracing.settings import settings as default_settings
from ddmiddleware.tracing.settings_table import TABLE as SETTINGS_TABLE
from ddmiddleware.tracing.span import Span
from ddmiddleware.tracing.tracer import Tracer
from ddmiddleware.tracing.version import __version__

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from typing import Any

    from ddmiddleware.tracing.dogstatsd import DogStatsD as DogStatsD
    from ddmiddleware.tracing.export.container import container_headers as container_headers
    from ddmiddleware.tracing.export.delivery import Delivery as Delivery
    from ddmiddleware.tracing.export.http import Connection as Connection
    from ddmiddleware.tracing.export.http import Unreachable as Unreachable
    from ddmiddleware.tracing.export.otlp_metrics import Histogram as Histogram
    from ddmiddleware.tracing.export.otlp_metrics import OtlpMetrics as OtlpMetrics
    from ddmiddleware.tracing.export.otlp_metrics import UpDownCounter as UpDownCounter
    from ddmiddleware.tracing.filters import FilterRequestsOnUrl as FilterRequestsOnUrl
    from ddmiddleware.tracing.filters import TraceFilter as TraceFilter
    from ddmiddleware.tracing.loop_lag import loop_meter as loop_meter
    from ddmiddleware.tracing.propagation import EXTRACTED as EXTRACTED_HEADERS
    from ddmiddleware.tracing.propagation import LEADING as LEADING_HEADERS
    from ddmiddleware.tracing.propagation import MARK as INJECTED_MARK
    from ddmiddleware.tracing.propagation import PREFIX as EXTRACTED_PREFIX
    from ddmiddleware.tracing.propagation import extract as extract_headers
    from ddmiddleware.tracing.propagation import inject as written_headers
    from ddmiddleware.tracing.propagation import inject_into as inject_headers
    from ddmiddleware.tracing.propagation import may_reach as may_propagate_to
    from ddmiddleware.tracing.propagation import to_add as headers_to_add
    from ddmiddleware.tracing.propagation.tracecontext import traceparent as traceparent
    from ddmiddleware.tracing.protobuf import field_bytes as field_bytes
    from ddmiddleware.tracing.protobuf import field_number as field_number
    from ddmiddleware.tracing.protobuf import varint as varint
    from ddmiddleware.tracing.provider import BaseContextProvider as BaseContextProvider
    from ddmiddleware.tracing.redaction import open_redaction as open_redaction
    from ddmiddleware.tracing.samplers import AllSampler as AllSampler
    from ddmiddleware.tracing.samplers import BaseSampler as BaseSampler
    from ddmiddleware.tracing.samplers import DatadogSampler as DatadogSampler
    from ddmiddleware.tracing.samplers import RateByServiceSampler as RateByServiceSampler
    from ddmiddleware.tracing.samplers import RateSampler as RateSampler
    from ddmiddleware.tracing.samplers import SamplingRule as SamplingRule
    from ddmiddleware.tracing.settings_names import has_config_in_ddtrace as has_config_in_ddtrace

__all__ = [
    "EXTRACTED_HEADERS",
    "EXTRACTED_PREFIX",
    "INJECTED_MARK",
    "LEADING_HEADERS",
    "SETTINGS_TABLE",
    "AllSampler",
    "BaseContextProvider",
    "BaseSampler",
    "Connection",
    "Context",
    "ContextProvider",
    "DatadogSampler",
    "Delivery",
    "DogStatsD",
    "FilterRequestsOnUrl",
    "Histogram",
    "OtlpMetrics",
    "RateByServiceSampler",
    "RateSampler",
    "SamplingRule",
    "Settings",
    "Silence",
    "Span",
    "TraceFilter",
    "Tracer",
    "Unreachable",
    "UpDownCounter",
    "__version__",
    "active",
    "add_job",
    "at_fork",
    "at_multiprocessing_exit",
    "at_service_end",
    "at_supervision",
    "constants",
    "container_headers",
    "debug",
    "default_settings",
    "default_tracer",
    "exit_deadline",
    "extract_headers",
    "field_bytes",
    "field_number",
    "forks_wait",
    "guarded",
    "guess_service",
    "has_config_in_ddtrace",
    "headers_to_add",
    "inject_headers",
    "loop_meter",
    "may_propagate_to",
    "names_resolve_at_exit",
    "notice_fork",
    "open_redaction",
    "parsed",
    "reach",
    "remove_job",
    "report_runtime_metrics",
    "runtime_id",
    "service_ended",
    "supervising",
    "traceparent",
    "varint",
    "warn",
    "written_headers",
]

default_tracer = Tracer()


def reach(settings: Settings = default_settings) -> str:
    """Ask the collector for its ``/info``; return what is wrong with it, or ``""`` where it answers.

    Where a spool takes its place, that is tried.
    """
    if settings.agent_address.startswith("file:"):
        from ddmiddleware.tracing.export.spool import folder_of, prepare

        return prepare(folder_of(settings))
    from ddmiddleware.tracing.export.http import Connection, Unreachable

    connection = Connection(settings.agent_address, settings["DD_TRACE_AGENT_TIMEOUT_SECONDS"])
    try:
        status, _ = connection.request("GET", "/info", {}, b"", None)
    except Unreachable as error:
        return str(error)
    finally:
        connection.close()
    return "" if status == 200 else f"/info answered {status}"


_LAZY = {
    "FilterRequestsOnUrl": ("filters", "FilterRequestsOnUrl"),
    "TraceFilter": ("filters", "TraceFilter"),
    "loop_meter": ("loop_lag", "loop_meter"),
    "Connection": ("export.http", "Connection"),
    "Delivery": ("export.delivery", "Delivery"),
    "container_headers": ("export.container", "container_headers"),
    "field_bytes": ("protobuf", "field_bytes"),
    "field_number": ("protobuf", "field_number"),
    "varint": ("protobuf", "varint"),
    "BaseContextProvider": ("provider", "BaseContextProvider"),
    "Histogram": ("export.otlp_metrics", "Histogram"),
    "OtlpMetrics": ("export.otlp_metrics", "OtlpMetrics"),
    "Unreachable": ("export.http", "Unreachable"),
    "UpDownCounter": ("export.otlp_metrics", "UpDownCounter"),
    "DogStatsD": ("dogstatsd", "DogStatsD"),
    "EXTRACTED_HEADERS": ("propagation", "EXTRACTED"),
    "EXTRACTED_PREFIX": ("propagation", "PREFIX"),
    "INJECTED_MARK": ("propagation", "MARK"),
    "LEADING_HEADERS": ("propagation", "LEADING"),
    "extract_headers": ("propagation", "extract"),
    "headers_to_add": ("propagation", "to_add"),
    "inject_headers": ("propagation", "inject_into"),
    "may_propagate_to": ("propagation", "may_reach"),
    "open_redaction": ("redaction", "open_redaction"),
    "traceparent": ("propagation.tracecontext", "traceparent"),
    "written_headers": ("propagation", "inject"),
    "AllSampler": ("samplers", "AllSampler"),
    "BaseSampler": ("samplers", "BaseSampler"),
    "DatadogSampler": ("samplers", "DatadogSampler"),
    "RateByServiceSampler": ("samplers", "RateByServiceSampler"),
    "RateSampler": ("samplers", "RateSampler"),
    "SamplingRule": ("samplers", "SamplingRule"),
    "has_config_in_ddtrace": ("settings_names", "has_config_in_ddtrace"),
}


def __getattr__(name: str) -> Any:
    """Load what takes long to load, such as the patterns of headers, with its first user."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def _exit() -> None:
    timeout_s = default_settings["DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS"]
    default_tracer.shutdown(max(exit_deadline(timeout_s) - time.monotonic(), 0))
    keep_interrupt()


at_fork(in_child=ids.reseed)
atexit.register(_exit)
