"""Cassandra: futures, their callbacks, and what is active where."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cassandra import OperationTimedOut, Unavailable
from cassandra.cluster import ResponseFuture, Session
from cassandra.concurrent import execute_concurrent_with_args

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import active, default_tracer
from tests.integrations.cassandra_client import Outcome, connect, query
from tests.integrations.recorder import Recorder, failed
from tests.servers.cql import CqlServer

SELECT = "SELECT name, age FROM people"
SLOW = "SELECT * FROM slow"
FAILS = "SELECT * FROM unavailable"


@pytest.fixture(params=[4, 5], ids=["version 4", "version 5"])
def server(request: pytest.FixtureRequest) -> Iterator[CqlServer]:
    with CqlServer(request.param) as server:
        yield server


@pytest.fixture
def session(server: CqlServer) -> Iterator[Session]:
    patch(cassandra=True)
    with connect(server.port, server.version) as cluster:
        yield cluster.connect("shop")


def test_the_callers_span_stays_active(session: Session, server: CqlServer, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        futures = [session.execute_async(SLOW) for _ in range(3)]
        assert active.get() is work
        with default_tracer.trace("inside"):
            pass
        server.released.set()
        for future in futures:
            future.result()
        assert active.get() is work
    assert active.get() is None
    spans = recorder.take()
    assert [(span["name"], span["parent"]) for span in spans] == [
        ("work", 0),
        *[("cassandra.query", 1)] * 3,
        ("inside", 1),
    ]


def test_callbacks(session: Session, server: CqlServer, recorder: Recorder) -> None:
    """The span is finished when they are called, and what they do belongs to the caller's span."""
    seen: list[Any] = []
    with default_tracer.trace("work") as work:
        future = session.execute_async(SLOW)
        future.add_callback(lambda rows, *args: seen.append((args, active.get(), threading.current_thread())), 1)
        outcome = Outcome(future)
        server.released.set()
        assert len(outcome.wait()) == 5
        future.result()
        assert len(recorder.take()) == 0  # not before the root ends
    ((args, within, thread),) = seen
    assert args == (1,)
    assert within is work
    assert thread is not threading.current_thread()
    assert recorder.take()[1:] == [query(server.port, SLOW, 5, parent=1)]


def test_a_query_from_a_callback(session: Session, server: CqlServer, recorder: Recorder) -> None:
    nested: list[ResponseFuture] = []
    with default_tracer.trace("work"):
        future = session.execute_async(SLOW)
        future.add_callback(lambda _rows: nested.append(session.execute_async(SELECT)))
        outcome = Outcome(future)
        server.released.set()
        outcome.wait()
        nested[0].result()
    expected = [query(server.port, SLOW, 5, parent=1), query(server.port, SELECT, 5, parent=1)]
    assert recorder.take()[1:] == expected


def test_callbacks_of_what_is_done(session: Session, server: CqlServer, recorder: Recorder) -> None:
    future = session.execute_async(SELECT)
    future.result()
    assert recorder.take() == [query(server.port, SELECT, 5)]
    with default_tracer.trace("other") as other:
        seen: list[Any] = []
        future.add_callback(lambda _rows: seen.append(active.get()))
        assert seen == [other]
    assert recorder.names() == ["other"]


def test_cleared_callbacks(session: Session, server: CqlServer, recorder: Recorder) -> None:
    future = session.execute_async(SLOW)
    future.clear_callbacks()
    server.released.set()
    future.result()
    assert recorder.take() == [query(server.port, SLOW, 5)]


def test_errbacks(session: Session, server: CqlServer, recorder: Recorder) -> None:
    error = Outcome(session.execute_async(FAILS)).wait()
    assert isinstance(error, Unavailable)
    assert recorder.take() == [query(server.port, FAILS, None, error=1, tags=failed(error))]


def test_errbacks_of_what_has_failed(session: Session, server: CqlServer, recorder: Recorder) -> None:
    future = session.execute_async(FAILS)
    with pytest.raises(Unavailable) as caught:
        future.result()
    assert Outcome(future).wait() is caught.value
    assert recorder.take() == [query(server.port, FAILS, None, error=1, tags=failed(caught.value))]


def test_a_callback_that_raises(session: Session, server: CqlServer, recorder: Recorder) -> None:
    def fail(_rows: Any) -> None:
        raise ValueError("theirs")

    future = session.execute_async(SLOW)
    future.add_callback(fail)
    server.released.set()
    assert len(future.result().all()) == 5
    session.execute(SELECT)  # the thread that reads has left their span
    assert recorder.take()[1:] == [query(server.port, SELECT, 5, trace=2)]


def test_a_timeout_and_the_answer_after_it(session: Session, server: CqlServer, recorder: Recorder) -> None:
    with default_tracer.trace("work") as work:
        error = Outcome(session.execute_async(SLOW, timeout=0.01)).wait()
        assert active.get() is work
    assert isinstance(error, OperationTimedOut)
    expected = [query(server.port, SLOW, None, parent=1, error=1, tags=failed(error))]
    assert recorder.take()[1:] == expected
    server.released.set()
    session.execute(SELECT)
    assert len(recorder.take()) == 1


def test_pages_in_callbacks(session: Session, server: CqlServer, recorder: Recorder) -> None:
    session.default_fetch_size = 2
    rows: list[Any] = []
    done = threading.Event()

    def page(found: list[Any]) -> None:
        rows.extend(found)
        if future.has_more_pages:
            future.start_fetching_next_page()
        else:
            done.set()

    with default_tracer.trace("work"):
        future = session.execute_async(SLOW)
        future.add_callback(page)
        server.released.set()
        assert done.wait(10)
    spans = recorder.take()[1:]
    assert len(rows) == 5
    assert [(span["parent"], span["tags"]["cassandra.page_number"]) for span in spans] == [(1, 1), (1, 2), (1, 3)]


def test_many_at_once(session: Session, server: CqlServer, recorder: Recorder) -> None:
    """The driver sends all but the first of them from callbacks, in the thread that reads."""
    statement = session.prepare("SELECT name FROM people WHERE name = ?")
    with default_tracer.trace("work") as work:
        found = execute_concurrent_with_args(session, statement, [(str(n),) for n in range(40)], concurrency=4)
        assert active.get() is work
    assert all(success for success, _ in found)
    spans = recorder.take()
    assert [span["parent"] for span in spans] == [0] + [1] * 40


def test_switched_off_on_the_way(session: Session, server: CqlServer, recorder: Recorder) -> None:
    future = session.execute_async(SLOW)
    unpatch("cassandra")
    server.released.set()
    assert len(future.result().all()) == 5


def test_a_shutdown_on_the_way(server: CqlServer, recorder: Recorder) -> None:
    patch(cassandra=True)
    cluster = connect(server.port, server.version)
    outcome = Outcome(cluster.connect("shop").execute_async(SLOW))
    cluster.shutdown()
    error = outcome.wait()
    server.released.set()
    assert recorder.take() == [query(server.port, SLOW, None, error=1, tags=failed(error))]
