"""The rows of TABLE that the tests go through, and code of an application in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ddmiddleware.integrations import TABLE
from tests.integrations.example import Names
from tests.integrations.examples_stores import ABSENT

Imported = Callable[[str], Names]

# otel is a bridge and no library whose calls are traced: tests/face/test_opentelemetry.py.
ROWS = sorted(TABLE.keys() - {"otel"} - ABSENT)
OFF = [name for name in ROWS if not TABLE[name].on]


def python(root: Path, code: str, **environ: str) -> Any:
    """Run *code* in a new process and return what it printed, read as JSON."""
    preamble = (
        "import json, sys\n"
        "from ddmiddleware import patch, patch_all, unpatch\n"
        "from ddmiddleware.tracing import default_tracer\n"
        "from tests.integrations.examples import EXAMPLES\n"
        "from tests.integrations.recorder import Recorder\n"
        "default_tracer.export = recorder = Recorder()\n"
        "def imported(name):\n"
        "    names = {}\n"
        "    exec(EXAMPLES[name].imports, names)\n"
        "    return names\n"
    )
    environ = {**os.environ, "DD_TESTING_RAISE": "true", "PYTHONPATH": str(root), **environ}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", preamble + code], env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout)
