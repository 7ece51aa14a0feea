"""loguru's records, however its logger was configured."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import Span, default_settings, default_tracer
from tests.integrations.likeness import outcomes
from tests.integrations.recorder import Recorder

FORMAT = "{message} {extra[dd.service]} {extra[dd.trace_id]} {extra[dd.span_id]} {extra[dd.env]}|{extra[dd.version]}"


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> Iterator[None]:
    default_settings["DD_ENV"] = "test"
    default_settings["DD_VERSION"] = "1.2"
    logger.remove()
    patch(loguru=True)
    yield
    logger.remove()
    logger.configure(extra={}, patcher=lambda record: None)
    recorder.take()


@pytest.fixture
def lines() -> list[str]:
    """What is written with FORMAT; whatever fails in there is raised."""
    found: list[str] = []
    logger.add(lambda text: found.append(text.rstrip("\n")), format=FORMAT, catch=False)
    return found


def line(span: Span | None, message: str = "hello", service: str = "shop") -> str:
    ids = f"{span.trace_id:032x} {span.span_id}" if span else "0 0"
    return f"{message} {service} {ids} test|1.2"


def test_with_and_without_a_trace(lines: list[str]) -> None:
    logger.info("hello")
    with default_tracer.trace("work") as work:
        logger.info("hello")
        with default_tracer.trace("inner") as inner:
            logger.opt(lazy=True).info("{}", lambda: "hello")
        with logger.catch(message="hello"):
            raise ValueError("theirs")
    assert [text.partition("\n")[0] for text in lines] == [line(None), line(work), line(inner), line(work)]


def test_bound_patched_and_contextualized(lines: list[str]) -> None:
    def theirs(record: Any) -> None:
        record["extra"]["seen"] = record["extra"]["dd.trace_id"]

    seen: list[str] = []
    logger.add(lambda text: seen.append(str(text)), format="{extra[seen]} {extra[a]} {extra[b]}", catch=False)
    with default_tracer.trace("work") as work, logger.contextualize(b=2):
        logger.bind(a=1).patch(theirs).info("hello")
    assert lines == [line(work)]
    assert seen == [f"{work.trace_id:032x} 1 2\n"]


def test_configured_before_and_after(lines: list[str]) -> None:
    def theirs(record: Any) -> None:
        record["message"] += " " + record["extra"].get("dd.trace_id", "-")

    for on in (False, True, False):
        (patch(loguru=True) if on else unpatch("loguru"))
        logger.configure(patcher=theirs, extra={"dd.service": "configured"} if on else dict.fromkeys(_keys(), "x"))
        logger.info("hello")
        assert vars(logger._core)["patcher"] is theirs  # type: ignore[attr-defined]  # loguru's stub hides it
    assert lines == ["hello x x x x x|x", line(None, "hello 0", "configured"), "hello x x x x x|x"]
    assert logger._core.patcher is theirs  # type: ignore[attr-defined]  # as above


def _keys() -> list[str]:
    return list(default_tracer.get_log_correlation_context())


def test_the_users_own_keys_go_first(lines: list[str]) -> None:
    with default_tracer.trace("work"):
        logger.bind(**dict.fromkeys(_keys(), "mine")).info("hello")
        logger.bind(**{"dd.service": "mine"}).info("hello")
    assert lines[0] == "hello mine mine mine mine|mine"
    assert lines[1].startswith("hello mine ")
    assert lines[1].split()[2] != "0"


def test_a_patcher_that_throws_all_away(lines: list[str]) -> None:
    def theirs(record: Any) -> None:
        record["extra"] = {}

    logger.patch(theirs).info("hello")
    assert lines == [line(None)]


def test_serialized() -> None:
    found: list[str] = []
    logger.add(found.append, serialize=True, catch=False)
    with default_tracer.trace("work") as work:
        logger.bind(a=1).info("hello")
    extra = json.loads(found[0])["record"]["extra"]
    assert extra == {
        "a": 1,
        "dd.trace_id": f"{work.trace_id:032x}",
        "dd.span_id": str(work.span_id),
        "dd.service": "shop",
        "dd.env": "test",
        "dd.version": "1.2",
    }


def test_written_by_another_thread() -> None:
    """The ids are those of the thread that logged."""
    found: list[str] = []
    logger.add(lambda text: found.append(text.rstrip("\n")), format=FORMAT, enqueue=True, catch=False)
    with default_tracer.trace("work") as work:
        logger.info("hello")
    logger.complete()
    assert found == [line(work)]


def test_where_a_record_comes_from() -> None:
    """The caller's module and function are still the caller's."""
    found: list[str] = []
    logger.add(lambda text: found.append(text.strip()), format="{name} {function} {file.name}", catch=False)
    logger.info("hello")
    logger.opt(depth=0).info("hello")
    assert found == [f"{__name__} test_where_a_record_comes_from test_loguru.py"] * 2


def test_filters_and_formats_that_are_functions() -> None:
    found: list[str] = []

    def wanted(record: Any) -> bool:
        return bool(record["extra"]["dd.trace_id"] == "0")

    logger.add(found.append, format=lambda record: "{extra[dd.span_id]}" + record["extra"]["dd.env"], filter=wanted)
    logger.info("hello")
    with default_tracer.trace("work"):
        logger.info("hello")
    assert found == ["0test"]


def test_a_copied_logger(lines: list[str]) -> None:
    logger.remove()
    own = copy.deepcopy(logger)
    own.add(lambda text: lines.append(text.rstrip("\n")), format=FORMAT, catch=False)
    own.info("hello")
    assert lines == [line(None)]


def test_switched_off_by_its_setting() -> None:
    unpatch("loguru")
    default_settings["DD_LOGS_INJECTION"] = False
    from loguru._handler import Handler
    from loguru._logger import Core

    before = vars(Handler)["emit"]
    patch(loguru=True)
    assert vars(Handler)["emit"] is before
    assert "patcher" not in vars(Core)


def caught(log: Any) -> None:
    with log.catch(ZeroDivisionError, reraise=True):
        1 // 0  # noqa: B018 - it is to fail


def failing(log: Any, message: str) -> None:
    def sink(_text: str) -> None:
        raise OSError(5, "theirs") from LookupError("first")

    number = log.add(sink, catch=False, format="{message}")
    try:
        log.info(message)
    finally:
        log.remove(number)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "text": lambda log: log.info("hello"),
    "arguments": lambda log: log.info("{} {a}", 1, a=2),
    "missing arguments": lambda log: log.info("{} {}", 1),
    "bound": lambda log: log.bind(a=1).info("hello"),
    "extra": lambda log: log.bind(a=1).patch(lambda record: record["extra"].update(b=2)).info("hello"),
    "a patcher that fails": lambda log: log.patch(lambda record: record["nonsense"]).info("hello"),
    "lazy": lambda log: log.opt(lazy=True).info("{}", lambda: 1),
    "lazy that fails": lambda log: log.opt(lazy=True).info("{}", lambda: 1 // 0),
    "caught": caught,
    "no such level": lambda log: log.log("NONSENSE", "hello"),
    "by number": lambda log: log.log(35, "hello"),
    "no text": lambda log: log.info(),
    "a sink that fails": lambda log: failing(log, "hello"),
    "no such sink": lambda log: log.remove(99),
    "a sink of nonsense": lambda log: log.add(3),
    "context": lambda log: within(log),
}


def within(log: Any) -> None:
    with log.contextualize(a=1):
        log.info("hello")


def test_same_results_with_and_without() -> None:
    """Also what sinks get, but for what is ours."""
    written: list[Any] = []

    def sink(message: Any) -> None:
        extra = {name: value for name, value in message.record["extra"].items() if not name.startswith("dd.")}
        written.append((str(message), extra))

    def found() -> tuple[dict[str, Any], list[Any]]:
        written.clear()
        options = {"catch": False, "backtrace": False, "diagnose": False}
        number = logger.add(sink, format="{level} {message} {function}", **options)
        with default_tracer.trace("work"):
            results = outcomes(OPERATIONS, logger)
        logger.remove(number)
        return results, [*written]

    unpatch("loguru")
    without = found()
    assert len(without[1]) >= 9
    patch(loguru=True)
    assert found() == without
