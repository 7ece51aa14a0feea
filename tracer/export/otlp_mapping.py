"""What of a span is what in OpenTelemetry's protocol, in whichever format it is written.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto and the
semantic conventions for resources, exceptions and version control.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from ddmiddleware.tracing.constants import ENV_KEY, ERROR_MSG, ERROR_STACK, ERROR_TYPE, SPAN_KIND, VERSION_KEY
from ddmiddleware.tracing.encoding import clean
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping as Attributes

    from ddmiddleware.tracing.events import Event
    from ddmiddleware.tracing.span import Span

SCOPE = "ddmiddleware", __version__
INTERNAL = 1
KINDS = {"internal": INTERNAL, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUS_ERROR = 2
OPERATION, TYPE = "operation.name", "span.type"  # attributes for what the protocol has no field

# Of a span's flags: that of W3C, and whether it is known and true that the parent is in another process.
_SAMPLED, _HAS_IS_REMOTE, _IS_REMOTE = 1, 0x100, 0x200
_TIME_MAX = (1 << 64) - 1

# Bookkeeping between tracer and agent (_dd.) means nothing to others, but for these.
_INTERNAL_PREFIX = "_dd."
_KEPT = {
    "_dd.base_service": "_dd.base_service",
    "_dd.origin": "_dd.origin",
    "_dd.git.commit.sha": "vcs.ref.head.revision",
    "_dd.git.repository_url": "vcs.repository.url.full",
}
_EXCEPTION = {ERROR_TYPE: "exception.type", ERROR_MSG: "exception.message", ERROR_STACK: "exception.stacktrace"}


class Mapping:
    """The attributes of resources and spans; what all spans of a process share is said once, on the resource."""

    def __init__(self, settings: Settings) -> None:
        tags: dict[str, str] = dict(settings["DD_TAGS"])
        environment = settings["DD_ENV"] or tags.pop(ENV_KEY, "")
        self._version: str = settings["DD_VERSION"] or tags.pop(VERSION_KEY, "")
        self.service = settings.service
        self._own = settings["DD_SERVICE_MAPPING"].get(self.service, self.service)
        self._resource: dict[str, str | int] = {
            "service.name": self.service,
            "service.instance.id": process.runtime_id,
            "process.pid": process.pid,
            "host.name": socket.gethostname(),
            **{key: value for key, value in tags.items() if key not in ("service", "service.name")},
            "telemetry.sdk.name": SCOPE[0],
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": __version__,
        }
        if environment:
            self._resource["deployment.environment.name"] = environment
        self._said = {
            *((key, value) for key, value in tags.items() if self._resource.get(key) == value),
            (ENV_KEY, environment),
            ("language", "python"),
            ("runtime-id", process.runtime_id),
            ("process_id", process.pid),
        }

    def resource(self, service: str) -> dict[str, str | int]:
        """Return the attributes of the resource *service*."""
        found = {**self._resource, "service.name": service}
        if self._version and service == self._own:
            found["service.version"] = self._version
        return found

    def attribute(self, key: str, value: object) -> str:
        """Return the attribute that a tag or metric becomes, or ``""`` for one that is left out or said elsewhere."""
        if key.startswith(_INTERNAL_PREFIX):
            return _KEPT.get(key, "")
        if key in (ERROR_STACK, "_sampling_priority_v1") or (key == SPAN_KIND and value in KINDS):
            return ""  # the exception's event, the flags, the kind
        return "" if (key, value) in self._said else key


class Tags(dict[tuple[Any, Any], bytes]):
    """How every tag of a payload is written; asking for a new one writes it, b"" is one that is left out."""

    def __init__(self, mapping: Mapping, write: Callable[[str, object], bytes]) -> None:
        super().__init__()
        self._mapping, self._write = mapping, write

    def __missing__(self, tag: tuple[Any, Any]) -> bytes:
        key, value = clean(tag[0]), clean(tag[1])
        name = self._mapping.attribute(key, value)
        written = self._write(name, value) if name else b""
        if type(tag[0]) is str and type(tag[1]) is str:  # what only equals a text may be another one
            self[tag] = written
        return written


class Numbers(dict[tuple[Any, type, Any], bytes]):
    """How every metric of a payload is written, by key, type and value, as 1 equals 1.0."""

    def __init__(self, mapping: Mapping, write: Callable[[str, object], bytes]) -> None:
        super().__init__()
        self._mapping, self._write = mapping, write

    def __missing__(self, metric: tuple[Any, type, Any]) -> bytes:
        key, number_type, number = metric
        if number_type not in (int, float) or (number_type is int and not -(1 << 63) <= number < 1 << 63):
            raise TypeError(f"{number_type} is no metric")
        cleaned = clean(key)
        name = self._mapping.attribute(cleaned, number)
        written = self._write(name, number) if name else b""
        if type(key) is str:  # as with tags
            self[metric] = written
        return written


def kind(span_kind: object) -> int:
    """Return the number of a span's kind; a span without one is internal."""
    return KINDS.get(span_kind, INTERNAL) if isinstance(span_kind, str) else INTERNAL


def flags(span: Span) -> int:
    """Return the span's flags."""
    trace = span._trace
    found = _HAS_IS_REMOTE
    if trace.priority is None or trace.priority > 0:
        found |= _SAMPLED
    if span._parent is None and span.parent_id:
        found |= _IS_REMOTE
    return found


def events(span: Span) -> list[Event]:
    """Return the span's events; the exception that ended it is one, at its end, unless it was recorded as one."""
    found = [(name, min(max(time_ns, 0), _TIME_MAX), attributes) for name, time_ns, attributes in span._events or ()]
    meta = span._meta
    if ERROR_STACK in meta:
        ended = {name: meta[key] for key, name in _EXCEPTION.items() if key in meta}
        if not any(name == "exception" and _same(attributes, ended) for name, _, attributes in found):
            found.append(("exception", span.start_ns + (span.duration_ns or 0), dict(ended)))
    return found


def _same(recorded: Attributes[str, object], ended: Attributes[str, object]) -> bool:
    return all(recorded.get(key) == ended.get(key) for key in ("exception.type", "exception.message"))


def links(span: Span) -> list[dict[str, Any]]:
    """Return the span's links; one whose ids are no ids is left out."""
    return [
        link
        for link in span._links or ()
        for trace_id, span_id in ((str(link["trace_id"]), str(link["span_id"])),)
        if (len(trace_id), len(span_id)) == (32, 16) and (trace_id + span_id).isalnum()  # negative ones have a sign
    ]


def tags(span: Span) -> dict[str, str]:
    """Return the span's tags without what the agent's format makes of its events."""
    if span._events and "events" in span._meta:
        return {key: value for key, value in span._meta.items() if key != "events"}
    return span._meta
