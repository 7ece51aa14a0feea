"""The profilers that are measured, and their processes, which live over all rounds."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.peers import Peer
from benchmarks.processes import Child, NotMeasuredError, Progress, sink
from benchmarks.profiling_watch import PROFILES

# Stacks only, 100 times a second whatever that costs; ours and ddtrace's by the same names.
_SETTINGS = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_PROFILING_ENABLE_CODE_PROVENANCE": "false",
    "DD_PROFILING_EXCEPTION_ENABLED": "false",
    "DD_PROFILING_GC_ENABLED": "false",
    "DD_PROFILING_HEAP_ENABLED": "false",
    "DD_PROFILING_LOCK_ENABLED": "false",
    "DD_PROFILING_MEMORY_ENABLED": "false",
    "DD_PROFILING_MAX_TIME_USAGE_PCT": "100",
    "DD_PROFILING_UPLOAD_INTERVAL": "3600",
    "_DD_PROFILING_STACK_ADAPTIVE_SAMPLING_ENABLED": "false",
}
OURS = Peer("ddmiddleware-profiler", "ddmiddleware", "benchmarks.profiling_ours", _SETTINGS)
DDTRACE = Peer(
    "ddtrace-profiler",
    "ddtrace",
    "benchmarks.profiling_ddtrace",
    {**_SETTINGS, "DD_PROFILING_OUTPUT_PPROF": str(PROFILES / "ddtrace")},
)
PY_SPY = Peer("py-spy", "py-spy", "benchmarks.profiling_pyspy")
PYROSCOPE = Peer("pyroscope", "pyroscope-io", "benchmarks.profiling_pyroscope")
PROFILERS = (OURS, DDTRACE, PY_SPY, PYROSCOPE)
TRACING = (OURS, DDTRACE)

# ddtrace copies memory by system calls for its first 15 s, at ten times the cost; it is measured after them.
_WARM_UP_S = 16.0


class _Child(Child):
    program = "benchmarks.profiling_child"


class Profiled:
    """The processes, one a profiler; one that ended is not measured from then on."""

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self._children: dict[Peer, Child] = {}
        self._failed: dict[Peer, str] = {}

    def ask(
        self, peer: Peer, do: str, check: Callable[[dict[str, Any]], str], **arguments: Any
    ) -> tuple[dict[str, Any], str]:
        """The answer and what is wrong with it, by *check* or because there is none; with tries left it asks again."""
        for left in reversed(range(self._tries)):
            if peer in self._failed:
                break
            try:
                answer = self._children[peer].ask(do, **arguments)
            except NotMeasuredError as error:
                self._failed[peer] = str(error)
                break
            problem = check(answer)
            if not left or not problem:
                return answer, problem
        return {}, self._failed[peer]


@contextlib.contextmanager
def profiled(progress: Progress, tries: int) -> Iterator[Profiled]:
    """Start all; *tries* are for figures that another load of the machine has spoilt."""
    processes = Profiled(tries)
    shutil.rmtree(PROFILES, ignore_errors=True)  # what a run that was killed has left
    with contextlib.ExitStack() as stack:
        end = stack.enter_context(sink())
        start = time.monotonic()
        for peer in PROFILERS:
            progress.step(f"starting {peer.label}")
            try:
                child = processes._children[peer] = _Child(peer, end.url)
            except NotMeasuredError as error:
                processes._failed[peer] = str(error)
            else:
                stack.callback(child.kill)
        progress.step(f"letting {DDTRACE.label} warm up for {_WARM_UP_S:.0f} s")
        time.sleep(max(start + _WARM_UP_S - time.monotonic(), 0))
        yield processes
