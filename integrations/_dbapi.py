"""What database drivers of the DB-API share: how a statement looks on a span (PEP 249)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ddmiddleware.integrations._patching import Call, Integration, Traced
from ddmiddleware.integrations._sql_comment import comment


class Server(NamedTuple):
    """Where a connection leads; what is None or empty is not tagged."""

    host: Any = None
    port: Any = None
    database: Any = None
    user: Any = None


ReadServer = Callable[[Any], Server]
_NOWHERE = Server()
Comments = Callable[[Call], "bool | None"]


def for_good(read: ReadServer) -> ReadServer:
    """Have a connection that is open read but once: where it leads cannot change, and reading takes its time."""
    known: WeakKeyDictionary[Any, Server] = WeakKeyDictionary()

    def server(connection: Any) -> Server:
        if connection.closed:  # and knows nothing any more
            return _NOWHERE
        found = known.get(connection)
        if found is None:
            found = known[connection] = read(connection)
        return found

    return server


def interpolating(parameters: str) -> Comments:
    """Return what comments on every statement: percent signs count where there are *parameters*."""
    return lambda call: call.arg(1, parameters) is not None


class Spans:
    """The spans of one driver: each method puts them around a function of the driver, whether async or not."""

    def __init__(
        self,
        integration: Integration,
        prefix: str,
        *,
        endings: str = "",
        statement: str = "query",
        procedure: str = "procname",
        server: ReadServer | None = None,
        connection: Callable[[Any], Any] = attrgetter("connection"),
        comments: Comments | None = None,
        join: Callable[[str, Any], Any] | None = None,
    ) -> None:
        """*prefix* begins the names of spans, *endings* those of commits and rollbacks where they differ.

        *statement* and *procedure* are what the driver calls the first argument of ``execute`` and ``callproc``.
        *server* reads where a connection leads, and *connection* finds that of a cursor. *comments* says of a call
        whether the driver reads the percent signs of its statement, or None for no comment; *join* puts a comment
        before a statement that is neither text nor bytes.
        """
        self._server = server
        self._connection = connection
        self._comments = comments
        self._join = join
        self._statement = statement
        self._procedure = procedure
        query, endings = f"{prefix}.query", endings or prefix
        described = self._described if comments is None else self._commented
        self._query = self._counted(integration.traced(query, "sql")(described))
        self._many = self._counted(integration.traced(query, "sql")(self._described_many))
        self._commented_many = self._counted(integration.traced(query, "sql")(self._many_and_comment))
        if comments is not None:
            self._query.within(self._comment)
            self._commented_many.within(self._comment)
        self._uncommented = self._counted(integration.traced(query, "sql")(self._described))
        self._called = self._counted(integration.traced(query, "sql")(self._described_procedure))
        self._script = integration.traced(query, "sql")(self._described)
        self._commit = integration.traced(f"{endings}.connection.commit")(self._located)
        self._rollback = integration.traced(f"{endings}.connection.rollback")(self._located)

    def query(self, original: Any) -> Any:
        """Trace a cursor's ``execute``."""
        return _around(original, self._query)

    def many(self, original: Any) -> Any:
        """Trace an ``executemany`` that calls ``execute`` itself, which comments, or cannot have a comment."""
        return _around(original, self._many)

    def commented_many(self, original: Any) -> Any:
        """Trace an ``executemany`` that sends its statement by itself."""
        return _around(original, self._commented_many)

    def uncommented(self, original: Any) -> Any:
        """Trace an ``execute`` that prepares its statement, to which a comment would be another statement each time."""
        return _around(original, self._uncommented)

    def called(self, original: Any) -> Any:
        """Trace a ``callproc``."""
        return _around(original, self._called)

    def script(self, original: Any) -> Any:
        """Trace what executes several statements, and leaves ``rowcount`` as it was."""
        return _around(original, self._script)

    def commit(self, original: Any) -> Any:
        """Trace a commit."""
        return _around(original, self._commit)

    def rollback(self, original: Any) -> Any:
        """Trace a rollback."""
        return _around(original, self._rollback)

    def _counted(self, traced: Traced) -> Traced:
        traced.returned(_rows)
        return traced

    def _described(self, call: Call) -> None:
        self._describe(call, call.arg(0, self._statement))

    def _described_procedure(self, call: Call) -> None:
        self._describe(call, call.arg(0, self._procedure))

    def _describe(self, call: Call, statement: Any) -> None:
        call.span.resource = statement if type(statement) is str else text(statement, call.self)
        call.metrics["_dd.measured"] = 1
        if self._server is not None:
            connection = self._connection(call.self)
            if connection is not None:  # as that of a closed cursor is
                tag(call, self._server(connection))

    def _described_many(self, call: Call) -> None:
        self._described(call)
        call.tags["sql.executemany"] = "true"

    def _commented(self, call: Call) -> None:
        self._described(call)
        self._comment(call)

    def _many_and_comment(self, call: Call) -> None:
        self._described_many(call)
        self._comment(call)

    def _located(self, call: Call) -> None:
        if self._server is not None:
            tag(call, self._server(call.self))

    def _comment(self, call: Call) -> None:
        doubled = None if self._comments is None else self._comments(call)
        before = "" if doubled is None else comment(call.span, doubled)
        if not before:
            return
        name = self._statement
        statement = call.arg(0, name)
        if isinstance(statement, str):
            call.set_arg(0, name, before + statement)
        elif isinstance(statement, (bytes, bytearray)):
            call.set_arg(0, name, before.encode() + statement)
        elif self._join is not None:
            call.set_arg(0, name, self._join(before, statement))


def text(statement: Any, cursor: Any) -> str:
    """Return a statement as text; one that is composed of psycopg's ``sql`` objects is written for *cursor*."""
    if isinstance(statement, str):
        return statement
    if isinstance(statement, (bytes, bytearray)):
        return statement.decode("utf-8", "replace")
    compose = getattr(statement, "as_string", None)
    return str(statement if compose is None else compose(cursor))


def tag(call: Call, server: Server) -> None:
    """Say where a call goes to."""
    host, port, database, user = server
    tags = call.tags
    if host:
        tags["out.host"] = tags["server.address"] = plain(host)
    if port:
        call.metrics["network.destination.port"] = int(port)
    if database:
        tags["db.name"] = plain(database)
    if user:
        tags["db.user"] = plain(user)


def plain(value: Any) -> str:
    """Return a name as text, which some drivers hold as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _around(original: Any, traced: Traced) -> Any:
    return functools.wraps(original)(traced.wrapper(original))


def _rows(call: Call, _result: Any) -> None:
    count = getattr(call.self, "rowcount", -1)
    if isinstance(count, int) and count >= 0:
        call.metrics["db.row_count"] = count


def subclass(base: type, traced: type) -> type:
    """Return a class that goes by the name of *base* and has the methods of *traced* right before those of the driver.

    Drivers written in C check the types of what they are given, so a connection is no proxy but of a subclass of its
    own class. What a user's subclass overrides is still called first, and reaches *traced* by ``super()``.
    """
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__, "__slots__": ()}
    return type(base)(base.__name__, (base, traced) if base not in traced.__mro__ else (traced,), names)
