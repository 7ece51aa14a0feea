"""psycopg2: statements, procedures, commits and rollbacks; a part of the integration ``psycopg``.

https://www.psycopg.org/docs/
"""

from __future__ import annotations

import functools
from typing import Any

from ddmiddleware.integrations import _dbapi
from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import guarded

integration = Integration(
    "psycopg", requires="psycopg2>=2.8", service="postgres", kind="client", db_system="postgresql", wire="sql"
)

_FACTORY_POSITION = 1  # connect(dsn, connection_factory, cursor_factory, **kwargs); cursor(name, cursor_factory, ...)


@_dbapi.for_good
def _server(connection: Any) -> _dbapi.Server:
    info = connection.info
    return _dbapi.Server(info.host, info.port, info.dbname, info.user)


def _join(comment: str, statement: Any) -> Any:
    from psycopg2 import sql

    return sql.SQL(comment) + statement if isinstance(statement, sql.Composable) else statement


spans = _dbapi.Spans(integration, "postgres", server=_server, comments=_dbapi.interpolating("vars"), join=_join)


# connect, because its classes are C types, which cannot be changed: it is made to return instances of subclasses.
@integration.replaces("psycopg2:connect")
def connect(original: Any) -> Any:
    def connecting(*args: Any, **kwargs: Any) -> Any:
        with guarded:
            if integration.patched:
                connection, _ = _classes()
                args, kwargs = _with_factory(args, kwargs, "connection_factory", connection)
        return original(*args, **kwargs)

    return connecting


def _with_factory(
    args: tuple[Any, ...], kwargs: dict[str, Any], name: str, traced: Any, default: Any = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Have a class made by a factory that is a subclass traced; another kind of factory is left as it is."""
    given = args[_FACTORY_POSITION] if len(args) > _FACTORY_POSITION else kwargs.get(name)
    factory = given or default or traced.__base__
    if not (isinstance(factory, type) and issubclass(factory, traced.__base__)):
        return args, kwargs
    factory = _subclass(factory, traced)
    if len(args) > _FACTORY_POSITION:
        return (*args[:_FACTORY_POSITION], factory, *args[_FACTORY_POSITION + 1 :]), kwargs
    return args, {**kwargs, name: factory}


@functools.lru_cache(maxsize=100)
def _subclass(factory: type, traced: type) -> type:
    return _dbapi.subclass(factory, traced)


@functools.lru_cache(maxsize=1)
def _classes() -> tuple[type, type]:
    """Return the traced connection and cursor, which are made when psycopg2 is there."""
    from psycopg2 import extensions

    class _Cursor(extensions.cursor):
        __slots__ = ()
        execute = spans.query(extensions.cursor.execute)
        executemany = spans.commented_many(extensions.cursor.executemany)
        callproc = spans.called(extensions.cursor.callproc)

    class _Connection(extensions.connection):
        __slots__ = ()
        commit = spans.commit(extensions.connection.commit)
        rollback = spans.rollback(extensions.connection.rollback)

        @functools.wraps(extensions.connection.cursor)
        def cursor(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # as the C type's
            with guarded:
                args, kwargs = _with_factory(args, kwargs, "cursor_factory", _Cursor, self.cursor_factory)
            return super().cursor(*args, **kwargs)

    return _Connection, _Cursor
