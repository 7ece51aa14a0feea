"""How payloads reach one address: kept in order within a cap, tried again after growing pauses, without much talk.

Exporters add what they know of their protocol: an encoder, a request, and what an answer means.
"""

from __future__ import annotations

import random
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from ddmiddleware.tracing.export.http import Connection, Unreachable
from ddmiddleware.tracing.log import debug, info, warn

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

# Small enough that packing a payload's strings holds the GIL for about a millisecond.
_PAYLOAD_BYTES = 1 << 19
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_LONGEST_RETRY_AFTER_S = 120.0  # what a server may ask for: more would lose what is kept meanwhile
_SAID_MAX = 200
# See HealthMetrics.
_COUNTED = (
    *("accepted_traces", "accepted_spans", "requests", "failed_requests"),
    *("sent_bytes", "sent_traces", "dropped_bytes", "dropped_traces"),
)


class Encoder(Protocol):
    """Collects chunks into one payload."""

    chunks: int
    spans: int

    @property
    def size(self) -> int:
        """About how many bytes the payload has so far."""

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk* now; nothing of it is kept but bytes."""

    def take(self) -> bytes:
        """Return the payload and start the next one."""


class Payload:
    """The body of one request."""

    __slots__ = ("body", "chunks", "spans")

    def __init__(self, body: bytes, chunks: int, spans: int) -> None:
        self.body, self.chunks, self.spans = body, chunks, spans


class Delivery:
    """From an encoder to one address; only the worker's thread calls it."""

    retried: frozenset[int]  # statuses after which the same payload is sent again, later
    what = "traces"
    unit = "spans"
    trouble = ""
    _ending = False

    def __init__(
        self, connection: Connection, path: str, headers: dict[str, str], encoder: Encoder, buffer_bytes: int
    ) -> None:
        self.connection = connection
        self._path = path
        self._headers = headers
        self._encoder = encoder
        self._buffer_bytes = buffer_bytes
        self._payloads: deque[Payload] = deque()
        self._buffered = 0
        self._sent = 0
        self._dropped = 0
        self._told = 0  # of them, to who waited
        self._pause_s = 0.0
        self._retry_at = 0.0
        self._away = False
        self._dropped_while_away = 0
        self._refusals: set[int] = set()
        self._counted = dict.fromkeys(_COUNTED, 0)

    def request(self, payload: Payload, deadline: float | None) -> tuple[int, bytes]:
        """Send *payload* once and return status and answer; raise Unreachable if none comes until *deadline*."""
        return self.connection.request("POST", self._path, self._headers, payload.body, deadline)

    def accepted(self, payload: Payload, answer: bytes, deadline: float | None) -> int:
        """Read the *answer* to a payload that was taken; return how many of its spans were not."""
        return 0

    def explained(self, answer: bytes) -> str:
        """Return what the *answer* to a refused payload says."""
        return answer[:_SAID_MAX].decode("utf-8", "replace")

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk* into the payload under way."""
        self._encoder.add(chunk)
        if self._encoder.size >= _PAYLOAD_BYTES:
            self._close_payload()

    def _close_payload(self) -> None:
        chunks, spans = self._encoder.chunks, self._encoder.spans
        self.put(self._encoder.take(), chunks, spans)

    def put(self, body: bytes, chunks: int, spans: int) -> None:
        """Queue a payload; where that is too much, the oldest ones are dropped."""
        payload = Payload(body, chunks, spans)
        self._payloads.append(payload)
        self._counted["accepted_traces"] += chunks
        self._counted["accepted_spans"] += spans
        self._buffered += len(payload.body)
        while self._buffered > self._buffer_bytes and len(self._payloads) > 1:
            self._drop(self._payloads.popleft())

    def _drop(self, payload: Payload) -> None:
        self._buffered -= len(payload.body)
        self._dropped += payload.spans
        self._dropped_while_away += payload.spans
        self._counted["dropped_traces"] += payload.chunks
        self._counted["dropped_bytes"] += len(payload.body)

    @property
    def retry_at(self) -> float:
        """From when on (monotonic seconds) it is tried again."""
        return self._retry_at

    def send(self, deadline: float | None) -> bool:
        """Send all payloads in order; on the first failure keep the rest for later. Return whether none is left.

        Who waits for it (*deadline* is not None) is told False too where some were dropped since that was last asked.
        """
        none_left = self._send(deadline)
        if deadline is None:
            return none_left
        lost, self._told = self._dropped > self._told, self._dropped
        return none_left and not lost

    def _send(self, deadline: float | None) -> bool:
        if self._encoder.spans:
            self._close_payload()
        if deadline is None and time.monotonic() < self._retry_at:
            return not self._payloads
        if self._payloads:  # true until there is an answer
            self.trouble = f"{self.connection.address} did not answer in time"
        while self._payloads:
            payload = self._payloads[0]
            self._counted["requests"] += 1
            try:
                status, answer = self.request(payload, deadline)
            except Unreachable as error:
                self._failed(str(error))
                return False
            if status in self.retried:
                self._failed(f"it answered {status}", self.connection.retry_after_s)
                return False
            self._payloads.popleft()
            if 200 <= status < 300:
                self._delivered(payload, answer, deadline)
            else:
                self._refused(payload, status, answer)
        self.trouble = ""
        return True

    def ending(self) -> None:
        """Know that nothing is kept for later any more."""
        self._ending = True

    def _failed(self, reason: str, retry_after_s: float = 0.0) -> None:
        self._counted["failed_requests"] += 1
        self.trouble = f"cannot send {self.what} to {self.connection.address}: {reason}"
        if not (self._away or self._ending):
            self._away = True
            warn("%s; up to %d KiB are kept and sent when it is back", self.trouble, self._buffer_bytes >> 10)
        self._pause_s = min(max(self._pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        pause_s = max(self._pause_s, min(retry_after_s, _LONGEST_RETRY_AFTER_S))
        self._retry_at = time.monotonic() + pause_s * random.uniform(*((1, 1.25) if retry_after_s else (0.75, 1.25)))

    def _delivered(self, payload: Payload, answer: bytes, deadline: float | None) -> None:
        self._buffered -= len(payload.body)
        rejected = self.accepted(payload, answer, deadline)
        self._sent += payload.spans - rejected
        self._counted["sent_traces"] += payload.chunks
        self._counted["sent_bytes"] += len(payload.body)
        self._dropped += rejected
        debug("sent %d %s in %d chunks to %s", payload.spans, self.unit, payload.chunks, self.connection.address)
        if self._away:
            dropped = self._dropped_while_away
            info("%s are sent to %s again; %d %s were dropped", self.what, self.connection.address, dropped, self.unit)
        self._away = False
        self._pause_s = self._retry_at = 0.0
        self._dropped_while_away = 0

    def _refused(self, payload: Payload, status: int, answer: bytes) -> None:
        """Drop what will never be taken; say so once per status."""
        self._counted["failed_requests"] += 1
        self._drop(payload)
        if status not in self._refusals:
            self._refusals.add(status)
            said = one_line(self.explained(answer))
            address, unit = self.connection.address, self.unit
            warn("%s refused %d %s with status %d: %s", address, payload.spans, unit, status, said)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def disown(self) -> None:
        """Close this process's copy of the connection, the parent process goes on using its own."""
        self.connection.disown()

    def stats(self) -> dict[str, int]:
        """Return counters: in spans, and those of ``HealthMetrics``."""
        pending = self._encoder.spans + sum(payload.spans for payload in list(self._payloads))
        return {"sent": self._sent, "pending": pending, "dropped": self._dropped, **self._counted}


def one_line(text: str) -> str:
    """Return what a server says so that it fits into one line of a log."""
    return " ".join(text[:_SAID_MAX].split())
