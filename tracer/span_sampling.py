"""Single spans that are kept out of traces that are not: ``DD_SPAN_SAMPLING_RULES``."""

from __future__ import annotations

import os

from ddmiddleware.tracing.limiter import Limiter
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.sampling import keeps, threshold
from ddmiddleware.tracing.sampling_rules import known_keys, number, pattern, rate, read
from ddmiddleware.tracing.settings_values import rules
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from typing import Any

    from ddmiddleware.tracing.settings import Settings
    from ddmiddleware.tracing.span import Span

_MECHANISM, _RATE, _LIMIT = (f"_dd.span_sampling.{key}" for key in ("mechanism", "rule_rate", "max_per_second"))
_BY_SPAN_RULE = 8
_KEYS = ("service", "name", "sample_rate", "max_per_second")
_FILE_MAX = 1 << 20


class SpanRule:
    """Which spans a rule is for, the share that it keeps, and how many a second at most."""

    __slots__ = ("_limiter", "_marks", "_name", "_service", "_threshold")

    def __init__(self, written: dict[str, Any]) -> None:
        """Read one object; raise ValueError naming the key that is wrong."""
        known_keys(written, _KEYS)
        self._service = pattern(written, "service")
        self._name = pattern(written, "name")
        share = rate(written, "sample_rate") if "sample_rate" in written else 1.0
        self._threshold = threshold(share)
        self._marks: dict[str, float] = {_MECHANISM: _BY_SPAN_RULE, _RATE: share}
        self._limiter: Limiter | None = None
        if written.get("max_per_second") is not None:
            limit = number(written, "max_per_second")
            if not 0 <= limit < float("inf"):
                raise ValueError("max_per_second: expected a number of at least 0")
            self._limiter = Limiter(limit)
            self._marks[_LIMIT] = limit

    def matches(self, service: str, span: Span) -> bool:
        """Return whether the rule is for *span*, which is one of *service*."""
        return (self._service is None or self._service.matches(service)) and (
            self._name is None or self._name.matches(text(span.name))
        )

    def mark(self, span: Span) -> bool:
        """Mark *span* as kept, if it is; return whether it is."""
        if not keeps(span.span_id, self._threshold) or (self._limiter is not None and not self._limiter.allows()):
            return False
        span._metrics.update(self._marks)
        return True


class SpanSampler:
    """Marks the spans of rejected traces that the agent is to keep."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rules = _rules(settings)

    def mark(self, chunk: list[Span]) -> list[Span]:
        """Mark those of *chunk* that are kept, and return them; the first rule that matches a span decides."""
        kept = []
        renamed: dict[str, str] = self._settings["DD_SERVICE_MAPPING"]
        for span in chunk:
            service = "" if span.service is None else text(span.service)
            service = renamed.get(service, service)
            for rule in self._rules:
                if rule.matches(service, span):
                    if rule.mark(span):
                        kept.append(span)
                    break
        return kept


def _rules(settings: Settings) -> list[SpanRule]:
    name = "DD_SPAN_SAMPLING_RULES"
    written = settings[name]
    if not written:
        name = "DD_SPAN_SAMPLING_RULES_FILE"
        written = _read_file(name, settings[name])
    return read(name, written, SpanRule)


def _read_file(name: str, path: str) -> list[Any]:
    if not path:
        return []
    try:
        if not os.path.isfile(path):  # to open a named pipe would wait for its writer
            raise ValueError("expected a file")
        with open(path, encoding="utf-8") as file:
            return rules(file.read(_FILE_MAX))
    except (OSError, ValueError) as error:
        warn("%s=%r is ignored: %s", name, path, error)
        return []
