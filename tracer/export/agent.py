"""Delivery to a Datadog Agent, or to whatever speaks its trace protocol (our own collector does)."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from ddmiddleware.tracing.encoding import EncoderV05
from ddmiddleware.tracing.encoding_v04 import v04_from_v05
from ddmiddleware.tracing.export.container import container_headers
from ddmiddleware.tracing.export.delivery import Delivery, Payload
from ddmiddleware.tracing.export.http import Connection
from ddmiddleware.tracing.export.info import AgentInfo, read_info
from ddmiddleware.tracing.export.stats import StatsSender
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddmiddleware.tracing.span import Span

_RETRIED = frozenset((429, *range(500, 600)))


class AgentExporter(Delivery):
    """Sends v0.5, and v0.4 to an agent that does not know it.

    *on_answer* gets the body of every answer to a payload that was taken (``{"rate_by_service": ...}``), *info* is what
    the agent says of itself, None until the first payload was delivered; both on the worker's thread.
    """

    retried = _RETRIED
    on_answer: Callable[[bytes], None] | None = None
    info: AgentInfo | None = None

    def __init__(self, settings: Settings) -> None:
        self._version: str = settings["DD_TRACE_API_VERSION"]
        headers = {
            "Content-Type": "application/msgpack",
            "Datadog-Meta-Lang": "python",
            "Datadog-Meta-Lang-Version": platform.python_version(),
            "Datadog-Meta-Lang-Interpreter": platform.python_implementation(),
            "Datadog-Meta-Tracer-Version": __version__,
            "Datadog-Send-Real-Http-Status": "1",  # an agent that is too busy says 429, and we try again
            "Datadog-Client-Computed-Top-Level": "true",
            "User-Agent": f"ddmiddleware/{__version__}",
            **container_headers(settings["DD_EXTERNAL_ENV"]),
        }
        connection = Connection(settings.agent_address, settings["DD_TRACE_AGENT_TIMEOUT_SECONDS"])
        super().__init__(connection, "", headers, EncoderV05(), settings["DD_TRACE_WRITER_BUFFER_SIZE_BYTES"])
        self._stats: StatsSender | None = None
        if settings["DD_TRACE_STATS_COMPUTATION_ENABLED"]:
            self._stats = StatsSender(settings, connection, headers)

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk*, and count its spans where that is asked for."""
        if self._stats is None or self._stats.add(chunk):
            super().add(chunk)

    def send(self, deadline: float | None) -> bool:
        """Send all payloads, and the statistics that are due; return whether nothing is left."""
        delivered = super().send(deadline)
        if self._stats is not None:
            return self._stats.send(deadline) and delivered
        return delivered

    def request(self, payload: Payload, deadline: float | None) -> tuple[int, bytes]:
        """Send *payload*, again as v0.4 where v0.5 is not known."""
        status, answer = self._put(payload, deadline)
        if status in (404, 415) and self._version == "v0.5":
            self._version = "v0.4"
            return self._put(payload, deadline)
        return status, answer

    def _put(self, payload: Payload, deadline: float | None) -> tuple[int, bytes]:
        body = payload.body
        if self._version == "v0.4":
            body = v04_from_v05(body, native_events=self.info is not None and self.info.span_events)
        headers = {**self._headers, "X-Datadog-Trace-Count": str(payload.chunks)}
        if self._stats is not None:
            self._stats.announce(headers)
        return self.connection.request("PUT", f"/{self._version}/traces", headers, body, deadline)

    def accepted(self, payload: Payload, answer: bytes, deadline: float | None) -> int:
        """Hand the sampling rates on, and ask once who the agent is, unless somebody waits for a flush or the exit."""
        if self.on_answer is not None:
            with guard:
                self.on_answer(answer)
        if self._stats is not None:
            self._stats.announced()
        if self.info is None and deadline is None:
            self.info = read_info(self.connection)
            if self._stats is not None:
                self._stats.learn(self.info)
        return 0

    def stats(self) -> dict[str, int]:
        """Return counters: in spans, and those of ``HealthMetrics``."""
        return super().stats() if self._stats is None else super().stats() | self._stats.stats()
