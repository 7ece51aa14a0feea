"""How a program is profiled without a line of code, and with those of ddtrace's documentation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.profiler.fake_collector import PRELUDE
from tests.profiler.receiver import Receiver
from tests.tracer.processes import environment, run

# From the user's document of ddtrace 1.x, its profiling part.
DOCUMENT = """
import ddmiddleware.as_ddtrace
import asyncio

from ddtrace.profiling import Profiler

prof = Profiler()
prof.start()

# At shutdown
prof.stop()

prof = Profiler(asyncio_loop_policy=None)
prof.start()
prof.stop()

from ddtrace.profiling.profiler import DdtraceProfilerEventLoopPolicy, Profiler as Same
assert Same is Profiler

class MyLoopPolicy(DdtraceProfilerEventLoopPolicy):
    pass

assert issubclass(MyLoopPolicy, asyncio.DefaultEventLoopPolicy)
mine = MyLoopPolicy()
prof = Profiler(asyncio_loop_policy=mine)
prof.start()
assert asyncio.get_event_loop_policy() is mine

async def main():
    assert mine._ddtrace_get_loop(threading.get_ident()) is asyncio.get_running_loop()

asyncio.run(main())
asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
prof.set_asyncio_event_loop_policy()
assert asyncio.get_event_loop_policy() is mine
prof.stop()

import ddtrace.profiling.auto
assert ddtrace.profiling.auto.profiler.running
pid = os.fork()
if pid == 0:
    assert ddtrace.profiling.auto.profiler.running
    ddtrace.profiling.auto.start_profiler()
    assert ddtrace.profiling.auto.profiler.running
    sys.exit()
assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python deprecates policies of event loops")
def test_the_document_runs(receiver: Receiver) -> None:
    run(PRELUDE + DOCUMENT, receiver.url)
    assert len(receiver.uploads) == 6  # three by hand; auto's: the child's two, and the parent's


def test_what_is_no_policy(receiver: Receiver) -> None:
    script = "Profiler(asyncio_loop_policy=3).start(); assert module._active.running"
    environ = environment(receiver.url)
    command = [sys.executable, "-W", "error", "-c", PRELUDE + script]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (
        0,
        "ddmiddleware: asyncio_loop_policy is no policy of event loops (int): left out\n",
    )


def test_importing_starts_nothing() -> None:
    script = """
import sys, threading
from ddmiddleware import profiling
assert "ddmiddleware.profiling.profiler" not in sys.modules
from ddmiddleware.profiling import Profiler
Profiler()
assert threading.active_count() == 1
late = {"ssl", "http.client", "asyncio", "json", "email", "zlib", "argparse", "urllib.request"} & set(sys.modules)
print(sorted(late))
"""
    assert run(script, "http://127.0.0.1:9").strip() in ("[]", "['json', 'zlib']")


@pytest.mark.parametrize(
    ("options", "environ", "profiled"),
    [
        ((), {}, 0),
        (("--profiling",), {}, 1),
        (("-p",), {"DD_TRACE_ENABLED": "false"}, 1),
        ((), {"DD_PROFILING_ENABLED": "true"}, 1),
        ((), {"DD_PROFILING_ENABLED": "auto"}, 1),
        (("--profiling",), {"DD_PROFILING_UPLOAD_INTERVAL": "0"}, 1),
    ],
)
def test_the_command(
    receiver: Receiver, tmp_path: Path, options: tuple[str, ...], environ: dict[str, str], profiled: int
) -> None:
    script = tmp_path / "script.py"
    script.write_text("print('done')")
    command = [sys.executable, "-m", "ddmiddleware", "run", *options, sys.executable, str(script)]
    variables = environment(receiver.url, DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS="10", **environ)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert min(len(receiver.uploads), 1) == profiled
    assert all(upload.tags["service"] == "shop" for upload in receiver.uploads)
