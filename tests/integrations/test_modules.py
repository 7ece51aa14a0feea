"""Modules and distributions in every state: too old, half imported, lazy, missing, odd."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from ddmiddleware import patch, patch_all, unpatch
from ddmiddleware.integrations._patching import Integration
from ddmiddleware.integrations._versions import installed, supported


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("0.0.1", False),
        ("99.0", True),
        ("1.2rc1+local", False),
        (None, True),
        ("2", True),
        ("2.0.0", True),
        ("1.99.9", False),
        ("1!0.1", False),
        ("v2.1", True),
        ("nonsense", True),
        ("", True),
    ],
)
def test_versions(
    version: Any, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / f"fakelib-{'x' if version is None else 1}.dist-info"
    directory.mkdir()
    line = "" if version is None else f"Version: {version}\n"
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fakelib\n{line}")
    (tmp_path / "fakelib.py").write_text("def call():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "fakelib", raising=False)
    integration = Integration("fakelib", requires="fakelib>=2.0")
    integration.traces("fakelib:call", name="fake")(lambda _call: None)
    import fakelib  # type: ignore[import-not-found]

    before = fakelib.call
    with caplog.at_level(logging.WARNING, "ddmiddleware"):
        integration.patch()
        integration.patch()
    assert (fakelib.call is not before) is good
    integration.unpatch()
    message = f"ddmiddleware: fakelib {version} is not traced: version 2.0 or newer is needed"
    assert [record.getMessage() for record in caplog.records] == ([] if good else [message])
    monkeypatch.delitem(sys.modules, "fakelib")


def test_a_library_by_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has psycopg2-binary has psycopg2."""
    directory = tmp_path / "psycopg2_binary-2.7.7.dist-info"
    directory.mkdir()
    (directory / "METADATA").write_text("Metadata-Version: 2.1\nName: psycopg2-binary\nVersion: 2.7.7\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with caplog.at_level(logging.WARNING, "ddmiddleware"):
        assert not supported("psycopg", "psycopg2>=2.8")
        assert supported("psycopg", "psycopg2>=2.7")
    message = "ddmiddleware: psycopg 2.7.7 is not traced: version 2.8 or newer is needed"
    assert [record.getMessage() for record in caplog.records] == [message]
    newer = tmp_path / "psycopg2-2.9.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: psycopg2\nVersion: 2.9\n")
    importlib.invalidate_caches()
    assert installed("psycopg2>=2.8") == "2.9"


def test_what_is_not_installed_counts_as_supported() -> None:
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("no-such-distribution")
    assert supported("x", "no-such-distribution>=1")


def test_a_module_that_another_thread_is_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for."""
    (tmp_path / "slow_library.py").write_text(
        "import threading\nstarted = threading.Event()\ngo_on = threading.Event()\n"
        "started.set()\nassert go_on.wait(10)\n\ndef call():\n    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    integration = Integration("slow_library")
    integration.traces("slow_library:call", name="x")(lambda call: None)
    importing = threading.Thread(target=importlib.import_module, args=("slow_library",))
    importing.start()
    deadline = time.monotonic() + 10
    while not hasattr(sys.modules.get("slow_library"), "started"):
        assert time.monotonic() < deadline
    patching = threading.Thread(target=integration.patch)
    patching.start()
    sys.modules["slow_library"].go_on.set()
    importing.join()
    patching.join()
    assert hasattr(sys.modules["slow_library"].call, "__wrapped__")
    integration.unpatch()
    assert not hasattr(sys.modules["slow_library"].call, "__wrapped__")
    del sys.modules["slow_library"]


def test_many_threads_patch_and_import_at_once(root: Path, tmp_path: Path) -> None:
    import subprocess

    code = (
        "import threading, importlib, sys\n"
        "from ddmiddleware import patch_all\n"
        "barrier = threading.Barrier(8)\n"
        "names = ['redis', 'requests', 'httpx', 'sqlite3']\n"
        "def work(number):\n"
        "    barrier.wait()\n"
        "    patch_all() if number % 2 else importlib.import_module(names[number // 2])\n"
        "threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join(30) for thread in threads]\n"
        "import redis, requests, httpx, sqlite3\n"
        "once = [redis.Redis.execute_command, requests.Session.send, httpx.Client.send, sqlite3.connect]\n"
        "import inspect\n"
        "seen = []\n"
        "for function in once:\n"
        "    inspect.unwrap(function, stop=lambda f: seen.append(getattr(f, '__code__', None)))\n"
        "seen = [code.co_filename for code in seen if code]\n"
        "assert [name.endswith('_traced.py') for name in seen].count(True) == 3, seen\n"
        "assert [name.endswith('sqlite3.py') for name in seen].count(True) == 1, seen\n"
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], cwd=root, capture_output=True, text=True, timeout=60
        )
        assert not done.stderr, done.stderr
        assert done.returncode == 0


def test_a_lazy_module_stays_unloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy_application.py").write_text("raise RuntimeError('loaded')\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec("lazy_application")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy_application", module)
    spec.loader.exec_module(module)
    patch(sqlite3=True)
    unpatch("sqlite3")
    with pytest.raises(RuntimeError, match="loaded"):
        module.anything  # noqa: B018 (the load is meant)


def test_odd_entries_of_sys_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        __slots__ = ()

        def __getattr__(self, name: str) -> Any:
            raise LookupError

    monkeypatch.setitem(sys.modules, "odd_module", Odd())
    monkeypatch.setitem(sys.modules, "blocked_module", None)
    patch_all()
    unpatch()


def test_waiting_for_an_import_does_not_pile_up() -> None:
    import wrapt.importer  # type: ignore[import-untyped, unused-ignore]

    integration = Integration("never_imported")
    integration.traces("never_imported:call", name="x")(lambda call: None)
    for _ in range(100):
        integration.patch()
        integration.unpatch()
    assert len(wrapt.importer._post_import_hooks["never_imported"]) == 1
