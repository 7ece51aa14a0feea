"""SQLite statements, commits and rollbacks.

https://docs.python.org/3/library/sqlite3.html
"""

from __future__ import annotations

import functools
import sqlite3
import sys
from typing import Any

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import guarded

integration = Integration("sqlite3", service="sqlite", kind="client", db_system="sqlite", wire="sql")
spans = _dbapi.Spans(integration, "sqlite")

_FACTORY_POSITION = 5  # connect(database, timeout, detect_types, isolation_level, check_same_thread, factory, ...)


# connect, because its classes are C types, which cannot be changed: it is made to return instances of subclasses.
@integration.replaces("sqlite3:connect")
def connect(original: Any) -> Any:
    def connecting(*args: Any, **kwargs: Any) -> Any:
        with guarded:
            if not integration.patched:
                pass
            elif len(args) > _FACTORY_POSITION:
                args = (*args[:_FACTORY_POSITION], _connection(args[_FACTORY_POSITION]), *args[_FACTORY_POSITION + 1 :])
            else:
                kwargs["factory"] = _connection(kwargs.get("factory", sqlite3.Connection))
        return original(*args, **kwargs)

    return connecting


class _Cursor(sqlite3.Cursor):
    __slots__ = ()
    execute = spans.query(sqlite3.Cursor.execute)
    executemany = spans.query(sqlite3.Cursor.executemany)
    executescript = spans.script(sqlite3.Cursor.executescript)


def _shortcut(original: Any) -> Any:
    """Return a connection's ``execute``, which makes its cursor in C, with a traced cursor."""

    def shortcut(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return original(self, *args, **kwargs)  # which refuses them
        return getattr(_Connection.cursor(self), original.__name__)(*args)

    return functools.wraps(original)(shortcut)


class _Connection(sqlite3.Connection):
    __slots__ = ()
    commit = spans.commit(sqlite3.Connection.commit)
    rollback = spans.rollback(sqlite3.Connection.rollback)

    @functools.wraps(sqlite3.Connection.cursor)
    def cursor(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        with guarded:
            if args:
                args = (_cursor(args[0]), *args[1:])
            elif not kwargs or "factory" in kwargs:
                kwargs["factory"] = _cursor(kwargs.get("factory", sqlite3.Cursor))
        return super().cursor(*args, **kwargs)

    # The original calls neither commit nor rollback: it is in C.
    @functools.wraps(sqlite3.Connection.__exit__)
    def __exit__(self, *args: Any) -> Any:  # type: ignore[override]
        leave = sqlite3.Connection.__exit__
        if _ends_transaction(self):
            leave = _committing if args[:1] == (None,) else _rolling_back
        return leave(self, *args)

    if sys.version_info >= (3, 11):  # before, the originals call cursor, as their documentation has it
        execute = _shortcut(sqlite3.Connection.execute)
        executemany = _shortcut(sqlite3.Connection.executemany)
        executescript = _shortcut(sqlite3.Connection.executescript)


_committing = spans.commit(sqlite3.Connection.__exit__)
_rolling_back = spans.rollback(sqlite3.Connection.__exit__)


def _ends_transaction(connection: sqlite3.Connection) -> bool:
    """Return whether leaving the ``with`` block of *connection* has anything to do."""
    try:
        return connection.in_transaction and getattr(connection, "autocommit", None) is not True
    except sqlite3.ProgrammingError:  # closed: the original says so
        return False


def _connection(factory: Any) -> Any:
    """Return a traced subclass of a connection class; another kind of factory is left as it is."""
    return _subclass(factory, _Connection) if _is_class(factory, sqlite3.Connection) else factory


def _cursor(factory: Any) -> Any:
    """Return a traced subclass of a cursor class; another kind of factory is left as it is."""
    return _subclass(factory, _Cursor) if _is_class(factory, sqlite3.Cursor) else factory


def _is_class(factory: Any, base: type) -> bool:
    return isinstance(factory, type) and issubclass(factory, base)


@functools.lru_cache(maxsize=100)
def _subclass(factory: type, traced: type) -> type:
    return _dbapi.subclass(factory, traced)
