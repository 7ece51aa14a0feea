"""CPU added per request, end to end: a gunicorn worker that serves a Flask application over loopback."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figures import Outcome, Series, Table, Verdict, differences, ratios, worst
from benchmarks.peers import DDTRACES, NOTHING, OPENTELEMETRY, OURS, ROOT, TRACERS, WORK, Peer, environment
from benchmarks.processes import NotMeasuredError, Progress, sink

_ANSWER_LIMIT_S = 60.0
# Flushed after each: below OpenTelemetry's queue limit, and below ddtrace's with its nine spans a request.
_REQUESTS = 200


def measure_served(rounds: int, quick: bool, progress: Progress) -> Outcome:
    """One worker a peer and round; the peers take turns in bursts, over one kept connection each."""
    bursts = 2 if quick else 5
    series = {peer: Series() for peer in (NOTHING, *TRACERS)}
    for number in range(rounds):
        cpu_s: dict[Peer, float] = dict.fromkeys(series, 0.0)
        problems: dict[Peer, str] = {}
        with contextlib.ExitStack() as stack:
            connections: dict[Peer, http.client.HTTPConnection] = {}
            for peer in series:
                progress.step(f"round {number + 1} of {rounds}, starting {peer.label}")
                try:
                    connections[peer] = stack.enter_context(_served(peer))
                except NotMeasuredError as error:
                    problems[peer] = str(error)
            for burst in range(bursts + 1):  # the first one warms up
                for peer, connection in connections.items():
                    progress.step(f"round {number + 1} of {rounds}, {peer.label}")
                    before = _cpu_s(connection)
                    for request in range(_REQUESTS):
                        if _get(connection, f"/hello/{request}") != b"Hello %d" % request:
                            raise NotMeasuredError(f"{peer.label}: the application answered something else.")
                    cpu_s[peer] += (_cpu_s(connection) - before) if burst else 0.0
        for peer, one in series.items():
            one.add(cpu_s[peer] * 1e6 / (bursts * _REQUESTS), problems.get(peer, ""))
    added = {peer: differences(one, series[NOTHING]) for peer, one in series.items()}
    table = Table(
        "CPU per request: Flask in a gunicorn worker",
        ("peer", "CPU us per request", "added us", "ddmiddleware / peer, added"),
        [_row(peer, series[peer], added) for peer in series],
        "One gthread worker, whole process; median over rounds (min-max); added = minus the same round's baseline.",
    )
    of_ddtrace = worst(ratios(added[OURS], added[peer]).median for peer in DDTRACES)
    of_opentelemetry = ratios(added[OURS], added[OPENTELEMETRY]).median
    verdicts = [
        Verdict("CPU added per Flask request in a gunicorn worker, of ddtrace", 0.1, of_ddtrace, "x"),
        Verdict("CPU added per Flask request in a gunicorn worker, of OpenTelemetry", 0.25, of_opentelemetry, "x"),
    ]
    reasons = [f"{peer.name}: {why}" for peer, one in series.items() for why in one.problems]
    return Outcome([table], verdicts, reasons, {peer.name: {"cpu_us": one.values} for peer, one in series.items()})


@contextlib.contextmanager
def _served(peer: Peer) -> Iterator[http.client.HTTPConnection]:
    """Start gunicorn with one worker of *peer*'s and wait until it answers."""
    WORK.mkdir(exist_ok=True)
    log = WORK / f"{peer.name}-served.log"
    with contextlib.ExitStack() as stack:
        end = stack.enter_context(sink())
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # for head and body are sent one by one
        port = listening.getsockname()[1]
        address = f"--bind=fd://{listening.fileno()}"
        command = [
            "-m",
            "gunicorn",
            "--workers=1",
            "--worker-class=gthread",
            "--threads=2",
            "--keep-alive=300",
            address,
        ]
        worker = subprocess.Popen(
            [sys.executable, *command, "--log-level=warning", "benchmarks.served_app:application"],
            cwd=ROOT,
            env=environment(peer, end.url, BENCHMARK_PEER=peer.module),
            stderr=stack.enter_context(log.open("a")),
            pass_fds=[listening.fileno()],
        )
        stack.callback(worker.wait)
        stack.callback(worker.terminate)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_LIMIT_S)
        stack.enter_context(contextlib.closing(connection))
        try:
            _get(connection, "/hello/1")  # it waits in the socket's backlog until the worker is there
        except OSError as error:
            raise NotMeasuredError(f"{peer.label} did not answer under gunicorn: {error}; see {log.name}") from None
        yield connection


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


def _cpu_s(connection: http.client.HTTPConnection) -> float:
    return float(json.loads(_get(connection, "/cpu"))["cpu_s"])


def _row(peer: Peer, series: Series, added: dict[Peer, Series]) -> list[str]:
    if peer is NOTHING:
        return [peer.label, series.text(), "-", "-"]
    ratio = "1" if peer is OURS else ratios(added[OURS], added[peer]).text(3)
    return [peer.label, series.text(), added[peer].text(), ratio]
