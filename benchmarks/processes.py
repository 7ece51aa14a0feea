"""The sink and the peers as child processes, and the line that says what is running."""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.peers import ROOT, WORK, Peer, environment
from benchmarks.workload import COUNTED

EXIT_LIMIT_S = 90.0
_ANSWER_LIMIT_S = 300.0
_LATE_LIMIT_S = 3.0


class NotMeasuredError(Exception):
    """A figure could not be taken; the message says why."""


class Progress:
    """One line that is overwritten on a terminal, and only the headings where the output goes elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._heading = ""

    def heading(self, text: str) -> None:
        self._heading = text
        self._write(text, lasting=not self._terminal)

    def step(self, text: str) -> None:
        if self._terminal:
            self._write(f"{self._heading}: {text}")

    def clear(self) -> None:
        if self._terminal:
            self._write("")

    def _write(self, text: str, lasting: bool = False) -> None:
        sys.stderr.write(f"{text}\n" if lasting else f"\r\033[K{text}")
        sys.stderr.flush()


class Sink:
    """A sink process of one peer, counting since its start."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self._port = port

    def counted(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", COUNTED)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer

    def counted_since(self, before: dict[str, Any], made: int) -> dict[str, Any]:
        """Return the counts when a multiple of *made* spans has come since *before*; what is there after some seconds.

        A peer's flush may return while its own thread still sends what it took before. Nothing is waited for with 0.
        """
        end = time.monotonic() + _LATE_LIMIT_S
        while True:
            counts = self.counted()
            spans = counts["spans"] - before["spans"]
            if not made or (spans and spans % made == 0) or time.monotonic() > end:
                return counts
            time.sleep(0.05)


@contextlib.contextmanager
def sink(mode: str = "count") -> Iterator[Sink]:
    command = [sys.executable, "-m", "benchmarks.sink", mode]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline()
            if not port:
                raise NotMeasuredError(f"The sink did not start (exit status {process.wait()}).")
            yield Sink(process, int(port))
        finally:
            process.stdin.close()
            process.terminate()


class Child:
    """A peer's process: `ask` sends a command, `leave` lets it exit and says how long that took."""

    program = "benchmarks.child"  # what runs in it

    def __init__(self, peer: Peer, url: str, **more: str) -> None:
        WORK.mkdir(exist_ok=True)
        self.peer = peer
        self._log = WORK / f"{peer.name}.log"
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.program, peer.module],
                cwd=ROOT,
                env=environment(peer, url, **more),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.threads: int = self._answer()["threads"]

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None
        return self._answer()

    def leave(self) -> float:
        """Seconds until the process is gone; infinite when it had to be killed at the limit."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        start = time.monotonic()
        killer = threading.Timer(EXIT_LIMIT_S, self._process.kill)
        killer.start()
        self._process.stdin.close()
        # wait() without a timeout: with one it polls, and is late by up to 50 ms.
        self._process.wait()
        killed = not killer.is_alive()
        killer.cancel()
        self._process.stdout.close()
        return float("inf") if killed else time.monotonic() - start

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        killer = threading.Timer(_ANSWER_LIMIT_S, self._process.kill)
        killer.start()
        line = self._process.stdout.readline()
        killer.cancel()
        if not line:
            raise self._gone()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _gone(self) -> NotMeasuredError:
        status = self._process.wait()
        last = (self._log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
        return NotMeasuredError(f"{self.peer.label} ended with exit status {status}: {last}")
