"""structlog's entries, however it was configured."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog.processors import JSONRenderer, KeyValueRenderer

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import Span, default_settings, default_tracer
from tests.integrations.likeness import outcomes
from tests.integrations.recorder import Recorder

Entries = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> Iterator[None]:
    default_settings["DD_ENV"] = "test"
    default_settings["DD_VERSION"] = "1.2"
    patch(structlog=True)
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    recorder.take()


class Log:
    """What a logger writes."""

    def __init__(self) -> None:
        self.text = io.StringIO()

    def factory(self, *_args: Any) -> Any:
        return structlog.PrintLogger(self.text)

    def entries(self) -> Entries:
        return [json.loads(line) for line in self.text.getvalue().splitlines()]


@pytest.fixture
def log() -> Log:
    return Log()


def ids(span: Span | None) -> dict[str, str]:
    return {
        "dd.trace_id": f"{span.trace_id:032x}" if span else "0",
        "dd.span_id": str(span.span_id) if span else "0",
        "dd.service": "shop",
        "dd.env": "test",
        "dd.version": "1.2",
    }


def test_configured_before_after_and_never(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    unpatch("structlog")
    logger = structlog.get_logger()
    logger.info("never")
    assert "dd." not in capsys.readouterr().out
    patch(structlog=True)
    logger.info("never")
    assert "dd.trace_id=0" in re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out)
    for again in (False, True):
        if again:
            unpatch("structlog")
        structlog.configure(processors=[JSONRenderer()], logger_factory=log.factory)
        patch(structlog=True)
        with default_tracer.trace("work") as work:
            logger.info("hello", a=1)
        assert log.entries()[-1] == {"a": 1, "event": "hello", **ids(work)}
    logger.info("over")
    assert log.entries()[-1] == {"event": "over", **ids(None)}


def test_what_the_user_configured_stays_as_it_is(log: Log) -> None:
    processors = [JSONRenderer()]
    structlog.configure(processors=processors, logger_factory=log.factory)
    bound = structlog.get_logger().bind(a=1)
    bound.bind(b=2).info("hello")
    assert processors == structlog.get_config()["processors"] == bound._processors
    assert structlog.get_config()["processors"] is processors
    assert bound._processors is processors
    assert structlog.get_context(bound) == {"a": 1}
    assert log.entries() == [{"a": 1, "b": 2, "event": "hello", **ids(None)}]


def test_loggers_cached_on_first_use(log: Log) -> None:
    structlog.configure(processors=[JSONRenderer()], logger_factory=log.factory, cache_logger_on_first_use=True)
    logger = structlog.get_logger()
    for on in (False, True, False):
        (patch(structlog=True) if on else unpatch("structlog"))
        logger.info("hello")
    assert ["dd.trace_id" in entry for entry in log.entries()] == [False, True, False]


def test_the_users_own_keys_go_first(log: Log) -> None:
    def own(_logger: Any, _method: str, event: Any) -> Any:
        event["dd.version"] = "own"
        return event

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, own, JSONRenderer()], logger_factory=log.factory
    )
    structlog.contextvars.bind_contextvars(**{"dd.env": "mine"})
    structlog.get_logger().bind(**{"dd.service": "bound"}).info("hello", **{"dd.trace_id": "7"})
    (entry,) = log.entries()
    assert entry == {
        "event": "hello",
        "dd.span_id": "0",
        "dd.service": "bound",
        "dd.trace_id": "7",
        "dd.env": "mine",
        "dd.version": "own",
    }


@pytest.mark.parametrize(
    "processors",
    [
        [JSONRenderer()],
        [JSONRenderer(), lambda _logger, _method, text: text + ""],
        [structlog.processors.add_log_level, KeyValueRenderer()],
        (structlog.processors.TimeStamper(), structlog.processors.format_exc_info, JSONRenderer()),
        [lambda _logger, _method, event: json.dumps(event)],
    ],
)
def test_lists_of_processors(processors: Any, log: Log) -> None:
    with default_tracer.trace("work") as work:
        structlog.wrap_logger(structlog.PrintLogger(log.text), processors=processors).warning("hello")
    assert all(text in log.text.getvalue() for text in (f"{work.trace_id:032x}", str(work.span_id), "dd.version"))


def test_entries_that_are_dropped_or_fail(log: Log) -> None:
    def drop(*_args: Any) -> Any:
        raise structlog.DropEvent

    def nothing(*_args: Any) -> Any:
        return None

    structlog.wrap_logger(structlog.PrintLogger(log.text), processors=[drop, JSONRenderer()]).info("hello")
    assert log.text.getvalue() == ""
    logger = structlog.wrap_logger(structlog.PrintLogger(log.text), processors=[nothing, nothing])
    with pytest.raises(ValueError, match="Last processor"):
        logger.info("hello")


def test_where_an_entry_comes_from(log: Log) -> None:
    """Processors that look for the caller find the caller."""
    names = structlog.processors.CallsiteParameter
    caller = structlog.processors.CallsiteParameterAdder([names.FUNC_NAME, names.MODULE])
    stack = structlog.processors.StackInfoRenderer()
    structlog.configure(processors=[caller, stack, JSONRenderer()], logger_factory=log.factory)
    structlog.get_logger().info("hello", stack_info=True)
    (entry,) = log.entries()
    assert (entry["func_name"], entry["module"]) == ("test_where_an_entry_comes_from", "test_structlog")
    assert "integrations/structlog.py" not in entry["stack"]
    assert entry["stack"].rstrip().endswith('structlog.get_logger().info("hello", stack_info=True)')


def test_captured_entries_are_the_users(log: Log) -> None:
    structlog.configure(processors=[JSONRenderer()], logger_factory=log.factory)
    with structlog.testing.capture_logs() as captured:
        structlog.get_logger().info("hello", a=1)
    assert captured == [{"a": 1, "event": "hello", "log_level": "info"}]


def test_asynchronous_methods(log: Log) -> None:
    structlog.configure(processors=[JSONRenderer()], logger_factory=log.factory)

    async def main() -> Span:
        with default_tracer.trace("work") as work:
            await structlog.get_logger().ainfo("hello")
            return work

    work = asyncio.run(main())
    assert log.entries() == [{"event": "hello", **ids(work)}]


def _handler(log: Log, formatter: logging.Formatter) -> logging.Logger:
    handler = logging.StreamHandler(log.text)
    handler.setFormatter(formatter)
    logger = logging.getLogger("shop.structlog")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    return logger


@pytest.mark.parametrize("chain", [None, [], [structlog.stdlib.add_log_level]])
@pytest.mark.parametrize("with_logging", [True, False])
def test_through_logging(with_logging: bool, chain: Any, log: Log) -> None:
    """Entries, and records of logging that structlog formats, with its integration and without."""
    if with_logging:
        patch(logging=True)
    wrap = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, wrap],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    formatter = structlog.stdlib.ProcessorFormatter(processor=JSONRenderer(), foreign_pre_chain=chain)
    logger = _handler(log, formatter)
    with default_tracer.trace("work") as work:
        structlog.get_logger("shop.structlog").info("entry", a=1)
        structlog.get_logger("shop.structlog").debug("filtered")
        logger.info("record")
    level = {"level": "info"} if chain else {}
    assert log.entries() == [{"a": 1, "event": "entry", **ids(work)}, {"event": "record", **level, **ids(work)}]
    unpatch("structlog")
    assert formatter.foreign_pre_chain is chain
    assert vars(formatter)["foreign_pre_chain"] is chain


def test_as_arguments_of_logging(log: Log) -> None:
    patch(logging=True)
    logger = _handler(log, logging.Formatter("%(message)s %(a)s %(dd.trace_id)s"))
    structlog.wrap_logger(logger, processors=[structlog.stdlib.render_to_log_kwargs]).info("hello", a=1)
    assert log.text.getvalue() == "hello 1 0\n"


def test_switched_off_by_its_setting() -> None:
    unpatch("structlog")
    default_settings["DD_LOGS_INJECTION"] = False
    formatter = structlog.stdlib.ProcessorFormatter
    before = vars(structlog.BoundLoggerBase)["_process_event"]
    patch(structlog=True)
    assert vars(structlog.BoundLoggerBase)["_process_event"] is before
    assert "foreign_pre_chain" not in vars(formatter)


def _picky(_logger: Any, _method: str, event: Any) -> Any:
    if event["event"] == "fail":
        raise OSError(5, "theirs") from LookupError("first")
    if event["event"] == "drop":
        raise structlog.DropEvent
    return event


def _rendered(logger: Any, method: str, event: Any) -> Any:
    return 7 if event["event"] == "number" else JSONRenderer()(logger, method, event)


def _caught(logger: Any) -> Any:
    try:
        {}["missing"]
    except KeyError:
        return logger.exception("hello")


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "entry": lambda log: log.info("hello", a=1),
    "arguments": lambda log: log.warning("hello %s", "you"),
    "bound": lambda log: log.bind(a=1).bind(b=2).unbind("a").try_unbind("c").new(d=3).info("hello"),
    "context": lambda log: structlog.get_context(log.bind(a=1)),
    "context of all": lambda log: structlog.contextvars.bound_contextvars(b=2)(log.info)("hello"),
    "level": lambda log: log.debug("hello"),
    "by number": lambda log: log.log(logging.ERROR, "hello"),
    "exception": _caught,
    "stack": lambda log: log.info("hello", stack_info=False),
    "no json": lambda log: log.info("hello", a=object),
    "awaited": lambda log: asyncio.run(log.ainfo("hello")),
    "no event": lambda log: log.info(),
    "event twice": lambda log: log.info("hello", event="again"),
    "not bound": lambda log: log.unbind("a"),
    "no such level": lambda log: log.nonsense("hello"),
    "an error of theirs": lambda log: log.info("fail"),
    "dropped": lambda log: log.info("drop"),
    "not text": lambda log: log.info("number"),
}


@pytest.mark.parametrize("level", [logging.NOTSET, logging.INFO])
def test_same_results_with_and_without(level: int) -> None:
    """Entries are the same but for what is ours."""
    chain = [structlog.contextvars.merge_contextvars, _picky, structlog.processors.add_log_level]
    structlog.configure(
        processors=[*chain, structlog.processors.format_exc_info, _rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    unpatch("structlog")
    without = outcomes(OPERATIONS, structlog.get_logger())
    patch(structlog=True)
    with_us = outcomes(OPERATIONS, structlog.get_logger())
    entries = [name for name, result in without.items() if isinstance(result, str)]
    assert len(entries) >= 7
    assert all('"dd.trace_id": "0"' in with_us[name] for name in entries)
    ours = re.compile(r', "dd\.\w+": "[^"]*"')
    assert {name: ours.sub("", found) if name in entries else found for name, found in with_us.items()} == without
