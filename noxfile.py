"""The core suites on every supported Python that is present: ``nox``, or ``nox -s core-3.12``; ``nox -s older``."""

import os
import sys
import tempfile

import nox

nox.options.error_on_missing_interpreters = False
CORE = (
    "tests/tracer",
    "tests/integrations",
    "tests/middleware",
    "tests/profiler",
    "tests/face",
    "tests/test_layout.py",
)
# What is pure Python takes most of the time: the middleware runs on the main and the newest version, the integrations
# on the oldest too. What is written in C runs on all.
ROOMS = {
    "3.10": tuple(room for room in CORE if room != "tests/middleware"),
    "3.12": tuple(room for room in CORE if room not in ("tests/middleware", "tests/integrations")),
}
MAIN = "3.11"  # whose tests .ci/run runs whole
# Where what is patched differs from one version to the next.
OLDER = {
    "pymongo": ("3.12.3", "4.0", "4.6", "4.9", "4.13", "4.17"),
    "elasticsearch": ("7.9.1", "7.17.12"),
    "sqlalchemy": ("1.4.54",),
    "celery": ("5.3.6",),
    "redis": ("4.6.0",),
}
OLDER_TESTS = {
    "celery": ("celery", "kombu"),
    "elasticsearch": ("elasticsearch7",),
    "pymongo": ("pymongo", "pymongo_asyncio"),
    "redis": ("redis", "redis_asyncio", "redis_cluster"),
}
# What a library was made for, where the newest is too new for it.
OLDER_NEEDS = {"celery": ("kombu==5.3.7",)}


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def core(session: nox.Session) -> None:
    """Run the tests that depend on the interpreter, against an installed copy."""
    session.install("-e", ".[dev,dev-native]" if os.environ.get("REQUIRE_SERVICES") == "1" else ".[dev]")
    less, fewer = (
        ([], {}) if session.python == MAIN else (["-m", "not once"], {"RANDOM_REQUESTS": "1000", "EXAMPLES": "100"})
    )
    cache = f"cache_dir=.nox/pytest-{session.python}"  # of what failed: others run beside it
    rooms = ROOMS.get(session.python, CORE)
    session.run("python", "-m", "pytest", "-o", cache, *less, *rooms, *session.posargs, env=fewer)


@nox.session(venv_backend="none")
def older(session: nox.Session) -> None:
    """Run the tests of a library against older versions, each before what is installed beside nox."""
    for library, versions in OLDER.items():
        for version in versions:
            with tempfile.TemporaryDirectory() as folder:
                needs = OLDER_NEEDS.get(library, ())
                wanted = ("--no-deps", "--target", folder, f"{library}=={version}", *needs)
                session.run(sys.executable, "-m", "pip", "install", "-q", *wanted)
                tests = [f"tests/integrations/test_{name}.py" for name in OLDER_TESTS.get(library, (library,))]
                command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
                session.run(*command, env={"PYTHONPATH": folder})
