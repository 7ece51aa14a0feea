"""What an exception says on a span: its type, message and stack."""

from __future__ import annotations

from ddmiddleware.tracing.constants import ERROR_MSG, ERROR_STACK, ERROR_TYPE
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from types import TracebackType

_STACK_MAX = 25_000  # characters; a longer tag would be cut at its end, where the error stands


def is_error(error: BaseException) -> bool:
    """Return False for what ends a call without anything having failed: a closed generator, and ``sys.exit(0)``."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, GeneratorExit)


def error_tags(error: BaseException, tb: TracebackType | None, frames: int) -> dict[str, str]:
    """Return the tags of *error*; the stack is that of *tb*, or its own, at most the innermost *frames* of it."""
    kind = type(error)
    return {
        ERROR_TYPE: f"{kind.__module__}.{kind.__qualname__}",
        ERROR_MSG: text(error),
        ERROR_STACK: _stack(kind, error, tb or error.__traceback__, frames),
    }


def has_failed(error: object) -> bool:
    """Return whether the field says that a span failed; what cannot even be asked was set for a failure."""
    try:
        return bool(error)
    except Exception:  # any code of the user's may run in __bool__
        return True


def calling_stack(limit: int) -> str:
    """Return the innermost *limit* frames of the code that calls a span's method, which calls this."""
    import traceback

    return "".join(traceback.format_stack(limit=limit + 2)[:-2])


def _stack(kind: type[BaseException], error: BaseException, tb: TracebackType | None, frames: int) -> str:
    import traceback  # not at import: it costs more than all of ours

    stack = ""
    try:
        while frames:
            stack = "".join(traceback.format_exception(kind, error, tb, limit=-frames))
            if len(stack) <= _STACK_MAX:
                break
            frames //= 2
    except Exception:  # formatting runs the exception's own code
        return kind.__qualname__
    return stack
