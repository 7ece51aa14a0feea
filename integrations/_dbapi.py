"""What database drivers of the DB-API share: how a statement looks on a span (PEP 249)."""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations._patching import Call, Integration, Traced


class Spans:
    """The spans of one driver: statements, and commit and rollback."""

    def __init__(self, integration: Integration, prefix: str) -> None:
        self.query: Traced = integration.traced(f"{prefix}.query", "sql")(_query)
        self.query.returned(_rows)
        self.commit: Traced = integration.traced(f"{prefix}.connection.commit", "sql")(_nothing)
        self.rollback: Traced = integration.traced(f"{prefix}.connection.rollback", "sql")(_nothing)


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
