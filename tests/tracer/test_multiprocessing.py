"""Children of ``multiprocessing`` leave by ``os._exit``, and deliver before they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run

SCRIPT = """
import multiprocessing, os, runpy, sys
from ddmiddleware import tracer

def work(number):
    with tracer.trace("child"):
        tracer.trace("inner").finish()
    return os.getpid()

if __name__ == "__main__":
    tracer.trace("parent").finish()
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=work, args=(number,)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0, child.exitcode
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_deliver_before_they_end(agent: RecordingAgent, tmp_path: Path, method: str) -> None:
    # A child that is spawned imports its functions from a file.
    path = tmp_path / "job.py"
    path.write_text(SCRIPT)
    launch = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('job', {}, '__main__', True)"
    run(
        launch,
        agent.url,
        str(tmp_path),
        method,
        DD_TRACE_WRITER_INTERVAL_SECONDS="60",
        DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS="20",
    )
    names = sorted(span["name"] for span in agent.spans)
    assert names == ["child"] * 3 + ["inner"] * 3 + ["parent"]
    assert len({chunk[0]["metrics"]["process_id"] for chunk in agent.chunks}) == 4


def test_a_pool_of_processes(agent: RecordingAgent) -> None:
    script = """
import concurrent.futures, multiprocessing
from ddmiddleware import tracer

def work(number):
    tracer.trace("job").finish()
    return number

context = multiprocessing.get_context("fork")
with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
    assert list(pool.map(work, range(20))) == list(range(20))
"""
    run(script, agent.url, DD_TRACE_WRITER_INTERVAL_SECONDS="60", DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS="20")
    assert [span["name"] for span in agent.spans] == ["job"] * 20


def test_we_do_not_import_it(agent: RecordingAgent) -> None:
    run("import sys; from ddmiddleware import tracer; tracer.trace('a').finish(); tracer.flush(); "
        "assert 'multiprocessing' not in sys.modules", agent.url)  # fmt: skip
    assert len(agent.spans) == 1
