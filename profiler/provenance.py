"""Which library each file belongs to, so that a viewer tells an application's code from that of others."""

from __future__ import annotations

import json
import platform
import sysconfig
import time
from importlib.metadata import Distribution, distributions

_REST_S = 0.001  # after each library, so that the application's threads get their turn
_LIBRARIES = 2000


def code_provenance() -> bytes:
    """Return ``code-provenance.json``: the standard library and every installed distribution with its paths.

    It reads some files per distribution: call it once, off the application's threads.
    """
    version = platform.python_version()
    found = [
        {"kind": "standard library", "name": "stdlib", "version": version, "paths": [sysconfig.get_path("stdlib")]}
    ]
    for _, distribution in zip(range(_LIBRARIES), distributions(), strict=False):
        paths = _paths(distribution)
        name = distribution.metadata["Name"]
        if name and paths:
            found.append({"kind": "library", "name": name, "version": distribution.version, "paths": paths})
        time.sleep(_REST_S)
    return json.dumps({"v1": found}, separators=(",", ":")).encode()


def _paths(distribution: Distribution) -> list[str]:
    """Return the folders and files at the top of what a distribution has installed."""
    record = distribution.read_text("RECORD") or ""
    tops = {line.partition(",")[0].partition("/")[0] for line in record.splitlines()}
    kept = sorted(top for top in tops if top and not top.startswith(("..", "__pycache__")) and ".dist-info" not in top)
    return [str(distribution.locate_file(top)) for top in kept]
