"""What a profiler under test offers to `benchmarks.profiling_child`, and what it costs by the kernel's books."""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.peers import WORK
from benchmarks.profiling_pprof import Seen, read

PROFILES = WORK / "profiles"
TICK_NS = 10_000_000


@dataclass(frozen=True)
class Found:
    """What was seen between `begin` and `end`. *ticks* is how often it looked, None where it does not say."""

    samples: list[Seen]
    ticks: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Watch(Protocol):
    """A profiler that watches this process from its start on, at 100 Hz, stacks only."""

    def tracer(self) -> Any:
        """The tracer whose spans it charges, None where it knows of none."""

    def begin(self) -> None:
        """Forget what was seen until now, and watch."""

    def end(self) -> Found:
        """Return what was seen since `begin`; some watch no more from then on."""

    def pause(self) -> None:
        """Look no more, if it does."""

    def resume(self) -> None:
        """Go on after `pause`."""

    def cost_ns(self, application: Iterable[int]) -> int:
        """CPU time it has used so far; *application* are the native ids of the threads that are not its own."""


def cpu_ns(process: int | str = "self", without: Iterable[int] = ()) -> int:
    """CPU time of a process's threads, to the nanosecond: getrusage would round what sleeps and wakes."""
    left_out = {str(native_id) for native_id in without}
    tasks = Path(f"/proc/{process}/task")
    return sum(schedule(task)[0] for task in tasks.iterdir() if task.name not in left_out)


def schedule(task: Path) -> tuple[int, int]:
    """CPU time of a thread, and how long it was ready to run and had no core, in nanoseconds."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        ran, waited, _ = (task / "schedstat").read_text().split()
        return int(ran), int(waited)
    return 0, 0


def stem(name: str) -> str:
    """Where a profiler of this process writes its files."""
    PROFILES.mkdir(parents=True, exist_ok=True)
    return f"{PROFILES / name}"


def take_files(name: str) -> list[tuple[Path, bytes]]:
    """The profiles that this process's profiler has written, which are removed."""
    taken = []
    for path in sorted(PROFILES.glob(f"{name}.{os.getpid()}.*")):
        if path.suffix != ".part":
            taken.append((path, path.read_bytes()))
            path.unlink()
    return taken


def samples_of(files: Iterable[tuple[Path, bytes]]) -> list[Seen]:
    return [seen for path, content in files if path.suffix == ".pprof" for seen in read(content)]
