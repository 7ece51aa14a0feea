"""Rows of TABLE that are switched on and off: by keyword, by the environment, all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddmiddleware import patch_all, unpatch
from ddmiddleware.integrations import TABLE, is_on
from tests.integrations.examples import EXAMPLES
from tests.integrations.recorder import Recorder
from tests.integrations.rows import OFF, ROWS, Imported, python


@pytest.fixture(name="few_rows")
def _few_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the row *name* and some others in TABLE: applying all of them takes a while where all are imported."""
    for row in TABLE.keys() - {name, "logging", "requests", "sqlite3", *OFF}:
        monkeypatch.delitem(TABLE, row)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("name", ROWS)
def test_switched_off_by_keyword(name: str, imported: Imported, recorder: Recorder) -> None:
    patch_all(**{name: False})
    assert {row for row in TABLE if not is_on(row)} == {name, *OFF}
    unpatch()
    assert EXAMPLES[name].use(imported(name), recorder) == 0


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("name", ROWS)
def test_switched_by_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the integration's own variable, by the list; the keyword wins, then the own variable."""
    monkeypatch.setenv("DD_PATCH_MODULES", f"{name}:false")
    patch_all()
    assert {row for row in TABLE if not is_on(row)} == {name, *OFF}
    monkeypatch.setenv(f"DD_TRACE_{name.upper()}_ENABLED", "true")
    patch_all()
    assert is_on(name)
    unpatch()
    monkeypatch.setenv(f"DD_TRACE_{name.upper()}_ENABLED", "0")
    patch_all()
    assert {row for row in TABLE if not is_on(row)} == {name, *OFF}
    patch_all(**{name: True})
    assert is_on(name)


@pytest.mark.once
@pytest.mark.parametrize("name", ROWS)
def test_the_environment_of_a_real_process(name: str, root: Path) -> None:
    code = f"patch_all()\nprint(EXAMPLES[{name!r}].use(imported({name!r}), recorder))"
    off = {f"DD_TRACE_{each.upper()}_ENABLED": "false" for each in (name, *EXAMPLES[name].over)}
    assert python(root, code, **off, DD_PATCH_MODULES="logging:true") == 0


def test_switched_off_altogether(root: Path) -> None:
    """No patch, thread, import or log line, whatever the application asks for."""
    code = (
        "import threading\n"
        "patch_all(redis=True, nonsense=True)\n"
        "patch(nonsense=True)\n"
        "unpatch()\n"
        "uses = [EXAMPLES[name].use(imported(name), recorder) for name in EXAMPLES]\n"
        "from ddmiddleware.integrations import TABLE\n"
        "ours = [row.loads for row in TABLE.values() if row.loads in sys.modules]\n"
        "hooks = [finder for finder in sys.meta_path if 'wrapt' in type(finder).__module__]\n"
        "threads = [thread.name for thread in threading.enumerate()]\n"
        "print(json.dumps([uses, ours, hooks, threads]))"
    )
    threads = ["MainThread", "event_loop"]  # Cassandra's driver has one for all of the process
    assert python(root, code, DD_TRACE_ENABLED="false") == [[0] * len(ROWS), [], [], threads]
