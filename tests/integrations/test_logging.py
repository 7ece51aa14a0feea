"""Log records and their formats."""

from __future__ import annotations

import io
import logging
import logging.config
import logging.handlers
import pickle
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ddmiddleware import patch, unpatch
from ddmiddleware.tracing import Span, default_settings, default_tracer
from tests.integrations.likeness import outcomes
from tests.integrations.recorder import Recorder

FORMATS = {
    "%": "%(message)s %(dd.service)s %(dd.trace_id)s %(dd.span_id)s %(dd.env)s|%(dd.version)s",
    "{": "{message} {dd.service} {dd.trace_id} {dd.span_id} {dd.env}|{dd.version}",
    "$": "$message $dd_service ${dd_trace_id} $dd_span_id $dd_env|$dd_version",
}


@pytest.fixture(autouse=True)
def _patched(recorder: Recorder) -> Iterator[None]:
    default_settings["DD_ENV"] = "test"
    default_settings["DD_VERSION"] = "1.2"
    patch(logging=True)
    yield
    logging.setLogRecordFactory(logging.LogRecord)
    recorder.take()


class Log:
    """A logger that writes to a text."""

    def __init__(self, style: Any) -> None:
        self._text = io.StringIO()
        handler = logging.StreamHandler(self._text)
        handler.setFormatter(logging.Formatter(FORMATS[style], style=style, validate=style != "%"))
        self.logger = logging.Logger("shop")
        self.logger.addHandler(handler)

    def lines(self) -> list[str]:
        return self._text.getvalue().splitlines()


def line(span: Span | None, message: str = "hello") -> str:
    ids = f"{span.trace_id:032x} {span.span_id}" if span else "0 0"
    return f"{message} shop {ids} test|1.2"


@pytest.fixture(params=sorted(FORMATS))
def log(request: pytest.FixtureRequest) -> Log:
    return Log(request.param)


def test_every_style(log: Log) -> None:
    log.logger.warning("hello")
    with default_tracer.trace("work") as work:
        log.logger.warning("%s", "hello")
        with default_tracer.trace("inner") as inner:
            log.logger.warning("hello")
        try:
            raise ValueError("theirs")
        except ValueError:
            log.logger.exception("hello")
    lines = log.lines()
    assert lines[:4] == [line(None), line(work), line(inner), line(work)]
    assert lines[-1] == "ValueError: theirs"


def test_a_record_made_before_the_patch(log: Log) -> None:
    unpatch("logging")
    record = logging.getLogger("shop").makeRecord("shop", 30, "file", 1, "hello", (), None)
    assert not hasattr(record, "dd.trace_id")
    patch(logging=True)
    log.logger.handle(record)
    log.logger.handle(logging.makeLogRecord({"msg": "made", "levelno": 30}))
    assert log.lines() == [line(None), line(None, "made")]


def test_an_application_that_sets_its_own_factory(log: Log) -> None:
    class Record(logging.LogRecord):
        pass

    logging.setLogRecordFactory(Record)
    assert logging.getLogRecordFactory() is Record
    with default_tracer.trace("work") as work:
        log.logger.warning("hello")
    assert log.lines() == [line(work)]


def test_a_callers_own_fields_go_first(log: Log) -> None:
    with default_tracer.trace("work"):
        own = {**default_tracer.get_log_correlation_context(), "dd.trace_id": "mine"}
        log.logger.warning("hello", extra=own)
    assert log.lines()[0].split()[2] == "mine"


def test_fields_are_added_once_and_are_text() -> None:
    record = logging.getLogger("shop").makeRecord("shop", 30, "file", 1, "hello", (), None)
    ours = {name: value for name, value in vars(record).items() if name.startswith("dd")}
    assert ours == {"dd.trace_id": "0", "dd.span_id": "0", "dd.service": "shop", "dd.env": "test", "dd.version": "1.2"}
    before = dict(vars(record))
    for style in FORMATS:
        Log(style).logger.handle(record)
    assert {name: value for name, value in vars(record).items() if name not in before} == {"message": "hello"}
    assert pickle.loads(pickle.dumps(record)).__dict__ == record.__dict__


def test_configured_by_a_dictionary(capsys: pytest.CaptureFixture[str]) -> None:
    formatters = {name: {"format": text, "style": name, "validate": False} for name, text in FORMATS.items()}
    handlers = {
        name: {"class": "logging.StreamHandler", "formatter": name, "stream": "ext://sys.stdout"} for name in FORMATS
    }
    loggers = {"shop.configured": {"handlers": [*FORMATS], "propagate": False}}
    config = {"version": 1, "formatters": formatters, "handlers": handlers, "loggers": loggers}
    logging.config.dictConfig({**config, "disable_existing_loggers": False})
    with default_tracer.trace("work") as work:
        logging.getLogger("shop.configured").warning("hello")
    assert capsys.readouterr().out.splitlines() == [line(work)] * 3
    logging.getLogger("shop.configured").handlers.clear()


def test_through_a_queue() -> None:
    """The ids are those of the thread that logged."""
    waiting: queue.Queue[Any] = queue.Queue()
    logger = logging.Logger("shop")
    logger.addHandler(logging.handlers.QueueHandler(waiting))
    with default_tracer.trace("work") as work:
        logger.warning("hello")
    log = Log("%")
    log.logger.handle(waiting.get_nowait())
    assert log.lines() == [line(work)]


def test_where_a_record_comes_from(caplog: pytest.LogCaptureFixture) -> None:
    """The caller's file and function are still the caller's."""
    logging.getLogger("shop").warning("hello")
    logging.getLogger("shop").warning("hello", stack_info=True, stacklevel=1)
    assert {(record.filename, record.funcName) for record in caplog.records} == {
        ("test_logging.py", "test_where_a_record_comes_from")
    }
    assert "integrations/logging.py" not in str(caplog.records[1].stack_info)


def test_a_format_that_fails_fails_as_before() -> None:
    record = logging.makeLogRecord({"msg": "hello"})
    formatter = logging.Formatter("%(missing)s")
    unpatch("logging")
    with pytest.raises(ValueError, match="missing") as plain:
        formatter.format(record)
    patch(logging=True)
    with pytest.raises(ValueError, match="missing") as patched:
        formatter.format(record)
    assert str(patched.value) == str(plain.value)
    assert type(patched.value.__context__) is KeyError


def test_switched_off_by_its_setting() -> None:
    unpatch("logging")
    default_settings["DD_LOGS_INJECTION"] = False
    before = vars(logging.Logger)["makeRecord"], vars(logging.PercentStyle)["format"]
    patch(logging=True)
    assert (vars(logging.Logger)["makeRecord"], vars(logging.PercentStyle)["format"]) == before


class Kept(logging.Handler):
    """A handler that keeps what is printed, and lets errors through."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += self.format(record).splitlines()


def caught(logger: logging.Logger) -> None:
    try:
        {}["missing"]
    except KeyError:
        logger.exception("hello")


def refused(logger: logging.Logger) -> None:
    def fail(*_args: Any, **_fields: Any) -> Any:
        raise LookupError("theirs")

    logging.setLogRecordFactory(fail)
    try:
        logger.warning("hello")
    finally:
        logging.setLogRecordFactory(logging.LogRecord)


def fields(record: logging.LogRecord) -> list[str]:
    return sorted(name for name in vars(record) if not name.startswith("dd."))


LOGGED: dict[str, Callable[[Any], Any]] = {
    "text": lambda log: log.warning("hello"),
    "arguments": lambda log: log.warning("%s %(a)s", {"a": 1}),
    "a dictionary": lambda log: log.warning("%(a)s", {"a": 1}),
    "wrong arguments": lambda log: log.warning("%d", "x"),
    "too many": lambda log: log.warning("hello", 1),
    "own fields": lambda log: log.warning("hello", extra={"added": 1}),
    "fields that are taken": lambda log: log.warning("hello", extra={"message": 1}),
    "no fields": lambda log: log.warning("hello", extra=3),
    "exception": caught,
    "exception by hand": lambda log: log.error("hello", exc_info=ValueError("theirs")),
    "not wanted": lambda log: log.debug("hello"),
    "no level": lambda log: log.log("high", "hello"),
    "wrong keyword": lambda log: log.warning("hello", nonsense=1),
    "no text": lambda log: log.warning(),
    "an object": lambda log: log.warning([1]),
    "adapter": lambda log: logging.LoggerAdapter(log, {"added": 1}).warning("hello"),
    "filter": lambda log: (log.addFilter(lambda _: False), log.warning("hello"), log.filters.clear()),
    "a record": lambda log: fields(log.makeRecord("shop", 30, "file", 1, "hello", (), None)),
    "no record": lambda log: log.makeRecord(),
    "made by hand": lambda log: log.handle(logging.makeLogRecord({"msg": "made", "levelno": 30})),
    "a factory that fails": refused,
    "pickled": lambda log: pickle.loads(pickle.dumps(log.makeRecord("s", 30, "f", 1, "%d", (1,), None))).getMessage(),
}
# The second have a field that most records lack.
PLAIN = {
    "%": ("%(levelname)s %(message)s %(funcName)s", "%(message)s %(added)s"),
    "{": ("{levelname} {message} {funcName}", "{message} {added}"),
    "$": ("$levelname ${message} $funcName", "$message $added"),
}


@pytest.mark.parametrize("style", sorted(PLAIN))
@pytest.mark.parametrize("number", [0, 1])
def test_same_results_with_and_without(style: Any, number: int) -> None:
    """Also what is printed, and what a field that is not there raises."""

    def found() -> tuple[dict[str, Any], list[str]]:
        logger, kept = logging.Logger("shop", logging.INFO), Kept()
        kept.setFormatter(logging.Formatter(PLAIN[style][number], style=style))
        logger.addHandler(kept)
        with default_tracer.trace("work"):
            return outcomes(LOGGED, logger), kept.lines

    unpatch("logging")
    without = found()
    patch(logging=True)
    assert found() == without
    assert (len(without[1]) > 12) is not bool(number)
    assert "hello 1" in without[1] or not number
