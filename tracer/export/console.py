"""Traces on stderr, for people: one readable tree per chunk, written at once, so that processes do not mix lines."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from ddmiddleware.tracing.constants import ERROR_MSG, ERROR_TYPE
from ddmiddleware.tracing.errors import has_failed
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.text import text

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

_SPANS = 50  # shown of one chunk
_TAGS = 4  # shown of one span
_CHUNKS = 1000  # waiting to be written
_TEXT = 100
_VALUE = 40
# What is told otherwise, or the same for all spans of a service.
_UNTOLD = frozenset(
    ("component", "env", "events", "language", "process_id", "runtime-id", "span.kind", "thread.name", "version")
)
_BRANCHES = (("├─ ", "└─ ", "│  ", "   "), ("|- ", "`- ", "|  ", "   "))
_NAME, _TIME, _ERROR, _FAINT = "1", "36", "31;1", "2"


class ConsoleExporter:
    """Writes trees, in colours to a terminal unless ``NO_COLOR`` is set; a closed stderr is no error.

    https://no-color.org
    """

    def __init__(self, settings: Settings) -> None:
        self._no_color = bool(settings.environ.get("NO_COLOR")) or settings.environ.get("TERM") == "dumb"
        self._trees: list[tuple[str, int]] = []
        self._unshown = 0
        self._sent = 0
        self._dropped = 0

    def add(self, chunk: list[Span]) -> None:
        """Draw *chunk*."""
        if len(self._trees) < _CHUNKS:
            self._trees.append((self._pen().chunk(chunk), len(chunk)))
        else:
            self._unshown += 1
            self._dropped += len(chunk)

    def _pen(self) -> _Pen:
        stream = sys.stderr
        encoding = getattr(stream, "encoding", None) or ""
        try:
            colors = not self._no_color and stream is not None and stream.isatty()
        except (AttributeError, ValueError):  # closed, or something of the application's
            colors = False
        return _Pen(colors, _BRANCHES[0 if encoding.lower().startswith("utf") else 1])

    def send(self, deadline: float | None) -> bool:
        """Write all trees, each in one go; return whether that worked. None is kept for later."""
        trees, self._trees = self._trees, []
        if self._unshown:
            trees.append((f"({self._unshown} more traces)\n", 0))
            self._unshown = 0
        whole = True
        for tree, spans in trees:
            if _write(tree):
                self._sent += spans
            else:
                self._dropped += spans
                whole = False
        return whole

    trouble = ""

    def ending(self) -> None:
        """Do nothing: what cannot be shown is never kept."""

    def close(self) -> None:
        """Do nothing: stderr is not ours."""

    def disown(self) -> None:
        """Do nothing, as above."""

    def stats(self) -> dict[str, int]:
        """Return counters, in spans."""
        pending = sum(spans for _, spans in list(self._trees))
        return {"sent": self._sent, "pending": pending, "dropped": self._dropped}


def _write(tree: str) -> bool:
    """Write to stderr and return whether it took all.

    To the descriptor where there is one: the stream's lock may be held by a thread that a fork left behind, and a
    stream cuts long texts. What stands for stderr without a descriptor is the application's, and any error its own.
    """
    stream = sys.stderr
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):  # None, no file, or closed
        descriptor = -1
    try:
        if descriptor < 0:
            stream.write(tree)
            return True
        left = tree.encode(stream.encoding or "utf-8", "backslashreplace")
        while left:
            left = left[os.write(descriptor, left) :]
    except (AttributeError, OSError, ValueError, LookupError):  # nobody reads it any more, or it is full
        return False
    return True


class _Pen:
    """Draws chunks as text, with colours or without."""

    def __init__(self, colors: bool, branches: tuple[str, str, str, str]) -> None:
        self._colors = colors
        self._branch, self._last_branch, self._trunk, self._gap = branches

    def chunk(self, chunk: list[Span]) -> str:
        """Return the tree of *chunk*, its children in the order of their start."""
        shown = {span.span_id for span in chunk}
        children: dict[int, list[Span]] = {}
        for span in sorted(chunk, key=lambda span: (span.start_ns, span.span_id)):
            parent = span.parent_id or 0
            children.setdefault(parent if parent in shown and parent != span.span_id else 0, []).append(span)
        first = min(span.start_ns for span in chunk)
        clock = time.strftime("%H:%M:%S", time.localtime(first // 10**9)) + f".{first // 10**6 % 1000:03}"
        lines = [self._color(_FAINT, f"{clock} trace {chunk[0].trace_id:032x} in process {process.pid}")]
        # A stack and not a recursion, for a trace may be deeper than Python's stack.
        roots = children.get(0, [])
        waiting = [(span, "", "") for span in reversed(roots)]
        while waiting and len(lines) <= _SPANS:
            span, branch, trunk = waiting.pop()
            lines.append("  " + self._color(_FAINT, branch) + self._span(span))
            below = children.pop(span.span_id, [])
            for number, child in enumerate(reversed(below)):
                last = not number
                waiting.append(
                    (
                        child,
                        trunk + (self._last_branch if last else self._branch),
                        trunk + (self._gap if last else self._trunk),
                    )
                )
        rest = len(chunk) - len(lines) + 1
        if rest > 0:
            lines.append(f"  ({rest} more)")
        return "\n".join(lines) + "\n"

    def _span(self, span: Span) -> str:
        meta = dict(span._meta)
        tags = [(key, value) for key, value in (*meta.items(), *dict(span._metrics).items()) if _told(key)]
        parts = [self._color(_NAME, _plain(span.name))]
        if span.resource != span.name:
            parts.append(_plain(span.resource))
        parts.append(self._color(_FAINT, f"[{_plain(span.service)}]"))
        parts.append(self._color(_TIME, _duration(span.duration_ns)))
        if has_failed(span.error):
            what = ": ".join(_plain(meta[key]) for key in (ERROR_TYPE, ERROR_MSG) if meta.get(key))
            parts.append(self._color(_ERROR, f"ERROR {what.removeprefix('builtins.')}".rstrip()))
        parts += [self._color(_FAINT, f"{_plain(key)}={_plain(value, _VALUE)}") for key, value in tags[:_TAGS]]
        return " ".join(parts)

    def _color(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colors and text else text


def _told(key: object) -> bool:
    key = text(key)
    return key not in _UNTOLD and not key.startswith(("_", "error."))


def _plain(value: object, length: int = _TEXT) -> str:
    """Return *value* on one line, cut, with whatever could steer a terminal spelt out."""
    cut = text(value)
    if len(cut) > length:
        cut = cut[: length - 3] + "..."
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def _duration(duration_ns: int | None) -> str:
    ms = (duration_ns or 0) / 1e6
    return f"{ms / 1e3:.2f} s" if ms >= 1000 else f"{ms:.1f} ms" if ms >= 0.1 else f"{ms * 1e3:.0f} us"
