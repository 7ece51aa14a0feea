"""How much a spool's folder holds, and the removal of the oldest files where that is more than it may."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from contextlib import suppress
from typing import NamedTuple

_FILE = re.compile(r"(\d{1,20})-(\d{1,10})-(\d{1,10})-(\d{1,10})\.v05(\.part)?")
_BLOCK = 4096  # what the smallest file takes of most disks
_LOOK_INTERVAL_S = 30.0
_ABANDONED_S = 600.0


class _File(NamedTuple):
    name: str
    size: int
    spans: int


class Room:
    """Keeps a folder below *max_bytes*, by removing the oldest of this process's own files.

    What other processes wrote is looked at twice a minute. Where they have filled the folder without this one (workers
    of the past, mostly), the oldest of theirs go.
    """

    def __init__(self, folder: str, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._own: deque[_File] = deque()
        self._own_bytes = 0
        self._foreign_bytes = 0
        self._look_at = 0.0
        self._look_bytes = 0

    def take(self, name: str, size: int, spans: int) -> int:
        """Count a file just written, and make room; return how many spans were removed, of whatever process.

        Files that a collector has taken meanwhile count until they would be removed, which then removes nothing.
        """
        file = _File(name, _on_disk(size), spans)
        self._own.append(file)
        self._own_bytes += file.size
        self._look_bytes += file.size
        removed = 0
        if time.monotonic() >= self._look_at or self._look_bytes > self._max_bytes >> 3:
            removed += self._look()
        while self._own_bytes + self._foreign_bytes > self._max_bytes and len(self._own) > 1:
            oldest = self._own.popleft()
            self._own_bytes -= oldest.size
            removed += self._remove(oldest)
        return removed

    def _look(self) -> int:
        """Measure the folder; remove of what others wrote what does not fit in beside our newest file."""
        self._look_at = time.monotonic() + _LOOK_INTERVAL_S
        self._look_bytes = 0
        found: dict[str, _File] = {}
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):  # a collector takes them meanwhile
                    self._measure(entry, found)
        self._own = deque(file for file in self._own if found.pop(file.name, None) is not None)
        self._own_bytes = sum(file.size for file in self._own)
        self._foreign_bytes = sum(file.size for file in found.values())
        newest = self._own[-1].size if self._own else 0
        removed = 0
        for file in sorted(found.values(), key=lambda file: int(file.name.partition("-")[0])):
            if self._foreign_bytes + newest <= self._max_bytes:
                break
            self._foreign_bytes -= file.size
            removed += self._remove(file)
        return removed

    @staticmethod
    def _measure(entry: os.DirEntry[str], found: dict[str, _File]) -> None:
        named = _FILE.fullmatch(entry.name)
        if named is None or not entry.is_file(follow_symlinks=False):
            return
        if not named[5]:
            found[entry.name] = _File(entry.name, _on_disk(entry.stat(follow_symlinks=False).st_size), int(named[4]))
        elif int(named[1]) / 1e9 < time.time() - _ABANDONED_S:
            os.unlink(entry.path)  # its writer was killed

    def _remove(self, file: _File) -> int:
        try:
            os.unlink(os.path.join(self._folder, file.name))
        except OSError:  # a collector has taken it, mostly
            return 0
        return file.spans


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
