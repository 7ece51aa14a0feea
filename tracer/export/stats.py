"""Statistics to a Datadog Agent, ``/v0.6/stats``: what was counted, once per ten seconds and at a flush.

The agent that gets them does not count for itself, and may ask us to leave out the traces that sampling rejected.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import msgpack

from ddmiddleware.tracing.constants import SAMPLING_PRIORITY
from ddmiddleware.tracing.encoding import clean
from ddmiddleware.tracing.errors import has_failed
from ddmiddleware.tracing.export.http import Connection, Unreachable
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.stats import BUCKET_NS, Concentrator
from ddmiddleware.tracing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddmiddleware.tracing.export.info import AgentInfo
    from ddmiddleware.tracing.span import Span
    from ddmiddleware.tracing.stats import Group, Key

_PATH = "/v0.6/stats"
_PAYLOAD_BYTES = 1 << 20
_KEPT_BYTES = 4 << 20
_SLICE_GROUPS = 20  # take about a millisecond to encode
_RETRY_S = 10.0
_UNKNOWN = (404, 405, 415)
_INT64_MAX = (1 << 63) - 1


class _Payload(NamedTuple):
    body: bytes
    spans: int


class StatsSender:
    """Counts chunks and sends the counts; only the worker's thread calls it.

    *connection* and *headers* are those of the agent's exporter.
    """

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        headers: dict[str, str],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.concentrator = Concentrator(settings["DD_TRACE_STATS_CARDINALITY_LIMIT"], clock_ns)
        self.active = True
        self._drops_rejected = False
        self._connection = connection
        self._headers = headers
        self._identity = {
            "Hostname": "",  # the agent knows
            "Env": clean(settings.env),
            "Version": clean(settings.version),
            "Lang": "python",
            "TracerVersion": __version__,
            "RuntimeID": process.runtime_id,
            "AgentAggregation": "",
            "Service": clean(settings.service),
            "ContainerID": "",
            "Tags": [],
        }
        self._packer = msgpack.Packer()
        self._payloads: deque[_Payload] = deque()
        self._kept_bytes = 0
        self._sequence = 0
        self._retry_at = 0.0
        self._sent = self._lost = 0
        self._dropped_chunks = self._dropped_spans = 0

    def add(self, chunk: list[Span]) -> bool:
        """Count *chunk*; return whether its spans are to be sent as well."""
        if self.active:
            self.concentrator.add(chunk)
            if self._drops_rejected and _rejected(chunk):
                self._dropped_chunks += 1
                self._dropped_spans += len(chunk)
                return False
        return True

    def announce(self, headers: dict[str, str]) -> None:
        """Add what a payload of traces says of statistics: that we count, and how much was left out since the last."""
        if self.active:
            headers["Datadog-Client-Computed-Stats"] = "true"
        if self._dropped_chunks:
            headers["Datadog-Client-Dropped-P0-Traces"] = str(self._dropped_chunks)
            headers["Datadog-Client-Dropped-P0-Spans"] = str(self._dropped_spans)

    def announced(self) -> None:
        """Forget what the payload said that was just delivered."""
        self._dropped_chunks = self._dropped_spans = 0

    def learn(self, info: AgentInfo) -> None:
        """Do as the agent's ``/info`` says; one that says nothing gets statistics, and all traces."""
        if info.endpoints and _PATH not in info.endpoints:
            self._stop()
        elif self.active:
            self._drops_rejected = info.client_drop_p0s
            self.concentrator.peer_tags = info.peer_tags

    def _stop(self) -> None:
        if self.active:
            self.active = self._drops_rejected = False
            warn("%s takes no statistics: it counts for itself, and gets all traces", self._connection.address)
        self.concentrator.take(unfinished=True)
        self._payloads.clear()
        self._kept_bytes = 0

    def send(self, deadline: float | None) -> bool:
        """Send what is over, or everything where *deadline* (monotonic seconds) says that somebody waits.

        Return False where something is left: the worker comes again.
        """
        for start_ns, groups in self.concentrator.take(unfinished=deadline is not None):
            self._encode(start_ns, groups)
        if deadline is None and time.monotonic() < self._retry_at:
            return False
        while self._payloads:
            payload = self._payloads[0]
            try:
                status, _ = self._connection.request("POST", _PATH, self._headers, payload.body, deadline)
            except Unreachable:
                status = 0
            if status in _UNKNOWN:
                self._stop()
                return True
            if status == 0 or status == 429 or status >= 500:  # the exporter of traces says so in the log
                self._retry_at = time.monotonic() + _RETRY_S
                return False
            self._payloads.popleft()
            self._kept_bytes -= len(payload.body)
            if status < 300:
                self._sent += payload.spans
            else:
                self._lost += payload.spans
        return not self.concentrator

    def _encode(self, start_ns: int, groups: dict[Key, Group]) -> None:
        """Encode a bucket; where it is large, as several payloads, which the agent adds up."""
        packed: list[bytes] = []
        size = spans = 0
        for number, (key, group) in enumerate(groups.items(), 1):
            packed.append(self._packer.pack(_fields(key, group)))
            size += len(packed[-1])
            spans += group.hits
            if size > _PAYLOAD_BYTES:
                self._keep(start_ns, packed, spans)
                packed, size, spans = [], 0, 0
            if number % _SLICE_GROUPS == 0:
                time.sleep(0)  # lets go of the GIL
        if packed:
            self._keep(start_ns, packed, spans)

    def _keep(self, start_ns: int, groups: list[bytes], spans: int) -> None:
        packer = msgpack.Packer(autoreset=False)
        top = {**self._identity, "Sequence": self._sequence}
        bucket = {"Start": start_ns, "Duration": BUCKET_NS, "AgentTimeShift": 0}
        self._sequence += 1
        for fields in (top, bucket):
            packer.pack_map_header(len(fields) + 1)
            for name, value in fields.items():
                packer.pack(name)
                packer.pack(value)
            packer.pack("Stats")
            packer.pack_array_header(1 if fields is top else len(groups))
        payload = _Payload(packer.bytes() + b"".join(groups), spans)
        self._payloads.append(payload)
        self._kept_bytes += len(payload.body)
        while self._kept_bytes > _KEPT_BYTES and len(self._payloads) > 1:
            oldest = self._payloads.popleft()
            self._kept_bytes -= len(oldest.body)
            self._lost += oldest.spans

    def stats(self) -> dict[str, int]:
        """Return counters, in spans: those whose counts were sent, were lost, or fell together with others'."""
        return {
            "stats_sent": self._sent,
            "stats_lost": self._lost + self.concentrator.uncounted,
            "stats_collapsed": self.concentrator.collapsed,
        }


def _rejected(chunk: list[Span]) -> bool:
    """Return whether nobody wants the spans of *chunk*: sampling did not keep them, and none of them failed."""
    if chunk[0]._metrics.get(SAMPLING_PRIORITY, 1) > 0:
        return False
    return not any(has_failed(span.error) or "_dd.span_sampling.mechanism" in span._metrics for span in chunk)


def _fields(key: Key, group: Group) -> dict[str, object]:
    service, name, resource, span_type, kind, status, synthetics, is_root, method, endpoint, grpc_status, peers = key
    return {
        "Service": clean(service or ""),
        "Name": clean(name),
        "Resource": clean(resource),
        "HTTPStatusCode": _status(status),
        "Type": clean(span_type or ""),
        "DBType": "",
        "Hits": group.hits,
        "Errors": group.errors,
        "Duration": min(int(group.duration_ns), _INT64_MAX),
        "OkSummary": group.succeeded.encode(),
        "ErrorSummary": group.failed.encode(),
        "Synthetics": synthetics,
        "TopLevelHits": group.top_level,
        "SpanKind": clean(kind),
        "PeerTags": [clean(tag) for tag in peers],
        "IsTraceRoot": 0 if is_root is None else 1 if is_root else 2,
        "GRPCStatusCode": clean(grpc_status),
        "HTTPMethod": clean(method),
        "HTTPEndpoint": clean(endpoint),
    }


def _status(value: str | float | None) -> int:
    try:
        number = int(value or 0)
    except (ValueError, OverflowError):
        return 0
    return number if 0 <= number < 1000 else 0
