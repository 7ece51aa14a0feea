"""Cassandra: queries that are waited for, with the real driver over the real protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cassandra import ConsistencyLevel, OperationTimedOut, ReadTimeout, Unavailable, WriteTimeout
from cassandra.cluster import EXEC_PROFILE_DEFAULT, NoHostAvailable, Session
from cassandra.connection import ConnectionShutdown
from cassandra.protocol import SyntaxException
from cassandra.query import BatchStatement, SimpleStatement, dict_factory

from ddmiddleware import patch, unpatch
from ddmiddleware.integrations import Pin
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.cassandra_client import connect, query
from tests.integrations.likeness import outcomes
from tests.integrations.recorder import Recorder, failed
from tests.servers.cql import PEOPLE, CqlServer

SELECT = "SELECT name, age FROM people"
CHANGED = {"cassandra.consistency_level": "QUORUM"}


@pytest.fixture(scope="module", params=[4, 5], ids=["version 4", "version 5"])
def server(request: pytest.FixtureRequest) -> Iterator[CqlServer]:
    with CqlServer(request.param) as server:
        yield server
        assert server.spoken == {request.param}


@pytest.fixture(scope="module")
def connected(server: CqlServer) -> Iterator[Session]:
    with connect(server.port, server.version) as cluster:
        yield cluster.connect("shop")


@pytest.fixture
def session(connected: Session, server: CqlServer) -> Session:
    patch(cassandra=True)
    server.statements.clear()
    server.released.clear()
    connected.default_fetch_size = 100
    return connected


def test_a_query(session: Session, server: CqlServer, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        assert [tuple(row) for row in session.execute(SELECT)] == PEOPLE
        assert active.get() is work
        session.execute("INSERT INTO people (name) VALUES (%s)", ("ann",))
    insert = "INSERT INTO people (name) VALUES (%s)"
    assert recorder.take()[1:] == [query(server.port, SELECT, 5, parent=1), query(server.port, insert, 0, parent=1)]
    assert server.statements[1] == "INSERT INTO people (name) VALUES ('ann')"


def test_the_version_that_both_speak(server: CqlServer, recorder: Recorder) -> None:
    """Which the driver finds by trying; nothing of that is a query."""
    patch(cassandra=True)
    with connect(server.port, None) as cluster:
        cluster.connect("shop").execute(SELECT)
        assert cluster.protocol_version == server.version
    assert recorder.take() == [query(server.port, SELECT, 5)]


def test_a_statement_longer_than_a_segment(session: Session, server: CqlServer, recorder: Recorder) -> None:
    text = f"INSERT INTO people (name) VALUES ('{'x' * 200_000}')"
    session.execute(text)
    assert server.statements[-1] == text
    assert recorder.take() == [query(server.port, text[:5000], 0)]


def test_what_a_statement_says(session: Session, server: CqlServer, recorder: Recorder) -> None:
    statement = SimpleStatement(SELECT, consistency_level=ConsistencyLevel.QUORUM, keyspace="other")
    session.execute(statement)
    assert recorder.take() == [query(server.port, SELECT, 5, tags={**CHANGED, "cassandra.keyspace": "other"})]


def test_prepared_and_bound_statements(session: Session, server: CqlServer, recorder: Recorder) -> None:
    text = "SELECT name FROM people WHERE name = ?"
    prepared = session.prepare(text)
    assert recorder.take() == []
    session.execute(prepared, ("ann",))
    session.execute(prepared.bind(("bob",)))
    server.forget()
    session.execute(prepared, ("cyd",))  # which is prepared again, and is one query still
    spans = [query(server.port, text, 5), query(server.port, text, 5, trace=2), query(server.port, text, 5, trace=3)]
    assert recorder.take() == spans


def test_a_batch(session: Session, server: CqlServer, recorder: Recorder) -> None:
    update = "UPDATE people SET age = ? WHERE name = ?"
    batch, prepared = BatchStatement(), session.prepare(update)
    for name in ("ann", "bob"):
        batch.add(prepared, ("1", name))
    batch.add(SimpleStatement("INSERT INTO people (name) VALUES (%s)"), ("cyd",))
    session.execute(batch)
    texts = f"{update}; INSERT INTO people (name) VALUES ('cyd')"  # what is exported has no literals
    tags = {"cassandra.query": texts, "cassandra.batch_size": 3}
    assert recorder.take() == [query(server.port, "BatchStatement", 0, tags=tags)]


def test_each_page(session: Session, server: CqlServer, recorder: Recorder) -> None:
    session.default_fetch_size = 2
    with default_tracer.trace("work") as work:
        assert [tuple(row) for row in session.execute(SELECT)] == PEOPLE
        assert active.get() is work

    def page(number: int, rows: int) -> dict[str, Any]:
        tags = {"cassandra.paginated": "True", "cassandra.page_number": number}
        return query(server.port, SELECT, rows, parent=1, tags=tags)

    assert recorder.take()[1:] == [page(1, 2), page(2, 2), page(3, 1)]


ERRORS = [("unavailable", Unavailable), ("read_timeout", ReadTimeout), ("write_timeout", WriteTimeout)]


@pytest.mark.parametrize(("table", "kind"), ERRORS)
def test_errors_of_the_server(
    table: str, kind: type[Exception], session: Session, server: CqlServer, recorder: Recorder
) -> None:
    text = f"SELECT * FROM {table}"
    with default_tracer.trace("work") as work:
        with pytest.raises(kind) as caught:
            session.execute(text)
        assert active.get() is work
    assert caught.value.__context__ is None
    assert recorder.take()[1:] == [query(server.port, text, None, parent=1, error=1, tags=failed(caught.value))]


def test_a_timeout(session: Session, server: CqlServer, recorder: Recorder) -> None:
    text = "SELECT * FROM slow"
    with pytest.raises(OperationTimedOut) as caught:
        session.execute(text, timeout=0.01)
    server.released.set()
    assert recorder.take() == [query(server.port, text, None, error=1, tags=failed(caught.value))]


def test_a_connection_that_is_lost(server: CqlServer, recorder: Recorder) -> None:
    patch(cassandra=True)
    text = "SELECT * FROM closes"
    with connect(server.port, server.version) as cluster:
        session = cluster.connect("shop")
        with pytest.raises((ConnectionShutdown, NoHostAvailable)) as lost:  # the policy's choice, or nobody left
            session.execute(text)
    (span,) = recorder.take()
    assert span == query(server.port, text, None, error=1, tags=failed(lost.value))


def test_no_host(server: CqlServer, recorder: Recorder) -> None:
    """Nothing is sent, and the span ends before the call does."""
    patch(cassandra=True)
    with connect(server.port, server.version) as cluster:
        session = cluster.connect("shop")
        for pool in session._pools.values():
            pool.shutdown()
        with pytest.raises(NoHostAvailable) as caught:
            session.execute(SELECT)
    (span,) = recorder.take()
    expected = query(server.port, SELECT, None, error=1, tags=failed(caught.value))
    del expected["tags"]["out.host"], expected["tags"]["network.destination.port"]
    assert span == expected


def test_pins_and_service(session: Session, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pin, "placed", Pin.placed)
    Pin(service="people", tags={"team": "red"}).onto(session.cluster)
    session.execute(SELECT)
    (span,) = recorder.take()
    Pin.get_from(session.cluster).remove_from(session.cluster)  # type: ignore[union-attr]
    assert (span["service"], span["tags"]["team"]) == ("people", "red")


THREE = SimpleStatement(SELECT, fetch_size=3)
OPERATIONS: dict[str, Callable[[Session], Any]] = {
    "select": lambda s: [tuple(row) for row in s.execute(SELECT)],
    "one": lambda s: s.execute(SELECT).one()._asdict(),
    "parameters": lambda s: s.execute(f"{SELECT} WHERE name = %(name)s", {"name": "ann"}).all(),
    "prepared": lambda s: s.execute(s.prepare(f"{SELECT} WHERE name = ?"), ("ann",)).all(),
    "too many values": lambda s: s.execute(s.prepare(SELECT), ("ann",)),
    "insert": lambda s: s.execute("INSERT INTO people (name) VALUES ('ann')").all(),
    "empty batch": lambda s: s.execute(BatchStatement()),
    "unavailable": lambda s: s.execute("SELECT * FROM unavailable"),
    "invalid": lambda s: s.execute("SELECT * FROM missing"),
    "syntax": lambda s: s.execute("SELECT * FROM nonsense"),
    "no statement": lambda s: s.execute(None),  # type: ignore[arg-type]
    "no profile": lambda s: s.execute(SELECT, execution_profile="none"),
    "paging": lambda s: (lambda found: (found.has_more_pages, found.current_rows))(
        s.execute(SimpleStatement(SELECT, fetch_size=2))
    ),
    "paging by hand": lambda s: s.execute(THREE, paging_state=s.execute(THREE).paging_state).all(),
    "no more pages": lambda s: s.execute_async(SELECT).start_fetching_next_page(),
    "use": lambda s: s.set_keyspace("shop"),
    "timeout": lambda s: s.execute("SELECT * FROM slow", timeout=0.05),
}


def test_same_results_with_and_without(session: Session, server: CqlServer, recorder: Recorder) -> None:
    unpatch("cassandra")
    without = outcomes(OPERATIONS, session)
    assert recorder.take() == []
    patch(cassandra=True)
    assert outcomes(OPERATIONS, session) == without
    server.released.set()
    assert without["paging by hand"] == [("dan", 64), ("eve", 75)]
    assert len(recorder.take()) >= 12


def test_rows_of_another_kind(session: Session, server: CqlServer, recorder: Recorder) -> None:
    profile = session.execution_profile_clone_update(EXEC_PROFILE_DEFAULT, row_factory=dict_factory)
    assert session.execute(SELECT, execution_profile=profile).one() == {"name": "ann", "age": 31}
    assert recorder.take() == [query(server.port, SELECT, 5)]


def test_no_literal_leaves(session: Session, exported: Recorder) -> None:
    """Neither of the statements, nor of the errors that quote them."""
    batch = BatchStatement()
    batch.add(SimpleStatement("INSERT INTO people (name, age) VALUES ('hunter2', 4711)"))
    session.execute(batch)
    session.execute("SELECT * FROM people WHERE name = 'hunter2' AND age > 4711")
    with pytest.raises(SyntaxException):
        session.execute("SELECT 'hunter2' FROM nonsense")
    shown = exported.take()
    assert shown[0]["tags"]["cassandra.query"] == "INSERT INTO people (name, age) VALUES (?)"
    assert shown[1]["resource"] == "SELECT * FROM people WHERE name = ? AND age > ?"
    assert "hunter2" not in repr(shown)
    assert "4711" not in repr(shown)
