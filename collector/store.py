"""The store: a bounded queue, the one thread that writes it to SQLite, and connections for readers.

What `put` accepts is written by and by. When the disk refuses, the writer keeps its batch and tries again every
second, and `put` refuses with the reason until the batch is written.
"""

import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ddmiddleware.collector.chunk import Chunk
from ddmiddleware.collector.database import StoreError, connect, create, explained
from ddmiddleware.collector.limits import Limits, trim
from ddmiddleware.collector.profile import Profile
from ddmiddleware.collector.rows import Rows

log = logging.getLogger(__name__)

QUEUE_BYTES = 64 * 2**20
# Much in one transaction: most chunks touch other pages of the indices, and each page is written once then.
BATCH_CHUNKS = 10_000
RETRY_S = 1.0
TRIM_INTERVAL_S = 30.0
# Bytes taken from the queue after which the file's size is looked at before the interval is over; less if the cap is
# small.
TRIM_BYTES = 16 * 2**20
READERS = 4

Item = Chunk | Profile


class QueueFullError(Exception):
    """They arrive faster than they can be written."""


class Store:
    """Chunks and profiles on disk. Raises StoreError when the file cannot be used.

    clock: the time now, in nanoseconds since the Unix epoch; it decides what is too old.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        *,
        clock: Callable[[], int] = time.time_ns,
        queue_bytes: int = QUEUE_BYTES,
        retry_s: float = RETRY_S,
    ) -> None:
        create(path)
        self.path = path
        self.now_ns = clock
        self._limits = limits
        self._queue_bytes = queue_bytes
        self._retry_s = retry_s
        self._waiting: deque[Item] = deque()
        self._waiting_bytes = 0
        self._written_bytes = 0
        self._accepted = 0
        self.stored = 0
        self._trim_bytes = min(TRIM_BYTES, limits.max_size // 8)
        self._trim_at = 0.0
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._failure: str | None = None
        self._readers: queue.SimpleQueue[sqlite3.Connection | None] = queue.SimpleQueue()
        for _ in range(READERS):
            self._readers.put(None)
        self._writer = threading.Thread(target=self._write_all, name="collector-writer", daemon=True)
        self._writer.start()

    def put(self, items: Sequence[Item]) -> int:
        """Queue chunks or profiles to write, all or none; raise QueueFullError, or StoreError while the file refuses.

        They are in the file as soon as `stored` has reached the number that is returned.
        """
        size = sum(item.size for item in items)
        with self._changed:
            if self._failure is not None:
                raise StoreError(self._failure)
            if self._waiting and self._waiting_bytes + size > self._queue_bytes:
                raise QueueFullError
            self._waiting.extend(items)
            self._waiting_bytes += size
            self._accepted += len(items)
            self._changed.notify_all()
            return self._accepted

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that reads one snapshot; waits while all are lent.

        sqlite3.Error inside becomes StoreError.
        """
        connection = self._readers.get()
        healthy = None
        try:
            with explained(self.path):
                connection = connection or connect(self.path)
                connection.execute("BEGIN")
                yield connection
                connection.execute("ROLLBACK")
                healthy = connection
        finally:
            if healthy is None and connection is not None:
                connection.close()
            self._readers.put(healthy)

    def close(self, timeout_s: float) -> bool:
        """Write what is queued and stop; return False when chunks are left after the timeout."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._writer.join(timeout_s)
        for _ in range(READERS):
            if not self._readers.empty() and (connection := self._readers.get()) is not None:
                connection.close()
        return not (self._writer.is_alive() or self._waiting or self._failure)

    def _write_all(self) -> None:
        rows: Rows | None = None
        batch: list[Item] = []
        while batch or not self._finished():
            try:
                with explained(self.path):
                    rows = rows or Rows(connect(self.path))
                    batch = batch or self._next_batch()
                    rows.write(batch, self.now_ns())
                    self.stored += len(batch)
                    batch = []
                    self._trim_when_due(rows)
                    self._recovered()
            except StoreError as error:
                if rows is not None:
                    rows.close()
                    rows = None
                self._failed(str(error))
                # If it was the trimming that failed, only trimming can show that the store works again.
                self._trim_at = 0.0
                if self._closing.wait(self._retry_s):
                    break
        if rows is not None:
            rows.close()

    def _finished(self) -> bool:
        with self._changed:
            return self._closing.is_set() and not self._waiting

    def _next_batch(self) -> list[Item]:
        """Return queued chunks, waiting for some or for the time to trim; empty when it is that time or the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting or self._closing.is_set(), max(self._trim_at - time.monotonic(), 0)
            )
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_CHUNKS))]
            size = sum(item.size for item in batch)
            self._waiting_bytes -= size
            self._written_bytes += size
            return batch

    def _trim_when_due(self, rows: Rows) -> None:
        if time.monotonic() < self._trim_at and self._written_bytes < self._trim_bytes:
            return
        self._trim_at = time.monotonic() + TRIM_INTERVAL_S
        self._written_bytes = 0
        if trim(rows.connection, self._limits, self.now_ns()):
            rows.forget_unused_endpoints()

    def _failed(self, message: str) -> None:
        with self._changed:
            first = self._failure is None
            self._failure = message
        if first:
            log.error("cannot store what arrives: %s", message)

    def _recovered(self) -> None:
        with self._changed:
            failure, self._failure = self._failure, None
        if failure is not None:
            log.warning("storing again in %s", self.path)
