"""The wall between our mistakes and the application."""

from __future__ import annotations

import pytest

from ddmiddleware.tracing import default_settings
from ddmiddleware.tracing.guard import Guard


@pytest.fixture
def guard() -> Guard:
    guard = Guard()
    guard.raises = False
    return guard


def _fail(guard: Guard) -> None:
    with guard:
        raise LookupError("ours")


def test_it_swallows_counts_and_reports_each_place_once(guard: Guard, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        _fail(guard)
    with guard, guard:
        raise ValueError("elsewhere")
    assert guard.errors == 4
    messages = [record.getMessage() for record in caplog.records]
    assert [message.rpartition(" ")[2] for message in messages] == ["LookupError", "ValueError"]
    assert all(__file__ in message and "\n" not in message for message in messages)


def test_how_long_the_same_is_not_said_again(
    guard: Guard, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(default_settings._values, "DD_TRACE_LOGGING_RATE", 0.0)
    for _ in range(3):
        _fail(guard)
    assert len(caplog.records) == 3


@pytest.mark.parametrize("leave", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_mistake_goes_through(guard: Guard, leave: type[BaseException]) -> None:
    with pytest.raises(leave), guard:
        raise leave
    assert guard.errors == 0


def test_it_raises_in_tests(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_TESTING_RAISE", "true")
    with pytest.raises(LookupError):
        _fail(Guard())
