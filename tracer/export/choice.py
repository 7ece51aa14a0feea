"""Which exporters a process has; what one needs is imported when it is opened."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING

from ddmiddleware.tracing.export.rates import Answers
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from ddmiddleware.tracing.export.exporter import Exporter
    from ddmiddleware.tracing.span import Span

# In the order of sending: what may have to wait for whoever reads it comes last.
EXPORTERS = {
    "spool": ("ddmiddleware.tracing.export.spool", "SpoolExporter"),
    "agent": ("ddmiddleware.tracing.export.agent", "AgentExporter"),
    "otlp": ("ddmiddleware.tracing.export.otlp", "OtlpExporter"),
    "console": ("ddmiddleware.tracing.export.console", "ConsoleExporter"),
}


def chosen(settings: Settings) -> list[str]:
    """Return the names of the exporters to open, in the order of sending.

    An agent whose address is ``file:///path`` is a spool.
    """
    names = set(settings["DD_TRACE_EXPORTERS"])
    if "agent" in names and settings.agent_address.startswith("file:"):
        names.remove("agent")
        names.add("spool")
    return [name for name in EXPORTERS if name in names]


def load(settings: Settings) -> None:
    """Import what is chosen, and open nothing."""
    for name in chosen(settings):
        import_module(EXPORTERS[name][0])


def open_exporters(settings: Settings, take_rates: Callable[[dict[str, float]], None] | None = None) -> Exporter:
    """Open what is chosen; what cannot be opened is reported once, and is no reason to lose the others.

    *take_rates* gets the sampling rates that an agent answers with.
    """
    names = chosen(settings)
    opened: list[Exporter] = []
    for name in names:
        with guard:
            module, noun = EXPORTERS[name]
            exporter = getattr(import_module(module), noun)(settings)
            if name == "agent" and take_rates is not None:
                exporter.on_answer = Answers(take_rates)
            opened.append(exporter)
    if len(opened) == len(names) == 1:
        return opened[0]
    return Several(opened, len(names) - len(opened))


class Several:
    """Several exporters as one: whatever happens to one of them, the others go on."""

    def __init__(self, exporters: list[Exporter], missing: int = 0) -> None:
        """*missing* is how many could not be opened, so that nothing counts as delivered everywhere."""
        self.exporters = exporters
        self._missing = missing

    def add(self, chunk: list[Span]) -> None:
        """Have each encode *chunk*."""
        for exporter in self.exporters:
            with guard:
                exporter.add(chunk)

    def send(self, deadline: float | None) -> bool:
        """Have each send; return whether each sent all of it.

        The time until *deadline* is shared out, so that one that hangs at exit leaves some to the others.
        """
        delivered = not self._missing
        until = deadline
        for number, exporter in enumerate(self.exporters):
            if deadline is not None:
                now = time.monotonic()
                until = now + (deadline - now) / (len(self.exporters) - number)
            sent = False
            with guard:
                sent = exporter.send(until)
            delivered = delivered and sent
        return delivered

    def ending(self) -> None:
        """Tell each."""
        for exporter in self.exporters:
            with guard:
                exporter.ending()

    @property
    def trouble(self) -> str:
        """What each says."""
        return "; ".join(filter(None, (exporter.trouble for exporter in self.exporters)))

    def close(self) -> None:
        """Close each."""
        for exporter in self.exporters:
            with guard:
                exporter.close()

    def disown(self) -> None:
        """Let go, in a forked child, of what is the parent's."""
        for exporter in self.exporters:
            with guard:
                exporter.disown()

    def stats(self) -> dict[str, int]:
        """Return the sum of their counters: a span that went to two of them was sent twice."""
        found: dict[str, int] = {}
        for exporter in self.exporters:
            for name, count in exporter.stats().items():
                found[name] = found.get(name, 0) + count
        return found
