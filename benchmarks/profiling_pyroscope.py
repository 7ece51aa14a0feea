"""pyroscope-io at 100 Hz, all threads, sending to `benchmarks.profiling_receiver`."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyroscope

from benchmarks.peers import ROOT
from benchmarks.processes import NotMeasuredError
from benchmarks.profiling_pprof import Seen, pushed, read
from benchmarks.profiling_watch import TICK_NS, Found, cpu_ns, stem, take_files

_NAME = "pyroscope"


class Pyroscope:
    def __init__(self) -> None:
        self._receiver = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.profiling_receiver", f"{stem(_NAME)}.{os.getpid()}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # it ends with this process
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._receiver.stdout is not None
        self._url = f"http://127.0.0.1:{int(self._receiver.stdout.readline())}"
        self._before = [int(task) for task in os.listdir("/proc/self/task")]
        self._runs = False
        self.resume()

    def tracer(self) -> Any:
        return None

    def begin(self) -> None:
        self.pause()
        take_files(_NAME)
        self.resume()

    def end(self) -> Found:
        self.pause()  # sends what is left
        samples = [
            Seen(seen.stack, {"wall-time": seen.values["cpu"], "wall-samples": seen.values["cpu"] // TICK_NS}, {})
            for _path, content in _bodies()
            for profile in pushed(content)
            for seen in read(profile)
        ]
        return Found(samples)

    def pause(self) -> None:
        if self._runs and not pyroscope.shutdown():
            raise NotMeasuredError("pyroscope could not be stopped")
        self._runs = False

    def resume(self) -> None:
        started = pyroscope.configure(
            application_name="benchmark",
            server_address=self._url,
            sample_rate=100,
            oncpu=False,
            gil_only=False,
            upload_interval=3600,
        )
        if not started:
            raise NotMeasuredError("pyroscope could not be started")
        self._runs = True

    def cost_ns(self, application: Iterable[int]) -> int:
        return cpu_ns(without={*application, *self._before})


def _bodies() -> list[tuple[Path, bytes]]:
    bodies = take_files(_NAME)
    if not bodies:
        raise NotMeasuredError("pyroscope sent no profile")
    return bodies


start = Pyroscope
