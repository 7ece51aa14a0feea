from collections.abc import Callable, Mapping
from contextvars import ContextVar

from ddmiddleware.tracing.context import Context, LocalTrace
from ddmiddleware.tracing.guard import Guard
from ddmiddleware.tracing.span import Span

def prepare(
    spans: type[Span],
    traces: type[LocalTrace],
    guards: type[Guard],
    start: Callable[..., Span],
    special_keys: frozenset[str],
    active: ContextVar[Span | Context | None],
    random_bits: Callable[[int], int],
    monotonic_ns: Callable[[], int],
    /,
) -> None: ...
def start(
    name: str,
    service: str | None,
    resource: str | None,
    span_type: str | None,
    trace: LocalTrace,
    trace_id: int,
    parent_id: int | None,
    parent: Span | None,
    previous: Span | Context | None,
    /,
) -> Span: ...
def start_inside(name: str, resource: str | None, span_type: str | None, open_max: int, /) -> Span | None: ...
def to_redact(
    chunk: list[Span],
    harmless: set[str],
    quiet: set[str],
    rules: Mapping[str, object],
    statements: Mapping[str | None, Mapping[str, str]],
    sql: frozenset[str],
    /,
) -> list[Span]: ...
def holds(text: str, words: tuple[str, ...], /) -> bool: ...
def encode(
    chunk: list[Span],
    strings: dict[str | None, bytes],
    ordered: list[str],
    add_links_and_events: Callable[[Span], None],
    /,
) -> bytes | None: ...
