"""Where profiles go: an agent, Datadog itself, or files."""

from __future__ import annotations

import os
from typing import ClassVar, Protocol

from ddmiddleware.profiling import pprof
from ddmiddleware.profiling.samples import Profile
from ddmiddleware.tracing import Settings, warn


class Output(Protocol):
    """A destination of profiles; only one thread at a time calls it."""

    @property
    def retry_at(self) -> float:
        """When (monotonic seconds) to send again what could not be sent; 0 where nothing is left."""

    def put(self, profile: Profile) -> None:
        """Encode and keep *profile*."""

    def send(self, deadline: float | None) -> bool:
        """Send what is kept, until *deadline* (monotonic seconds) or None; return whether all of it went."""

    def ending(self) -> None:
        """Know that nothing is kept for later any more."""

    def close(self) -> None:
        """Let go of the connection."""

    def disown(self) -> None:
        """Close a forked child's copy of the connection, the parent goes on using its own."""


class Nowhere:
    """Where no place is known; profiles can still be asked for (``on_demand.py``)."""

    retry_at = 0.0

    def put(self, profile: Profile) -> None:
        """Drop it."""

    def send(self, deadline: float | None) -> bool:
        """Have nothing to send."""
        return True

    def ending(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def disown(self) -> None:
        """Do nothing."""


class Files(Nowhere):
    """``<prefix>.<pid>.<number>.pprof``, for ``DD_PROFILING_OUTPUT_PPROF``; what cannot be written is lost."""

    numbers: ClassVar[dict[str, int]] = {}  # of the last file, by the process: a profiler that is restarted counts on

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._failing = False

    def put(self, profile: Profile) -> None:
        """Write one file that only its owner can read; it has its name once it is whole."""
        stem = f"{self._prefix}.{os.getpid()}"
        self.numbers[stem] = self.numbers.get(stem, 0) + 1
        name = f"{stem}.{self.numbers[stem]}.pprof"
        unfinished = name + ".part"
        try:
            write_private(unfinished, pprof.encode(profile))
            os.replace(unfinished, name)
        except OSError as error:
            if not self._failing:
                self._failing = True
                warn("cannot write profiles to %s: %s", self._prefix, error.strerror or type(error).__name__)
        else:
            self._failing = False

    def disown(self) -> None:
        """Count anew."""
        self.numbers.clear()


def write_private(path: str, content: bytes) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def open_output(settings: Settings) -> Output:
    """Return where the settings send profiles to."""
    prefix: str = settings["DD_PROFILING_OUTPUT_PPROF"]
    if prefix:
        return Files(prefix)
    if settings.agent_address.startswith("file:") and not settings["DD_PROFILING_AGENTLESS"]:
        warn("a spool keeps no profiles: set DD_PROFILING_OUTPUT_PPROF to have them as files")
        return Nowhere()
    from ddmiddleware.profiling.upload import Uploader

    return Uploader(settings)
