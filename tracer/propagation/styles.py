"""The formats that a context is written in, by the names that settings give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ddmiddleware.tracing.context import Context
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.propagation import b3, datadog, tracecontext
from ddmiddleware.tracing.settings import Settings

Extract = Callable[[Mapping[str, str]], Context | None]
Inject = Callable[[Context, dict[str, str]], None]


class Style:
    """One format for the ids of a trace."""

    __slots__ = ("expected", "extract", "inject", "leading", "mark", "name", "names")

    def __init__(
        self, name: str, extract: Extract, inject: Inject, names: tuple[str, ...], mark: str, expected: str
    ) -> None:
        """*names* are its headers, first the one without which there is no trace; *mark* differs from span to span."""
        self.name = name
        self.extract = extract
        self.inject = inject
        self.names = names
        self.leading = names[0]
        self.mark = mark
        self.expected = expected


DATADOG = Style(
    "datadog",
    datadog.extract,
    datadog.inject,
    datadog.NAMES,
    "x-datadog-parent-id",
    "a decimal number from 1 to 2^64-1",
)
TRACECONTEXT = Style(
    "tracecontext",
    tracecontext.extract,
    tracecontext.inject,
    tracecontext.NAMES,
    "traceparent",
    "version-traceid-spanid-flags in lower-case hex, as W3C Trace Context has it",
)
B3 = Style("b3", b3.extract, b3.inject, b3.NAMES, "b3", "traceid-spanid-sampled in hex, as B3 has it")
B3_MULTI = Style(
    "b3multi", b3.extract_multi, b3.inject_multi, b3.MULTI_NAMES, "x-b3-spanid", "a hex id with one of a span beside it"
)
STYLES = {style.name: style for style in (DATADOG, TRACECONTEXT, B3, B3_MULTI)}
BAGGAGE = "baggage"
# What an earlier ddtrace called it.
_OTHER_NAMES = {"b3 single header": "b3"}


def chosen(settings: Settings, direction: str, reported: set[str]) -> tuple[list[Style], bool]:
    """Return the styles of a direction (``EXTRACT``, ``INJECT``) in their order, and whether there is baggage as well.

    Names that nobody knows are reported, unless they are in *reported*, and left out; with no other left, the default
    holds.
    """
    setting = f"DD_TRACE_PROPAGATION_STYLE_{direction}"
    words = settings[setting]
    if not words:
        setting = "DD_TRACE_PROPAGATION_STYLE"
        words = settings[setting]
    known: list[str] = []
    for word in words:
        word = _OTHER_NAMES.get(word, word)
        if word in STYLES or word in (BAGGAGE, "none"):
            known.append(word)
        elif word not in reported:
            reported.add(word)
            warn("%s names a propagation style that does not exist, %r; it is left out", setting, word[:80])
    if not known:
        known = ["datadog", "tracecontext", BAGGAGE]
    return [STYLES[word] for word in dict.fromkeys(known) if word in STYLES], BAGGAGE in known
