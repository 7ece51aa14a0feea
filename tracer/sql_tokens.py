"""What SQL and CQL are made of, and where each literal and comment ends, for all dialects at once.

Where two dialects disagree on where something ends, there is no answer: the caller then drops the rest, so that what
one of them reads as a value never passes.

- ``\\'`` in a string ends it in standard SQL and does not in MySQL (only ``E'...'`` is certain);
- three quotes open a string of BigQuery and Spark, and are a quote and an escaped one elsewhere;
- ``#``, ``//`` and ``--`` without a space begin a comment in one dialect and are operators in others;
- comments nest in PostgreSQL and SQL Server, and not in MySQL, Oracle and SQLite; ``/*! ... */`` is code in MySQL.
"""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--|\#|//|/\*)
  | (?P<uuid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?!\w)
      | [pP](?:\d{4}-\d\d-\d\dT[\d:]+|(?=T?\d)(?:\d+[yYmMwWdD])*(?:[tT](?:\d+[hHmMsS])+)?(?!\w)))  # durations of CQL
  | (?P<oracle>[nN]?[qQ]')
  | (?P<string>(?:[eEnNxXbBrR]|[uU]&)?')
  | (?P<name>")
  | (?P<backtick>`)
  | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
  | (?P<placeholder>\?\d{1,3}(?!\w) | \? | %s(?!\w) | %\([^\W\d]\w*\)s | (?<!:):[^\W\d]\w* | (?<!:):\d{1,3}(?![\w.])
      | @[^\W\d]\w* | \$\d{1,3}(?![\w.]))
  | (?P<number>\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)?)
  | (?P<word>[^\W\d]\w*(?:\$\w+)*)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<operator>[-+*/<>=!~^&|%@.,;:$\\])
    """,
    re.VERBOSE,
)
_COMMENT_ENDS = re.compile(r"/\*|\*/")
# What changes the reading of what follows, where it stands in a comment that may be none.
_UNCERTAIN = re.compile(r"['\"`$#\\]|--|//|/\*")
_BRACKETS = {"[": "]", "{": "}", "(": ")", "<": ">"}


def dollar_end(text: str, quote: str, position: int) -> int:
    """Return where a string of PostgreSQL or Cassandra ends that *quote* opens before *position*, or -1."""
    close = text.find(quote, position)
    return close + len(quote) if close >= 0 else -1


def oracle_end(text: str, position: int) -> int:
    """Return where ``q'[...]'`` ends whose bracket, or any other character, is at *position*, or -1."""
    opening = text[position : position + 1]
    close = text.find(_BRACKETS.get(opening, opening) + "'", position + 1) if opening else -1
    return close + 2 if close >= 0 else -1


def string_end(text: str, position: int, quote: str, escapes: bool) -> int:
    """Return where the string that begins before *position* ends, or -1; *escapes*: a backslash surely escapes."""
    begin = position
    while True:
        end = text.find(quote, position)
        if end < 0:
            return -1
        before = end
        while before > position and text[before - 1] == "\\":
            before -= 1
        if (end - before) % 2:
            if not escapes:
                return -1
            position = end + 1
        elif text.startswith(quote, end + 1):
            position = end + 2
        else:
            break
    if text.startswith(quote * 2, begin) and text.find(quote * 3, begin + 2) + 3 != end + 1:
        return -1  # three quotes open it, or two of them make one
    return end + 1


def comment_end(text: str, start: int, position: int) -> int:
    """Return where the comment at *start* ends, or -1 where that is not certain, or never."""
    if text[start:position] != "/*":
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        line_end = end - 1 if text[end - 1] == "\r" else end
        certain = text[start] == "-" and text[position : position + 1].isspace()
        if certain and text.find("\r", start, line_end) >= 0:  # where PostgreSQL's lines end too
            certain = False
        return end if certain or not _UNCERTAIN.search(text, position, end) else -1
    depth, doubtful = 1, position if text.startswith(("!", "M!"), position) else 0
    for bound in _COMMENT_ENDS.finditer(text, position):
        depth += 1 if bound[0] == "/*" else -1
        if bound[0] == "*/" and not doubtful:
            doubtful = bound.end()  # here it ends where comments do not nest
        if not depth:
            return -1 if _UNCERTAIN.search(text, doubtful, bound.end()) else bound.end()
    return -1
