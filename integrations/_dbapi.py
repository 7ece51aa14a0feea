"""What database drivers of the DB-API share: how a statement looks on a span (PEP 249)."""

from __future__ import annotations

import functools
from typing import Any

from ddmiddleware.integrations._patching import Call, Integration, Traced


class Spans:
    """The spans of one driver: each method puts them around a function of the driver."""

    def __init__(self, integration: Integration, prefix: str) -> None:
        self._query = integration.traced(f"{prefix}.query", "sql")(_query)
        self._query.returned(_rows)
        self._script = integration.traced(f"{prefix}.query", "sql")(_query)
        self._commit = integration.traced(f"{prefix}.connection.commit", "sql")(_nothing)
        self._rollback = integration.traced(f"{prefix}.connection.rollback", "sql")(_nothing)

    def query(self, original: Any) -> Any:
        """Trace a cursor's ``execute`` or ``executemany``."""
        return _around(original, self._query)

    def script(self, original: Any) -> Any:
        """Trace what executes several statements, and leaves ``rowcount`` as it was."""
        return _around(original, self._script)

    def commit(self, original: Any) -> Any:
        """Trace a commit."""
        return _around(original, self._commit)

    def rollback(self, original: Any) -> Any:
        """Trace a rollback."""
        return _around(original, self._rollback)


def _around(original: Any, traced: Traced) -> Any:
    return functools.wraps(original)(traced.wrapper(original))


def _query(call: Call) -> None:
    call.span.resource = str(call.arg(0, "sql", ""))
    call.metrics["_dd.measured"] = 1


def _rows(call: Call, _result: Any) -> None:
    count = getattr(call.self, "rowcount", -1)
    if isinstance(count, int) and count >= 0:
        call.metrics["db.row_count"] = count


def _nothing(_call: Call) -> None:
    """A commit or a rollback has nothing to describe."""


def subclass(base: type, traced: type) -> type:
    """Return a class that goes by the name of *base* and has the methods of *traced* right before those of the driver.

    Drivers written in C check the types of what they are given, so a connection is no proxy but of a subclass of its
    own class. What a user's subclass overrides is still called first, and reaches *traced* by ``super()``.
    """
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__, "__slots__": ()}
    return type(base)(base.__name__, (base, traced) if base not in traced.__mro__ else (traced,), names)
