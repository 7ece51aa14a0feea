"""What the worker needs of a destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span


class Exporter(Protocol):
    """A destination of chunks; only the worker's thread calls it."""

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk*."""

    def send(self, deadline: float | None) -> bool:
        """Send what was added, until *deadline* (monotonic seconds) or None; return whether all of it went."""

    def ending(self) -> None:
        """Know that the process ends: what cannot be sent now is lost, and no word is said of keeping it."""

    @property
    def trouble(self) -> str:
        """Why the last sending did not succeed, or has not yet; ``""`` where it did."""

    def close(self) -> None:
        """Let go of the connection."""

    def disown(self) -> None:
        """Close this process's copy of the connection, the parent process goes on using its own."""

    def stats(self) -> dict[str, int]:
        """Return counters: in spans, or named after what they count (see ``HealthMetrics``)."""
