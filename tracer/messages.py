"""Texts of exceptions without the values that databases put into them.

A traceback's lines of source stay, but for what looks like a secret in any text; the messages between them are read
like a message that stands alone.
"""

from __future__ import annotations

import re

from ddmiddleware.tracing.secrets import Secrets
from ddmiddleware.tracing.sql import without_literals

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable

_DRIVERS = (
    r"(?:sqlite3|psycopg\w*|asyncpg|aiopg|pymysql|aiomysql|asyncmy|MySQLdb|_mysql\w*|mysql|mariadb|oracledb|cx_Oracle|pyodbc"
    r"|pymssql|_mssql|sqlalchemy|django\.db|peewee|pony|tortoise|databases|duckdb|snowflake|vertica_python|clickhouse\w*"
    r"|trino|cassandra|pymongo|bson|mongoengine|redis|rediscluster|aredis|valkey|elasticsearch|opensearchpy)\."
)
_DRIVERS_ERROR = re.compile(_DRIVERS)
_DRIVERS_LINE = re.compile(rf"^[ |+]*(?:\(?{_DRIVERS})", re.MULTILINE)
_HEADER = re.compile(r"[ |+]*(?:Exception Group )?Traceback \(most recent call last\):")
_GROUP = re.compile(r" *\| ?")


def _dropped(_value: str) -> str:
    return "?"


# What begins a value in the message of a known database or library, and what ends it; to the end where nothing does.
_CUTS: tuple[tuple[str, re.Pattern[str], re.Pattern[str], Callable[[str], str]], ...] = tuple(
    (word, re.compile(begin), re.compile(end), change)
    for word, begin, end, change in (
        # SQLAlchemy
        ("[SQL: ", r"\[SQL: ", r"\](?=\s*\Z|\n\[|\n\(|\n\n)", without_literals),
        ("[parameters: ", r"\[parameters: ", r"\](?=\s*\Z|\n\[|\n\(|\n\n)", _dropped),
        # PostgreSQL
        ("Key (", r"Key \([^()]{0,300}\)=\(", r"\)(?= (?:already|is|conflicts)\b)", _dropped),
        ("Failing row contains (", r"Failing row contains \(", r"\)\.?(?=\n|\Z)", _dropped),
        ("LINE ", r"\bLINE \d{1,6}: ", r"\n|\Z", without_literals),
        ("invalid input ", r"invalid input (?:syntax|value) for [\w ]{1,60}: [\"']", r"[\"'](?=\n|\Z)", _dropped),
        # MySQL
        ("Duplicate entry '", r"Duplicate entry '", r"' for key", _dropped),
        ("ncorrect ", r"[Ii]ncorrect [\w ]{1,30} value: '", r"'(?= for )|'(?=\W{0,3}\Z)", _dropped),
        ("near '", r"near '", r"' at line", _dropped),
        # SQLite
        ('near "', r'near "', r'": ', _dropped),
        ('token: "', r'unrecognized token: "', r"\n|\Z", _dropped),
        # Cassandra
        ("alternative at input ", r"alternative at input ", r"\n|\Z", _dropped),
        ("(...", r"\(\.\.\.", r"\.\.\.\)", _dropped),
        # SQL Server, MongoDB, Redis and its client
        ("duplicate key value is (", r"duplicate key value is \(", r"\)\.", _dropped),
        ("dup key: ", r"dup key: ", r"\n|\Z", _dropped),
        ("with args beginning with: ", r"with args beginning with: ", r"\n|\Z", _dropped),
        ("Command # ", r"Command # \d{1,9} \(", r"\)(?= of pipeline)", _dropped),
    )
)
_STATEMENT = re.compile(
    r"\b(?:insert\s{1,20}(?:or\s{1,20}\w{1,20}\s{1,20})?into|(?:delete|select\b[^\n]{1,400}?)\s{1,20}from"
    r"|(?:replace|merge)\s{1,20}into|update\s{1,20}\S{1,100}\s{1,20}set)\s",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"https?://\S+|(?<![\w?.])\d[\d.]*")

_QUOTE = re.compile(r"(?:(?<!\w)|(?<=\b[NEXBnexb]))[\"']")
_CLOSING = {'"': re.compile(r'"(?!\w)'), "'": re.compile(r"'(?!\w)")}
_NAMED = re.compile(
    r"\b(?:relation|table|column|constraint|key|index|schema|database|type|function|sequence|view|trigger) \Z",
    re.IGNORECASE,
)
_NAME = re.compile(r"[^\W\d][\w.$-]{0,100}")
_ARGUMENTS = re.compile(r"\((?:\d{1,6}|\?), \Z")


def message(text: str, secrets: Secrets, database: bool) -> str:
    """Return an exception's message without secrets and values; *database* says that it is one of a database."""
    for word, begin, end, change in _CUTS:
        if word in text:
            text = _cut(text, begin, end, change)
    if database:
        text = _unquoted(text)
    elif found := _STATEMENT.search(text):
        text = text[: found.start()] + _NUMBER.sub(_hide_number, _unquoted(text[found.start() :]))
    return secrets.without(text)


def stack(text: str, secrets: Secrets, database: bool) -> str:
    """Return a traceback, or several of a chain, without secrets and values."""
    parts: list[str] = []
    told: list[str] = []  # the lines of a message
    in_frames = text.startswith("  ")

    def tell() -> None:
        if told:
            said = "\n".join(told)
            parts.append(message(said, secrets, database or _DRIVERS_LINE.search(said) is not None))
            told.clear()

    for line in text.split("\n"):
        if _HEADER.fullmatch(line):
            in_frames = True
            tell()
            parts.append(line)
        elif in_frames and _GROUP.sub("", line, count=1).startswith("  "):
            parts.append(secrets.without(line, source=True))
        else:
            in_frames = False
            told.append(line)
    tell()
    return "\n".join(parts)


def is_drivers(error_type: str) -> bool:
    """Return whether an exception's class, with its module, is one of a database's client."""
    return _DRIVERS_ERROR.match(error_type) is not None


def _cut(text: str, begin: re.Pattern[str], end: re.Pattern[str], change: Callable[[str], str]) -> str:
    parts, done = [], 0
    while found := begin.search(text, done):
        close = end.search(text, found.end())
        parts.append(text[done : found.end()])
        if close is None:
            return "".join(parts) + "?"
        parts.append(change(text[found.end() : close.start()]))
        done = close.start()
    return "".join(parts) + text[done:]


def _hide_number(found: re.Match[str]) -> str:
    return "?" if found[0][0].isdigit() else found[0]


def _unquoted(text: str, inside: bool = False) -> str:
    """Return *text* with ``?`` for what stands in quotes, but for names of tables and the like.

    A quote without an end, or one whose end is not certain, takes the rest with it.
    """
    parts, done = [], 0
    unclosed: set[str] = set()
    while found := _QUOTE.search(text, done):
        start, quote = found.end(), found[0]
        parts.append(text[done : found.start()])
        before = text[max(found.start() - 20, 0) : found.start()]
        close = -1
        if not inside and quote not in unclosed and _ARGUMENTS.search(before):
            close = text.find(quote + ")", start)
            if close < 0:
                unclosed.add(quote)  # so that nothing is searched twice
        if close >= 0:  # the text of an exception with a number and a message
            parts.append(quote + _unquoted(text[start:close], inside=True) + quote)
            done = close + 1
            continue
        closing = _CLOSING[quote].search(text, start)
        if closing is None or text[closing.start() - 1] == "\\":
            return "".join(parts) + "?"
        if _NAMED.search(before) and _NAME.fullmatch(text, start, closing.start()):
            parts.append(text[found.start() : closing.end()])
        else:
            parts.append("?")
        done = closing.end()
    return "".join(parts) + text[done:]
