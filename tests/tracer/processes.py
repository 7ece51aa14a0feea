"""Scripts in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0
# On a busy machine a script may need more than a second to send what it has, and the agent more than two to answer.
PATIENT = {"DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS": "10", "DD_TRACE_AGENT_TIMEOUT_SECONDS": "10"}


def environment(url: str, **environ: str) -> dict[str, str]:
    """Return the environment of a script that sends to the agent at *url*."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("DD_", "OTEL_"))}
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "DD_SERVICE": "shop",
        "DD_TRACE_AGENT_URL": url,
        "DD_TRACE_WRITER_INTERVAL_SECONDS": "0.02",
        **environ,
    }


def start(script: str, url: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Start Python code, with warnings as errors."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        env=environment(url, **environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(script: str, url: str, *arguments: str, **environ: str) -> str:
    """Run Python code that must succeed without a word on stderr; return what it printed."""
    process = start(script, url, *arguments, **{**PATIENT, **environ})
    try:
        out, err = process.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children hold its pipes
        raise AssertionError(f"it hangs: {process.communicate()}") from None
    assert (process.returncode, err) == (0, ""), (process.returncode, err)
    return out
