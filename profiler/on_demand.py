"""Profiles that somebody asks a running process for, over a Unix socket that only the process's user can reach.

The socket is ``<folder>/<pid>.sock``. One request is one line of JSON,
``{"seconds": 10, "endpoint": "GET /*", "format": "pprof"}``; the answer is one line of JSON, with ``"bytes"`` or
``"error"``, and so many bytes.
"""

from __future__ import annotations

import fnmatch
import json
import os
import socket
import stat
import time
from typing import Any

from ddmiddleware.profiling.event import event_of
from ddmiddleware.profiling.formats import FORMATS, encoder
from ddmiddleware.profiling.recording import Recording
from ddmiddleware.profiling.samples import Profile, Sample
from ddmiddleware.tracing import Settings, debug, forks_wait, guarded

LONGEST_S = 3600.0
LINE_MAX = 4096
_WINDOWS = 8
_READ_S = 0.5
_SEND_S = 5.0
_NEVER = float("inf")


class _Window:
    def __init__(self, connection: socket.socket, request: dict[str, Any]) -> None:
        self.connection = connection
        self.seconds = float(request["seconds"])
        self.endpoint: str = request.get("endpoint") or "*"
        self.format: str = request["format"]
        self.samples: list[Sample] = []
        self.started_ns = time.time_ns()
        self.due_at = time.monotonic() + self.seconds

    def profile(self, tags: dict[str, str]) -> Profile:
        samples = self.samples
        if self.endpoint != "*":
            samples = [one for one in samples if self._asked(str(one.labels.get("trace endpoint", "")))]
        return Profile(self.started_ns, time.time_ns(), samples, {}, tags)

    def _asked(self, endpoint: str) -> bool:
        return endpoint == self.endpoint or fnmatch.fnmatchcase(endpoint, self.endpoint)


class Listener:
    """The requests to this process; only the profiler's thread calls it."""

    def __init__(self, settings: Settings, recording: Recording) -> None:
        self._settings = settings
        self._recording = recording
        self._windows: list[_Window] = []
        self._socket: socket.socket | None = None
        self._path = ""
        if settings["DD_PROFILING_ON_DEMAND_ENABLED"] and hasattr(socket, "AF_UNIX"):
            try:
                self._listen()
            except OSError as error:
                debug("nobody can ask for profiles: %s", error)

    def _listen(self) -> None:
        folder = folder_of(self._settings["DD_PROFILING_ON_DEMAND_DIR"])
        prepare(folder)
        self._path = os.path.join(folder, f"{os.getpid()}.sock")
        unfinished = f"{self._path}.part"
        if os.path.lexists(unfinished):  # of a process that was killed
            os.unlink(unfinished)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(unfinished)
        os.chmod(unfinished, 0o600)
        listening.listen(_WINDOWS)
        os.replace(unfinished, self._path)  # who finds it can connect
        listening.setblocking(False)
        self._socket = listening

    @property
    def sockets(self) -> list[socket.socket]:
        """What becomes readable when somebody asks."""
        return [self._socket] if self._socket is not None else []

    @property
    def due_at(self) -> float:
        """When (monotonic seconds) the next answer is due."""
        return min((window.due_at for window in self._windows), default=_NEVER)

    def serve(self) -> None:
        """Take the requests that wait, and answer those that are due."""
        if self._socket is not None:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                pass
            else:
                self._take(connection)
        now = time.monotonic()
        due = [window for window in self._windows if window.due_at <= now]
        if due:
            self._recording.gather()
        for window in due:
            self._windows.remove(window)
            self._recording.windows.remove(window.samples)
            with guarded:
                self._answer(window)

    def _take(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(_READ_S)
            request, problem = read_request(connection)
            if len(self._windows) >= _WINDOWS:
                problem = "too many requests for profiles at a time"
            if problem:
                connection.sendall(json.dumps({"error": problem}).encode() + b"\n")
                connection.close()
                return
        except OSError:
            connection.close()
            return
        self._recording.gather()
        window = _Window(connection, request)
        self._windows.append(window)
        self._recording.windows.append(window.samples)

    def _answer(self, window: _Window) -> None:
        try:
            profile = window.profile(self._recording.tags())
            with forks_wait:  # it imports
                encode = encoder(window.format)
            body = encode(profile)
            told = {
                "service": self._settings.service,
                "pid": os.getpid(),
                "samples": len(profile.samples),
                "event": event_of(profile, self._settings, ["profile.pprof"], 0),
                "bytes": len(body),
            }
            window.connection.settimeout(_SEND_S)
            window.connection.sendall(json.dumps(told).encode() + b"\n" + body)
        except OSError as error:
            debug("nobody takes the profile that was asked for: %s", error)
        finally:
            window.connection.close()

    def close(self) -> None:
        """Listen no more; those who wait get what there is."""
        if self._windows:
            self._recording.gather()
        for window in self._windows:
            with guarded:
                self._answer(window)
        self._windows.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            with guarded:
                try:
                    os.unlink(self._path)
                except FileNotFoundError:
                    return

    def disown(self) -> None:
        """Close a forked child's copies, the parent goes on using its own."""
        for window in self._windows:
            window.connection.close()
        self._windows.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def read_request(connection: socket.socket) -> tuple[dict[str, Any], str]:
    """Return what is asked, and what is wrong with it or ``""``."""
    line = b""
    while not line.endswith(b"\n") and len(line) < LINE_MAX:
        piece = connection.recv(LINE_MAX)
        if not piece:
            break
        line += piece
    try:
        request = json.loads(line)
        seconds = float(request["seconds"])
        known = request["format"] in FORMATS
        endpoint = request.get("endpoint")
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}, "the request is not understood: are both of the same version?"
    if not 0 < seconds <= LONGEST_S:
        return {}, f"expected seconds above 0, up to {LONGEST_S:.0f}"
    if not known or not isinstance(endpoint, (str, type(None))):
        return {}, "the format is not known: are both of the same version?"
    return request, ""


def folder_of(chosen: str) -> str:
    """Return the folder of the sockets: the same for all processes of a user, whatever their environment says."""
    return chosen or f"/tmp/ddmiddleware-{os.getuid()}"


def prepare(folder: str) -> None:
    """Make *folder* if it is not there; raise PermissionError where others can get at it."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's alone")
