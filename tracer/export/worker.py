"""The one background thread: takes finished chunks, encodes them in slices, and sends them.

It is started by the first finished chunk of a process, so nothing runs in a process that traces nothing, and a process
that forks before it serves (gunicorn with ``--preload``) has no thread of ours.
"""

from __future__ import annotations

import threading
import time

from ddmiddleware.tracing.export.kept import Kept
from ddmiddleware.tracing.export.losses import Losses
from ddmiddleware.tracing.export.timers import Timers
from ddmiddleware.tracing.export.waiting import Bell, Flush
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.process import at_multiprocessing_exit, forks_wait, names_resolve_at_exit
from ddmiddleware.tracing.settings import Settings

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from ddmiddleware.tracing.export.exporter import Exporter
    from ddmiddleware.tracing.sampling import Sampler
    from ddmiddleware.tracing.span import Span
else:
    from _collections import deque  # as threading has it: the package collections costs two milliseconds

_URGENT_SPANS = 2_000
_SLICE_S = 0.001
_READ_CLOCK_SPANS = 50
_REST_S = 0.1
_AGAIN_S = 0.05


class Worker:
    """A bounded queue of chunks and the thread that empties it."""

    def __init__(self, settings: Settings, sampler: Sampler) -> None:
        self._settings = settings
        self._sampler = sampler  # told what the agent answers, and how much is dropped
        self._kept = Kept()
        self._encoded_chunks = 0
        self._queue: deque[list[Span]] = deque()
        self._waiting = 0
        self._losses = Losses()
        self._encoding = 0  # how many spans are being encoded just now
        # Where traces go nowhere, none may wait.
        keeps = settings["DD_TRACE_EXPORTERS"] != ("none",)
        self._max_waiting: int = settings["DD_TRACE_WRITER_MAX_SPANS"] if keeps else 0
        self._interval: float = settings["DD_TRACE_WRITER_INTERVAL_SECONDS"]
        self._exporters: list[Exporter] = []
        self._redact: Callable[[list[Span]], None] | None = None  # made with the exporters, nothing is added before
        self._retired: list[Exporter] = []
        self._stale = False
        self._past: dict[str, int] = {}  # the counters of exporters that are gone
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()  # never waited for
        self._bell: Bell | None = None
        self._stopping = False
        self._resting = False
        self._delivered = True
        self._deadline: float | None = None
        self._idle = False
        self._flushes: deque[Flush] = deque()
        self._timers = Timers(settings, self._counters)

    def put(self, chunk: list[Span]) -> None:
        """Queue a finished chunk; where the queue is full it is dropped and counted."""
        spans = len(chunk)
        if self._waiting + spans > self._max_waiting:
            if self._max_waiting:
                self._losses.full_spans += spans
                self._losses.full_chunks += 1
            return
        self._waiting += spans
        self._queue.append(chunk)
        if self._thread is None:
            if not self._stopping:
                self._start()
        elif self._idle or self._waiting > _URGENT_SPANS:
            self._ring()

    def _start(self) -> bool:
        """Start the thread, unless another one is just doing it; return False where no thread can be started."""
        if not self._starting.acquire(blocking=False):
            return True
        # Made here and not before: a gevent worker patches threading after its fork, and ours has to be of one kind.
        self._bell = Bell()
        thread = threading.Thread(target=self._run, name="ddmiddleware", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going down: what is queued goes out with stop()
            self._thread = None
            self._starting.release()
            return False
        timeout: float = self._settings["DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS"]
        at_multiprocessing_exit(lambda: self.stop(time.monotonic() + timeout))
        return True

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell.ring()

    def _run(self) -> None:
        from ddmiddleware.tracing.context import active

        active.set(None)  # a thread may inherit its starter's context, and with it a request
        names_resolve_at_exit()
        bell = self._bell
        assert bell is not None
        while not (self._stopping and self._over()):
            self._idle = True
            if not (self._queue or self._flushes or self._stopping or self._resting):
                bell.wait(self._timers.within(None if self._delivered else max(self._interval, _AGAIN_S)))
            self._idle = False
            if not (self._flushes or self._stopping or self._resting):
                bell.wait(self._interval)
            if self._resting and not self._flushes:
                self._thread = None
                self._starting.release()
                return
            self._delivered = False
            with guard:
                self._delivered = self._work(self._deadline)
        self._close()
        self._timers.close()

    def rest(self) -> None:
        """End the thread before a fork, what is queued stays: Python 3.12 warns of a fork while other threads run.

        A thread that is sending just now is not waited for.
        """
        thread = self._thread
        if thread is not None and not self._stopping:
            self._resting = True
            self._ring()
            if thread.is_alive():  # another thread may be about to start it
                thread.join(_REST_S)

    def go_on(self) -> None:
        """Start again after the fork, if there is something to send."""
        self._resting = False
        if self._thread is None and not self._stopping and (self._queue or not self._delivered or self._timers.running):
            self._start()

    def _over(self) -> bool:
        if not (self._queue or self._flushes):
            return True
        return self._deadline is not None and time.monotonic() > self._deadline

    def _work(self, deadline: float | None) -> bool:
        """Encode and send what is queued now, tell those who wait for it, and return whether all was delivered."""
        flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
        delivered = False
        try:
            if self._stale:
                self._stale = False
                self._retired, self._exporters = self._retired + self._exporters, []
            if not self._exporters:
                self._open()
            self._encode()
            if self._deadline is not None:
                self._end()
            if deadline is None:
                deadline = max((flush.deadline for flush in flushes), default=None)
            results = [exporter.send(deadline) for exporter in self._exporters]
            delivered = all(results) and self._send_of_retired(deadline) and not (flushes and self._losses.grew())
            self._count_kept()
            self._timers.run(self._deadline)
        finally:
            for flush in flushes:
                flush.delivered = delivered
                flush.done.set()
        return delivered

    def _count_kept(self) -> None:
        lost, refused = self._losses.full_chunks + self._losses.failed_chunks, self._counters().get("dropped_traces", 0)
        self._sampler.delivered_rate = self._kept.rate(self._encoded_chunks + lost, lost + refused)

    def reopen(self) -> None:
        """Send what is queued to where the settings say now; what is encoded already goes where it was meant to."""
        self._stale = True
        self._timers.refresh()

    def report_metrics(self) -> None:
        """Report what the settings say now, from now on; where nothing was finished yet this starts the thread."""
        self._timers.refresh()
        if self._timers.wanted and not self._stopping:
            if self._thread is None:
                self._start()
            else:
                self._ring()

    def _send_of_retired(self, deadline: float | None) -> bool:
        for exporter in self._retired[:]:
            if exporter.send(deadline):
                exporter.close()
                self._retired.remove(exporter)
                _add(self._past, exporter.stats())
        return not self._retired

    def _open(self) -> None:
        with forks_wait:
            from ddmiddleware.tracing.export.choice import open_exporters
            from ddmiddleware.tracing.redaction import open_redaction

            self._redact = open_redaction(self._settings)
            self._exporters.append(open_exporters(self._settings, self._sampler.take_rates))

    def disown(self) -> None:
        """Let go, in a forked child, of what belongs to the parent's worker."""
        for exporter in self._exporters + self._retired:
            with guard:
                exporter.disown()
        with guard:
            self._timers.close()

    def _close(self) -> None:
        for exporter in self._exporters + self._retired:
            with guard:
                exporter.close()

    def _encode(self) -> None:
        while self._queue:
            with guard:
                self._encode_slice()
            if self._encoding:
                self._losses.failed_spans += self._encoding
                self._losses.failed_chunks += 1
                self._encoding = 0
            time.sleep(0)  # lets go of the GIL

    def _encode_slice(self) -> None:
        """Encode for about a millisecond; the clock is read every few chunks, as reading it costs like a span."""
        slice_end = time.monotonic() + _SLICE_S
        unread = 0
        while self._queue:
            chunk = self._queue.popleft()
            spans = len(chunk)
            self._encoded_chunks += 1
            self._waiting -= spans  # with a call in this line, a put on another thread could be lost
            self._encoding = spans
            if self._redact is not None:
                self._redact(chunk)
            for exporter in self._exporters:
                exporter.add(chunk)
            self._encoding = 0
            unread += spans
            if unread >= _READ_CLOCK_SPANS:
                if time.monotonic() > slice_end:
                    return
                unread = 0

    def flush(self, deadline: float) -> bool:
        """Send all that is queued; wait until *deadline* (monotonic seconds). Return whether it was delivered."""
        if self._thread is None and not self._queue:
            return True
        if self._stopping or (self._thread is None and not self._start()):
            return self._work_here(deadline)
        flush = Flush(deadline)
        self._flushes.append(flush)
        self._ring()
        flush.done.wait(max(deadline - time.monotonic(), 0))
        return flush.delivered

    def _work_here(self, deadline: float) -> bool:
        """Send on the calling thread what came after our own had ended, or when none could be started any more."""
        if self._thread is not None:
            self._thread.join(max(deadline - time.monotonic(), 0))
            if self._thread.is_alive():
                return False
        delivered = not self._queue
        if self._queue or self._exporters or self._retired:
            with guard:
                delivered = self._work(deadline)
            self._close()
        return delivered

    def stop(self, deadline: float) -> bool:
        """Flush, and end the thread; what cannot be sent by *deadline* is given up."""
        if self._thread is None and not self._queue:
            self._stopping = True
            return True
        self._deadline = deadline
        self._end()
        delivered = self.flush(deadline)
        self._stopping = True
        self._ring()
        with guard:
            counted = self._counters()
            troubles = [exporter.trouble for exporter in self._exporters + self._retired]
            self._losses.tell(counted["waiting"] + counted.get("pending", 0), troubles)
        return delivered

    def _end(self) -> None:
        for exporter in self._exporters + self._retired:
            exporter.ending()

    def stats(self) -> dict[str, int]:
        """Return counters, in spans: waiting to be encoded, sent, pending at the exporters, dropped."""
        from ddmiddleware.tracing.health_metrics import OTHERS

        return {name: count for name, count in self._counters().items() if name not in OTHERS}

    def _counters(self) -> dict[str, int]:
        found = {"waiting": self._waiting, "errors": guard.errors, **self._losses.counters()}
        found["queued_traces"] = self._encoded_chunks + len(self._queue)
        _add(found, self._past)
        for exporter in self._exporters + self._retired:
            _add(found, exporter.stats())
        return found


def _add(counters: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        counters[name] = counters.get(name, 0) + count
