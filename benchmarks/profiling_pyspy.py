"""py-spy, which watches from a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.processes import NotMeasuredError
from benchmarks.profiling_pprof import Seen
from benchmarks.profiling_watch import TICK_NS, Found, cpu_ns, stem


class PySpy:
    def __init__(self) -> None:
        program = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
        if program is None:
            raise NotMeasuredError("py-spy is not installed")
        self._program = program
        self._raw = Path(f"{stem('py-spy')}.{os.getpid()}.raw")
        self._process: subprocess.Popen[str] | None = None
        self.resume()

    def tracer(self) -> Any:
        return None

    def begin(self) -> None:
        self.pause()
        self.resume()

    def end(self) -> Found:
        self.pause()
        samples = []
        for line in self._raw.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            # "thread (18343): MainThread;<module> (app.py:11);Price.total (app.py:4)"
            _thread, *frames = stack.split(";")
            names = tuple(frame.partition(" (")[0].rpartition(".")[2] for frame in reversed(frames))
            samples.append(Seen(names, {"wall-samples": int(count), "wall-time": int(count) * TICK_NS}, {}))
        return Found(samples)

    def pause(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        if process.returncode != 0 or "Wrote raw" not in said:
            raise NotMeasuredError(f"py-spy ended with {process.returncode}: {_last(said)}")

    def resume(self) -> None:
        options = ["--rate", "100", "--format", "raw", "--idle", "--threads", "--output", str(self._raw)]
        self._process = process = subprocess.Popen(
            [self._program, "record", "--pid", str(os.getpid()), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = ""
        while "Sampling process" not in said:
            line = process.stdout.readline()
            if not line:
                self._process = None
                raise NotMeasuredError(f"py-spy cannot watch here ({process.wait()}): {_last(said)}")
            said += line

    def cost_ns(self, application: Iterable[int]) -> int:
        assert self._process is not None
        return cpu_ns(self._process.pid)


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["no output"])[-1]


start = PySpy
