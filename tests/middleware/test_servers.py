"""What servers need of us: forks that Python is not told of."""

from __future__ import annotations

from tests.recording_agent import RecordingAgent
from tests.tracer.processes import run

# uWSGI's module is there in its processes alone, and its way to fork is the C library's. The rest: tests/servers_real.
FORKS = """
import ctypes, os, sys, types

uwsgi = sys.modules["uwsgi"] = types.ModuleType("uwsgi")
uwsgi.masterpid = os.getpid
uwsgi.post_fork_hook = lambda: print("another", flush=True)
import ddmiddleware.wsgi
from ddmiddleware import tracer

for _ in range(2):
    pid = ctypes.PyDLL(None).fork()
    if not pid:
        uwsgi.post_fork_hook()
        tracer.trace("child").finish()
        os._exit(not tracer.flush())
    assert os.waitpid(pid, 0) == (pid, 0)
"""


def test_forks_that_python_does_not_notice() -> None:
    with RecordingAgent() as agent:
        assert run(FORKS, agent.url) == "another\n" * 2
    assert [span["name"] for span in agent.spans] == ["child"] * 2
    for key in ("span_id", "trace_id"):
        assert len({span[key] for span in agent.spans}) == 2
    assert len({span["metrics"]["process_id"] for span in agent.spans}) == 2
    assert len({span["meta"]["runtime-id"] for span in agent.spans}) == 2
