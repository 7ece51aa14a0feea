"""What docs/integrations/adding.md shows is run as it stands there."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.integrations.recorder import Recorder

pytestmark = pytest.mark.once

LIBRARY = """
class Client:
    host = "example"
    {}def execute(self, command): return [command]
"""


def test_the_example(root: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, how in (("acme", ""), ("acme.client", ""), ("acme.aio", "async ")):
        module = ModuleType(name)
        exec(LIBRARY.format(how), module.__dict__)
        monkeypatch.setitem(sys.modules, name, module)
    page = (root / "docs/integrations/adding.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    ours: dict[str, Any] = {}
    exec(code[1], ours)
    ours["integration"].patch()
    assert sys.modules["acme.client"].Client().execute("PING") == ["PING"]
    assert asyncio.run(sys.modules["acme.aio"].Client().execute(command="PING")) == ["PING"]
    ours["integration"].unpatch()
    tags = {"component": "acme", "span.kind": "client", "out.host": "example", "_dd.measured": 1, "db.row_count": 1}
    shape = {"parent": 0, "service": "acme", "name": "acme.command", "resource": "PING", "type": "db", "error": 0}
    assert recorder.take() == [{"trace": number, **shape, "tags": tags} for number in (1, 2)]
