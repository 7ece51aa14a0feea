"""What a worker loses, counted, and said in one line when it ends: a collector that is away must not look like rest."""

from __future__ import annotations

from ddmiddleware.tracing.log import warn

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Iterable


class Losses:
    """The spans and chunks that came while too many waited, and those that an error of ours kept from being encoded."""

    def __init__(self) -> None:
        self.full_spans = self.full_chunks = 0
        self.failed_spans = self.failed_chunks = 0
        self._told = False
        self._asked = 0

    def counters(self) -> dict[str, int]:
        """Return them as ``tracer.stats()`` and ``HealthMetrics`` name them."""
        return {
            "dropped": self.full_spans + self.failed_spans,
            "full_traces": self.full_chunks,
            "unencoded_traces": self.failed_chunks,
        }

    def grew(self) -> bool:
        """Return whether there are more than when this was last asked."""
        before, self._asked = self._asked, self.full_spans + self.failed_spans
        return self._asked > before

    def tell(self, given_up: int, troubles: Iterable[str]) -> None:
        """Say, once, how many spans are lost: those *given_up* now, for what *troubles*, and those lost before.

        What an agent refused is not among them: it was said when it happened.
        """
        parts = []
        if given_up:
            why = "; ".join(filter(None, troubles))
            parts.append(f"{given_up} could not be sent at the end" + (f" ({why})" if why else ""))
        if self.full_spans:
            parts.append(f"{self.full_spans} came while too many waited to be sent")
        if self.failed_spans:
            parts.append(f"{self.failed_spans} could not be encoded")
        if parts and not self._told:
            self._told = True
            warn("%d spans are lost: %s", given_up + self.full_spans + self.failed_spans, "; ".join(parts))
