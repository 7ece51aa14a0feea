"""What every integration keeps, over all rows of TABLE: when, how often, on, off, undone, and whose error it was."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ddmiddleware import patch, patch_all, unpatch
from ddmiddleware.integrations import TABLE, is_on
from ddmiddleware.tracing import default_settings, default_tracer
from tests.integrations.example import OLDER, Names
from tests.integrations.examples import EXAMPLES
from tests.integrations.recorder import Recorder
from tests.integrations.rows import OFF, ROWS, Imported, python

pytestmark = pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")

LOOPS = ("aiohttp", "connexion", "futures", "litestar", "quart", "sanic", "starlette")
OTHER_ROWS_OFF = {name: {other: False for other in TABLE if other != name} for name in TABLE}


def owners(name: str) -> dict[str, dict[str, Any]]:
    """Return all that stands in the modules and classes that an integration changes."""
    integration = importlib.import_module(TABLE[name].loads).integration
    found: dict[str, dict[str, Any]] = {}
    for part in (integration, *integration._parts):
        for replacement in part.replacements:
            if replacement.module in OLDER:
                continue
            owner = importlib.import_module(replacement.module)
            found[replacement.module] = dict(vars(owner))
            for parent in replacement._attribute.split(".")[:-1]:
                owner = getattr(owner, parent)
                found[f"{replacement.module}:{parent}"] = dict(vars(owner))
    return found


def assert_restored(name: str, before: dict[str, dict[str, Any]]) -> None:
    """Fail unless what the integration replaces is the identical object again."""
    after = owners(name)
    for owner, attributes in before.items():
        assert after[owner].keys() == attributes.keys()
        assert [key for key, value in attributes.items() if after[owner][key] is not value] == []


def test_every_row_has_an_example() -> None:
    assert sorted(EXAMPLES) == ROWS


@pytest.mark.parametrize("name", ROWS)
def test_imported_after_the_patch(name: str, root: Path) -> None:
    code = f"patch({name}=True)\nnames = imported({name!r})\nprint(EXAMPLES[{name!r}].use(names, recorder))"
    assert python(root, code) == 1


@pytest.mark.once
@pytest.mark.parametrize("name", ROWS)
def test_imported_after_an_unpatch(name: str, root: Path) -> None:
    code = (
        f"patch({name}=True)\nunpatch()\nnames = imported({name!r})\n"
        f"not_yet = EXAMPLES[{name!r}].use(names, recorder)\n"
        f"patch({name}=True)\nprint(json.dumps([not_yet, EXAMPLES[{name!r}].use(imported({name!r}), recorder)]))"
    )
    assert python(root, code) == [0, 1]


@pytest.mark.parametrize("name", ROWS)
def test_imported_before_the_patch(name: str, imported: Imported, recorder: Recorder) -> None:
    names = imported(name)
    assert EXAMPLES[name].use(names, recorder) == 0
    patch(**{name: True})
    assert EXAMPLES[name].use(names, recorder) == 1
    assert EXAMPLES[name].use(imported(name), recorder) == 1


def test_module_level_names_are_rebound(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    application = ModuleType("application")
    exec("from sqlite3 import connect as open_database\nfrom sqlite3.dbapi2 import connect", application.__dict__)
    monkeypatch.setitem(sys.modules, "application", application)
    before = application.open_database
    patch(sqlite3=True)
    for name in ("open_database", "connect"):
        assert EXAMPLES["sqlite3"].use({"connect": getattr(application, name)}, recorder) == 1
    unpatch("sqlite3")
    assert application.open_database is before
    assert application.connect is before


@pytest.mark.parametrize("name", ROWS)
def test_patched_twice(name: str, imported: Imported, recorder: Recorder) -> None:
    names = imported(name)
    patch(**{name: True})
    patched = owners(name)
    patch(**{name: True})
    patch_all(**OTHER_ROWS_OFF[name])
    assert EXAMPLES[name].use(names, recorder) == 1
    assert owners(name) == patched


@pytest.mark.parametrize("name", ROWS)
def test_undone(name: str, imported: Imported, recorder: Recorder) -> None:
    names = imported(name)
    before = owners(name)
    for _ in range(3):
        patch(**{name: True})
        assert owners(name) != before
        unpatch(name)
    assert_restored(name, before)
    assert EXAMPLES[name].use(names, recorder) == 0
    patch(**{name: True})
    assert EXAMPLES[name].use(names, recorder) == 1


@pytest.mark.once
@pytest.mark.parametrize("name", ROWS)
def test_a_hundred_cycles(name: str, imported: Imported, recorder: Recorder) -> None:
    names = imported(name)
    before = owners(name)
    for _ in range(100):
        patch(**{name: True})
        unpatch(name)
    assert_restored(name, before)
    patch(**{name: True})
    assert EXAMPLES[name].use(names, recorder) == 1


@pytest.mark.parametrize("name", sorted(ROWS))
def test_undone_below_somebody_elses_patch(name: str, imported: Imported, recorder: Recorder) -> None:
    """Theirs stays where it is; ours does nothing any more, and does not nest when it is switched on again."""
    names = imported(name)
    integration = importlib.import_module(TABLE[name].loads).integration
    owner = owner_of(integration.replacements[0])
    attribute = integration.replacements[0]._attribute.rpartition(".")[2]
    patch(**{name: True})
    ours = getattr(owner, attribute)

    def theirs(*args: Any, **kwargs: Any) -> Any:
        return ours(*args, **kwargs)

    with pytest.MonkeyPatch.context() as application:
        application.setattr(owner, attribute, theirs)
        names.update({key: theirs for key, value in names.items() if value is ours})
        unpatch(name)
        assert getattr(owner, attribute) is theirs
        assert EXAMPLES[name].use(names, recorder) == 0
        patch(**{name: True})
        assert EXAMPLES[name].use(names, recorder) == 1
    names.update({key: ours for key, value in names.items() if value is theirs})
    assert EXAMPLES[name].use(names, recorder) == 1


def owner_of(replacement: Any) -> Any:
    """Return the module or class that *replacement* changes."""
    owner: Any = importlib.import_module(replacement.module)
    for parent in replacement._attribute.split(".")[:-1]:
        owner = getattr(owner, parent)
    return owner


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ROWS)
def test_the_applications_error_is_unchanged(
    name: str, kind: type[BaseException], imported: Imported, recorder: Recorder
) -> None:
    if kind is KeyboardInterrupt and name in LOOPS:
        pytest.skip("asyncio and a pool's threads handle it in their own way")
    if name == "quart" and sys.version_info < (3, 11):
        pytest.skip("Quart 0.20, the last one for it, answers every error")
    names = imported(name)
    plain = caught(name, names, kind("theirs"))
    patch(**{name: True})
    error = kind("theirs")
    traced = caught(name, names, error)
    assert traced is error
    assert error.args == ("theirs",)
    assert vars(error) == vars(plain)
    assert type(error.__context__) is type(plain.__context__)
    assert type(error.__cause__) is type(plain.__cause__)
    assert error.__suppress_context__ is plain.__suppress_context__
    recorder.take()


def caught(name: str, names: Names, error: BaseException) -> BaseException:
    """Return what the example's failing call raises."""
    logging.raiseExceptions = True
    try:
        EXAMPLES[name].fail(names, error)
    except BaseException as found:
        return found
    raise AssertionError("nothing was raised")


def test_nothing_is_imported_by_patch_all(root: Path) -> None:
    code = (
        "import wrapt\n"  # which imports asyncio, and that logging
        "from ddmiddleware.integrations import TABLE\n"
        "before = set(sys.modules)\n"
        "patch_all()\n"
        "print(json.dumps(sorted(set(sys.modules) - before - {'ddmiddleware.integrations.logging'})))"
    )
    found = python(root, code)
    assert [name for name in found if name.partition(".")[0] in TABLE or name.startswith("concurrent")] == []
    assert [name for name in found if not name.startswith("ddmiddleware.") and name not in ("types", "copy")] == []


def test_no_thread_and_little_time(root: Path) -> None:
    code = (
        "import threading, time\n"
        "import wrapt\n"
        "start = time.process_time()\n"
        "patch_all()\n"
        "spent = time.process_time() - start\n"
        "print(json.dumps([spent, threading.active_count()]))"
    )
    spent, threads = min(python(root, code) for _ in range(3))
    assert spent < 0.06
    assert threads == 1


def test_unknown_names_are_reported_and_others_patched(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DD_PATCH_MODULES", "nonsense:true,more:false")
    with caplog.at_level(logging.WARNING, "ddmiddleware"):
        patch_all(cassandra2=True, other=False)
        patch(third=True, httpx=True)
    assert sorted(record.getMessage() for record in caplog.records) == [
        "ddmiddleware: there is no integration called 'cassandra2'; it is not traced",
        "ddmiddleware: there is no integration called 'nonsense'; it is not traced",
        "ddmiddleware: there is no integration called 'third'; it is not traced",
    ]
    assert [name for name in ROWS if not is_on(name)] == OFF


def test_off_in_the_middle(imported: Imported, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracer that is switched off costs no span, with everything patched."""
    patch_all()
    monkeypatch.setattr(default_tracer, "enabled", False)
    for name in set(ROWS) - {"futures", "gevent", "logging", "loguru", "structlog", "threading"}:
        assert EXAMPLES[name].use(imported(name), recorder) == 0
    assert default_settings["DD_TRACE_ENABLED"]
