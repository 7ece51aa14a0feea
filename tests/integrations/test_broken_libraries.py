"""Libraries that are not what they are called: nothing of ours raises into whoever imports them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddmiddleware.integrations import TABLE

pytestmark = pytest.mark.once
STUBS = {
    "empty": "",
    "of other kinds": "def __getattr__(name):\n    return 1\n",
    "classes without methods": "def __getattr__(name):\n    return type(name, (), {'__slots__': ()})\n",
    "raising": "def __getattr__(name):\n    raise RuntimeError(name)\n",
    "half an import": "raise ImportError('half')\n",
}
CODE = """
import importlib, json, sys
from ddmiddleware import patch_all, unpatch
patch_all()
found = {}
for module in json.loads(sys.argv[1]):
    for name in (module, module.partition(".")[0]):
        try:
            importlib.import_module(name)
        except ImportError as error:
            found[module] = str(error)
patch_all()
unpatch()
from ddmiddleware.integrations import diagnosis

diagnosis()
print(json.dumps(found))
"""


@pytest.mark.parametrize("stub", sorted(STUBS))
def test_broken_stubs_of_every_library(stub: str, tmp_path: Path, root: Path) -> None:
    watched = sorted({module for row in TABLE.values() for module in row.modules} - sys.stdlib_module_names)
    watched = [name for name in watched if name.partition(".")[0] not in sys.stdlib_module_names]
    for name in watched:
        folder = tmp_path
        for part in name.split("."):
            folder /= part
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").write_text(STUBS[stub])
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}", "DD_TRACE_OTEL_ENABLED": "true"}
    environ.pop("DD_TESTING_RAISE", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, json.dumps(watched)],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == (dict.fromkeys(watched, "half") if stub == "half an import" else {})
