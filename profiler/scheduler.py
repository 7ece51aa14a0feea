"""The profiler's thread: a profile per period, and those that somebody asks for meanwhile."""

from __future__ import annotations

import os
import select
import socket
import threading
import time

from ddmiddleware.profiling.idents import keep_ident
from ddmiddleware.profiling.on_demand import Listener
from ddmiddleware.profiling.output import Output, open_output
from ddmiddleware.profiling.recording import Recording
from ddmiddleware.tracing import Settings, active, debug, forks_wait, guarded, names_resolve_at_exit

_REST_S = 0.1
_GRACE_S = 0.05  # what a thread takes to end after its deadline
_SHORTEST_S = 0.05
_AFTER_ERROR_S = 1.0
# What sends is imported some time after the start, so that it is there at exit, and not before a worker of gunicorn has
# let gevent patch the modules it needs.
_OPENED_AFTER_S = 2.0
_GOLDEN = 0.6180339887498949


class Scheduler:
    """One thread that gathers, encodes and sends; it rests while the process forks."""

    def __init__(self, settings: Settings, recording: Recording) -> None:
        self._settings = settings
        self._recording = recording
        self._interval_s = max(settings["DD_PROFILING_UPLOAD_INTERVAL"], _SHORTEST_S)
        self._output: Output | None = None
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._resting = False
        self._resuming = threading.Lock()  # between a thread that goes to rest and who starts the next one
        self._stopping = False
        self._flushes = False
        self._deadline: float | None = None
        self._asked: threading.Event | None = None  # somebody waits for what there is to be sent
        self._opened_at = time.monotonic() + _OPENED_AFTER_S
        # Workers that were started together send at times of their own.
        self._due_at = time.monotonic() + self._interval_s * (1 + os.getpid() * _GOLDEN % 1) / 2

    def start(self) -> None:
        """Start the thread; raise RuntimeError where that cannot be."""
        if self._bell is None:
            self._bell = socket.socketpair()
            for end in self._bell:
                end.setblocking(False)
        thread = threading.Thread(target=self._run, name="ddmiddleware-profiler", daemon=True)
        self._thread = thread
        thread.start()

    def stop(self, flush: bool, deadline: float) -> None:
        """End the thread; with *flush* it sends first what there is. Wait until *deadline* (monotonic seconds)."""
        self._flushes, self._deadline, self._stopping = flush, deadline, True
        thread = self._thread
        if thread is None:  # it rests
            self._finish()
            return
        self._ring()
        if thread is not threading.current_thread():
            thread.join(max(deadline - time.monotonic(), 0) + _GRACE_S)

    def flush(self, deadline: float) -> None:
        """Send what there is, and wait for it until *deadline* (monotonic seconds)."""
        sent = threading.Event()
        self._asked, self._deadline = sent, deadline
        self._ring()
        sent.wait(max(deadline - time.monotonic(), 0))
        if not self._stopping:
            self._deadline = None

    def rest(self) -> None:
        """End the thread before a fork; one that is sending just now is not waited for."""
        thread = self._thread
        if thread is not None and not self._stopping:
            self._resting = True
            self._ring()
            thread.join(_REST_S)

    def go_on(self) -> None:
        """Start again after the fork."""
        with self._resuming:
            self._resting = False
            if self._thread is None and not self._stopping:
                self.start()

    def disown(self) -> None:
        """Let go, in a forked child, of what is the parent's."""
        if self._output is not None:
            with guarded:
                self._output.disown()
        if self._listener is not None:
            self._listener.disown()
        if self._bell is not None:
            for end in self._bell:
                end.close()

    def _ring(self) -> None:
        if self._bell is not None:
            with guarded:
                try:
                    self._bell[1].send(b"!")
                except OSError:  # it is full, and so rings, or closed with the thread
                    return

    def _run(self) -> None:
        active.set(None)  # a thread may inherit its starter's context, and with it a request
        names_resolve_at_exit()
        while not self._stopping:
            with self._resuming:
                if self._resting:
                    self._thread = None
            if self._thread is None:
                keep_ident()
                return
            done = False
            with guarded:
                self._turn()
                done = True
            if not done:
                time.sleep(_AFTER_ERROR_S)
        with guarded:
            self._finish()
        keep_ident()

    def _turn(self) -> None:
        if self._listener is None:
            self._listener = Listener(self._settings, self._recording)
        self._wait()
        if self._stopping or self._resting:
            return
        self._listener.serve()
        now = time.monotonic()
        if now >= self._due_at or self._asked is not None:
            self._due_at = now + self._interval_s
            asked, self._asked = self._asked, None
            self._put()
            if asked is not None:
                asked.set()
        if self._output is None:
            if now >= self._opened_at:
                self._output = self._open()
        elif now >= self._output.retry_at > 0:
            self._output.send(None)

    def _wait(self) -> None:
        """Sleep until something is due, somebody asks, or the bell rings."""
        assert self._bell is not None
        assert self._listener is not None
        until = min(self._due_at, self._listener.due_at)
        if self._output is None:
            until = min(until, self._opened_at)
        elif self._output.retry_at:
            until = min(until, self._output.retry_at)
        readable = [self._bell[0], *self._listener.sockets]
        # Looked up now: gevent may have put its own there.
        left_s = max(until - time.monotonic(), 0)
        if hasattr(select, "poll"):
            poll = select.poll()
            for found in readable:
                poll.register(found, select.POLLIN)
            poll.poll(left_s * 1000 + 1)
        else:
            select.select(readable, (), (), left_s)
        try:
            self._bell[0].recv(4096)
        except BlockingIOError:
            return

    def _put(self) -> None:
        profile = self._recording.take()
        if self._output is None:
            self._output = self._open()
        self._output.put(profile)
        self._output.send(self._deadline)
        debug("profile with %d samples", len(profile.samples))

    def _open(self) -> Output:
        names_resolve_at_exit()
        with forks_wait:  # it imports
            output = open_output(self._settings)
        if self._stopping:
            output.ending()
        return output

    def _finish(self) -> None:
        if self._output is not None:
            self._output.ending()
        if self._flushes:
            self._put()
        if self._listener is not None:
            self._listener.close()
        if self._output is not None:
            self._output.close()
        if self._bell is not None:
            for end in self._bell:
                end.close()
