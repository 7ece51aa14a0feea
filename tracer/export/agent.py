"""Delivery to a Datadog Agent, or to whatever speaks its trace protocol (our own collector does)."""

from __future__ import annotations

import platform
import random
import time
from collections import deque
from typing import TYPE_CHECKING

from ddmiddleware.tracing.encoding import EncoderV05, v04_from_v05
from ddmiddleware.tracing.export.http import Connection, Unreachable
from ddmiddleware.tracing.log import debug, info, warn
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.version import __version__

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

# Small enough that packing a payload's strings holds the GIL for about a millisecond.
_PAYLOAD_BYTES = 1 << 19
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


class _Payload:
    __slots__ = ("body", "chunks", "spans")

    def __init__(self, body: bytes, chunks: int, spans: int) -> None:
        self.body, self.chunks, self.spans = body, chunks, spans


class AgentExporter:
    """Encodes chunks to payloads, keeps what could not be sent yet within a cap, and tries again after a pause."""

    def __init__(self, settings: Settings) -> None:
        self._connection = Connection(settings.agent_address, settings["DD_TRACE_AGENT_TIMEOUT_SECONDS"])
        self._version: str = settings["DD_TRACE_API_VERSION"]
        self._buffer_bytes: int = settings["DD_TRACE_WRITER_BUFFER_SIZE_BYTES"]
        self._encoder = EncoderV05()
        self._payloads: deque[_Payload] = deque()
        self._buffered = 0
        self._sent = 0
        self._dropped = 0
        self._pause_s = 0.0
        self._retry_at = 0.0
        self._away = False
        self._dropped_while_away = 0
        self._refusals: set[int] = set()
        self._headers = {
            "Content-Type": "application/msgpack",
            "Datadog-Meta-Lang": "python",
            "Datadog-Meta-Lang-Version": platform.python_version(),
            "Datadog-Meta-Lang-Interpreter": platform.python_implementation(),
            "Datadog-Meta-Tracer-Version": __version__,
            "User-Agent": f"ddmiddleware/{__version__}",
        }

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk* into the payload under way."""
        self._encoder.add(chunk)
        if self._encoder.size >= _PAYLOAD_BYTES:
            self._close_payload()

    def _close_payload(self) -> None:
        chunks, spans = self._encoder.chunks, self._encoder.spans
        payload = _Payload(self._encoder.take(), chunks, spans)
        self._payloads.append(payload)
        self._buffered += len(payload.body)
        while self._buffered > self._buffer_bytes and len(self._payloads) > 1:
            self._drop(self._payloads.popleft())

    def _drop(self, payload: _Payload) -> None:
        self._buffered -= len(payload.body)
        self._dropped += payload.spans
        self._dropped_while_away += payload.spans

    def send(self, deadline: float | None) -> bool:
        """Send all payloads in order; on the first failure keep the rest for later. Return whether none is left."""
        if self._encoder.spans:
            self._close_payload()
        if deadline is None and time.monotonic() < self._retry_at:
            return not self._payloads
        while self._payloads:
            payload = self._payloads[0]
            try:
                status, answer = self._put(payload, deadline)
            except Unreachable as error:
                self._failed(str(error))
                return False
            if status in (404, 415) and self._version == "v0.5":
                self._version = "v0.4"  # an agent that does not know v0.5; this payload is sent again as v0.4
                continue
            if status == 429 or status >= 500:
                self._failed(f"it answered {status}")
                return False
            self._payloads.popleft()
            if 200 <= status < 300:
                self._buffered -= len(payload.body)
                self._sent += payload.spans
                debug("sent %d spans in %d chunks to %s", payload.spans, payload.chunks, self._connection.url)
                self._delivered()
            else:
                self._refused(payload, status, answer)
        return True

    def _put(self, payload: _Payload, deadline: float | None) -> tuple[int, bytes]:
        body = payload.body if self._version == "v0.5" else v04_from_v05(payload.body)
        headers = {**self._headers, "X-Datadog-Trace-Count": str(payload.chunks)}
        return self._connection.request("PUT", f"/{self._version}/traces", headers, body, deadline)

    def _failed(self, reason: str) -> None:
        if not self._away:
            self._away = True
            warn(
                "cannot send traces to %s: %s; up to %d KiB are kept and sent when it is back",
                self._connection.url,
                reason,
                self._buffer_bytes >> 10,
            )
        self._pause_s = min(max(self._pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self._retry_at = time.monotonic() + self._pause_s * random.uniform(0.75, 1.25)

    def _delivered(self) -> None:
        if self._away:
            info("traces are sent to %s again; %d spans were dropped", self._connection.url, self._dropped_while_away)
        self._away = False
        self._pause_s = self._retry_at = 0.0
        self._dropped_while_away = 0

    def _refused(self, payload: _Payload, status: int, answer: bytes) -> None:
        """Drop what the agent will never take; say so once per status."""
        self._drop(payload)
        if status not in self._refusals:
            self._refusals.add(status)
            warn(
                "%s refused %d spans with status %d: %s",
                self._connection.url,
                payload.spans,
                status,
                " ".join(answer[:200].decode("utf-8", "replace").split()),
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def disown(self) -> None:
        """Close this process's copy of the connection, the parent process goes on using its own."""
        self._connection.disown()

    def stats(self) -> dict[str, int]:
        """Return counters, in spans."""
        pending = self._encoder.spans + sum(payload.spans for payload in list(self._payloads))
        return {"sent": self._sent, "pending": pending, "dropped": self._dropped}
