"""The core suites on every supported Python that is present: ``nox``, or ``nox -s core-3.12``."""

import os

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
MAIN = "3.11"  # whose tests .ci/run runs whole


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def core(session: nox.Session) -> None:
    """Run the tests that depend on the interpreter, against an installed copy."""
    session.install("-e", ".[dev,dev-native]" if os.environ.get("REQUIRE_SERVICES") == "1" else ".[dev]")
    less, fewer = ([], {}) if session.python == MAIN else (["-m", "not once"], {"RANDOM_REQUESTS": "1000"})
    session.run("python", "-m", "pytest", *less, *(session.posargs or CORE), env=fewer)
