"""A folder that tracers write payloads to when there is no agent, and the thread that takes them into the store.

A file is named `<time>-<pid>-<sequence>-<spans>.v05`, with the time in nanoseconds, and holds the body of a request to
`/v0.5/traces`. Nothing else in the folder is ever touched.
"""

import logging
import os
import re
import stat
import threading
import time
from collections import deque
from pathlib import Path

from ddmiddleware.collector.body import MAX_BODY
from ddmiddleware.collector.chunk import pack
from ddmiddleware.collector.database import StoreError
from ddmiddleware.collector.decoding import PayloadError, decode_v05
from ddmiddleware.collector.store import QueueFullError, Store

log = logging.getLogger(__name__)

INTERVAL_S = 0.5
COMPLAINT_INTERVAL_S = 60.0

_FILE = re.compile(r"(\d{1,20})-\d{1,10}-(\d{1,10})-\d{1,10}\.v05")


class Spool:
    """Looks into the folder twice a second, for it may come to exist later, or lie on another machine's disk.

    A file is removed once the store has written what it held, unless *keep* is set. One that cannot be read stays where
    it is, and is read again when it has changed.
    """

    def __init__(self, folder: Path, store: Store, *, keep: bool, interval_s: float = INTERVAL_S) -> None:
        self._folder = folder
        self._store = store
        self._keep = keep
        self._interval_s = interval_s
        self._taken: dict[str, tuple[int, int]] = {}
        self._unwritten: deque[tuple[int, str]] = deque()
        self._complain_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="collector-spool", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; what was taken is the store's to write."""
        self._stopping.set()
        self._thread.join()

    def remove_stored(self) -> None:
        """Remove the files whose contents the store has written."""
        while self._unwritten and self._unwritten[0][0] <= self._store.stored:
            _, name = self._unwritten.popleft()
            if not self._keep:
                try:
                    (self._folder / name).unlink(missing_ok=True)
                except OSError as error:
                    self._complain(f"cannot remove {name} ({error.strerror}); it is taken again after a restart")

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self._look()
            self._stopping.wait(self._interval_s)

    def _look(self) -> None:
        """Take what is new, the oldest first, until there is no more or the store has enough."""
        self.remove_stored()
        present = self._present()
        self._taken = {name: state for name, state in self._taken.items() if name in present}
        for name, state in present.items():
            if self._stopping.is_set():
                return
            if self._taken.get(name) == state:
                continue
            try:
                self._take(name)
            except (QueueFullError, StoreError):  # the store says so itself
                return
            self._taken[name] = state

    def _present(self) -> dict[str, tuple[int, int]]:
        """Return the size and time of each file that a tracer wrote, sorted by age."""
        found = []
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    named = _FILE.fullmatch(entry.name)
                    if named is not None and (state := _state(entry)) is not None:
                        found.append((int(named[1]), int(named[2]), entry.name, state))
        except FileNotFoundError:
            pass
        except OSError as error:
            self._complain(f"cannot be read ({error.strerror})")
        return {name: state for _, _, name, state in sorted(found)}

    def _take(self, name: str) -> None:
        try:
            body = _read(self._folder / name)
            chunks = [pack(trace) for trace in decode_v05(body)]
        except FileNotFoundError:  # another collector was faster, or its tracer made room
            return
        except (OSError, PayloadError) as error:
            self._complain(f"left {name} where it is: {error}")
            return
        self._unwritten.append((self._store.put(chunks), name))

    def _complain(self, what: str) -> None:
        """Tell the user, but not of every file."""
        if time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + COMPLAINT_INTERVAL_S
            log.warning("spool %s: %s", self._folder, what)


def _state(entry: os.DirEntry[str]) -> tuple[int, int] | None:
    """Return an entry's size and time, or None where it is no plain file any more."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _read(path: Path) -> bytes:
    """Read a file within the limit of a request; raise PayloadError beyond it."""
    with path.open("rb") as file:
        body = file.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise PayloadError(f"it is larger than {MAX_BODY} bytes")
    return body
