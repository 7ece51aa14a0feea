"""ddtrace's profiler, stacks only."""

import json
import os
from collections.abc import Iterable
from typing import Any

from ddtrace.internal.datadog.profiling import ddup, stack
from ddtrace.profiling import Profiler
from ddtrace.trace import tracer

from benchmarks.processes import NotMeasuredError
from benchmarks.profiling_watch import Found, cpu_ns, samples_of, stem, take_files

_NAME = "ddtrace"


class Ddtrace:
    def __init__(self) -> None:
        if not os.environ["DD_PROFILING_OUTPUT_PPROF"].startswith(stem(_NAME)):
            raise NotMeasuredError("DD_PROFILING_OUTPUT_PPROF is not where it is looked for")
        tracer.trace("first").finish()
        tracer.flush()
        self._before = [int(task) for task in os.listdir("/proc/self/task")]
        self._profiler = Profiler()
        self._profiler.start()

    def tracer(self) -> Any:
        return tracer

    def begin(self) -> None:
        self._uploaded()

    def end(self) -> Found:
        files = self._uploaded()
        (facts,) = (json.loads(content) for path, content in files if path.name.endswith("internal_metadata.json"))
        return Found(
            samples_of(files),
            facts["sampling_event_count"],
            {"fast copy": facts["fast_copy_memory_enabled"], "copy errors": facts["copy_memory_error_count"]},
        )

    def _uploaded(self) -> list[Any]:
        ddup.upload()  # into the file, before it returns
        files = take_files(_NAME)
        if len([path for path, _ in files if path.suffix == ".pprof"]) != 1:
            raise NotMeasuredError("ddtrace wrote no profile")
        return files

    def pause(self) -> None:
        stack.pause_sampling()

    def resume(self) -> None:
        stack.resume_sampling()

    def cost_ns(self, application: Iterable[int]) -> int:
        return cpu_ns(without={*application, *self._before})


start = Ddtrace
