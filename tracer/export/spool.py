"""A folder in the agent's place: payloads as files, which outlive the process and which a collector takes up later.

Several processes may share it, on one machine or over a volume. A file is ``<time>-<pid>-<sequence>-<spans>.v05``, the
time in nanoseconds since the epoch, and holds what the agent would get at ``/v0.5/traces``. It is written under another
name and renamed: who lists the folder sees whole files only, whenever the writer is killed. Nothing is synced, so a
power cut may still leave a file empty.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from ddmiddleware.tracing.encoding import EncoderV05
from ddmiddleware.tracing.export.spool_room import Room
from ddmiddleware.tracing.log import debug, info, warn
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.settings import Settings

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span

_PAYLOAD_BYTES = 1 << 19  # as for the agent
_SUFFIX = ".v05"
_UNFINISHED = ".part"


class _Payload(NamedTuple):
    body: bytes
    spans: int


class SpoolExporter:
    """Encodes chunks to payloads and writes them; while that fails, keeps them within a cap and tries again."""

    def __init__(self, settings: Settings) -> None:
        self.folder = folder_of(settings)
        self._buffer_bytes: int = settings["DD_TRACE_WRITER_BUFFER_SIZE_BYTES"]
        self._encoder = EncoderV05()
        self._payloads: deque[_Payload] = deque()
        self._buffered = 0
        self._room = Room(self.folder, settings["DD_TRACE_SPOOL_MAX_BYTES"])
        self._sequence = 0
        self._written = 0
        self._dropped = 0
        self._failing = False
        self._dropped_before = 0
        self._full = False
        self._ending = False
        self.trouble = ""

    def add(self, chunk: list[Span]) -> None:
        """Encode *chunk* into the payload under way."""
        self._encoder.add(chunk)
        if self._encoder.size >= _PAYLOAD_BYTES:
            self._close_payload()

    def _close_payload(self) -> None:
        spans = self._encoder.spans
        payload = _Payload(self._encoder.take(), spans)
        self._payloads.append(payload)
        self._buffered += len(payload.body)
        while self._buffered > self._buffer_bytes and len(self._payloads) > 1:
            lost = self._payloads.popleft()
            self._buffered -= len(lost.body)
            self._dropped += lost.spans

    def send(self, deadline: float | None) -> bool:
        """Write all payloads in order; on the first failure keep the rest for later. Return whether none is left."""
        if self._encoder.spans:
            self._close_payload()
        while self._payloads:
            payload = self._payloads[0]
            try:
                name = self._write(payload)
            except OSError as error:
                self._failed(error)
                return False
            self._payloads.popleft()
            self._buffered -= len(payload.body)
            self._written += payload.spans
            debug("wrote %d spans to %s", payload.spans, name)
            self._recovered()
            removed = self._room.take(name, len(payload.body), payload.spans)
            if removed:
                self._removed(removed)
        self.trouble = ""
        return True

    def ending(self) -> None:
        """Know that nothing is kept for later any more."""
        self._ending = True

    def _write(self, payload: _Payload) -> str:
        """Write one file that only its owner can read, and return its name."""
        self._sequence += 1
        name = f"{time.time_ns()}-{process.pid}-{self._sequence}-{payload.spans}{_SUFFIX}"
        unfinished = os.path.join(self.folder, name + _UNFINISHED)
        # Neither a file nor a link that somebody else has put there is ever written to.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(unfinished, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            descriptor = os.open(unfinished, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb", 0) as file:
                left = memoryview(payload.body)
                while left:
                    left = left[file.write(left) :]
            os.rename(unfinished, os.path.join(self.folder, name))
        except OSError:
            os.unlink(unfinished)
            raise
        return name

    def _failed(self, error: OSError) -> None:
        self.trouble = f"cannot write traces to {self.folder}: {error.strerror or type(error).__name__}"
        if not (self._failing or self._ending):
            self._failing = True
            self._dropped_before = self._dropped
            warn("%s; up to %d KiB are kept and written when it works again", self.trouble, self._buffer_bytes >> 10)

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            lost = self._dropped - self._dropped_before
            info("traces are written to %s again; %d spans were dropped", self.folder, lost)

    def _removed(self, spans: int) -> None:
        self._dropped += spans
        if not self._full:
            self._full = True
            warn("%s is full: the oldest traces are removed; read it with: ddmiddleware collector --spool", self.folder)

    def close(self) -> None:
        """Do nothing: no file is open between two payloads."""

    def disown(self) -> None:
        """Do nothing, as above."""

    def stats(self) -> dict[str, int]:
        """Return counters, in spans; what was written, and later removed to make room, is sent and dropped."""
        pending = self._encoder.spans + sum(payload.spans for payload in list(self._payloads))
        return {"sent": self._written, "pending": pending, "dropped": self._dropped}


def folder_of(settings: Settings) -> str:
    """Return the spool's folder: as set, or of a ``file://`` address, or in the user's state folder."""
    chosen: str = settings["DD_TRACE_SPOOL_DIR"]
    if chosen:
        return chosen
    parts = urlsplit(settings.agent_address)
    if parts.scheme == "file":
        return unquote(parts.path)
    state = settings.environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification: a relative path is to be ignored.
    return os.path.join(
        state if os.path.isabs(state) else os.path.expanduser("~/.local/state"), "ddmiddleware", "spool"
    )


def prepare(folder: str) -> str:
    """Make *folder* if it is not there; return why nothing can be written to it, or ``""``."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        return error.strerror or type(error).__name__
    return "" if os.access(folder, os.W_OK | os.X_OK) else "it is not writable"
