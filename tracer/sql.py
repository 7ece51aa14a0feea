"""SQL and CQL without their literals.

The lexer need not know the dialect: see ``sql_tokens``. What cannot be read with certainty is dropped, to the end.

A text in double quotes is a name in standard SQL and a value in MySQL, in SQLite the one or the other. It stays where
it can only be a name: beside a dot, after words such as FROM, INTO and AS, in the list of an INSERT's columns. With
*names* (PostgreSQL, Oracle, Cassandra) it stays everywhere but where a value is expected.

It takes linear time: each character is passed once, each search that fails ends the text, and what is compared on the
way is bounded.
"""

from __future__ import annotations

import re

from ddmiddleware.tracing.sql_tokens import TOKEN, comment_end, dollar_end, oracle_end, string_end

_PLAIN_NAME = re.compile(r"[^\W\d][\w $.:-]{0,127}")
_QUOTED_NAME = re.compile(rf"\"{_PLAIN_NAME.pattern}\"(?!\")|`{_PLAIN_NAME.pattern}`")
_BEFORE_A_NAME = frozenset(
    (
        "AS",
        "COLUMN",
        "CONSTRAINT",
        "EXISTS",
        "INDEX",
        "INTO",
        "JOIN",
        "ONLY",
        "SCHEMA",
        "SET",
        "TABLE",
        "UPDATE",
        "VIEW",
    )
)
_BEFORE_A_VALUE = frozenset(
    ("BETWEEN", "ILIKE", "IN", "IS", "LIKE", "LIMIT", "PASSWORD", "REGEXP", "RLIKE", "THEN", "TO", "VALUES")
)
_GROUP_MAX = 200  # tokens; longer groups are not compared with the one before

# The kinds of what is written: a value, a name or keyword, and what stands between them.
_VALUE, _WORD, _OPERATOR, _OPEN, _CLOSE = range(5)


def without_literals(statement: str, names: bool = False) -> str:
    """Return *statement* with ``?`` for each literal, without comments, and with lists of values cut to their first.

    *names* says that texts in double quotes are names in this dialect. What cannot be read is dropped, to the end.
    """
    return _Reader(statement, names).read()


class _Group:
    """A pair of brackets that is open; the outermost one is the statement."""

    __slots__ = ("kind", "last", "pure", "selects", "start")

    def __init__(self, start: int, kind: str) -> None:
        self.start, self.kind = start, kind
        self.pure = True  # holds values only
        self.selects = False  # holds SELECT or DELETE, so that FROM is not the one of TRIM, EXTRACT or PREPARE
        self.last = (0, 0, "")  # where the last group inside begins and ends, and its kind


class _Reader:
    def __init__(self, text: str, names: bool) -> None:
        self._text = text
        self._names = names
        self._written: list[str] = []
        self._kinds: list[int] = []
        self._spaces: list[bool] = []  # whether a space stands before
        self._spaced = False
        self._groups = [_Group(-1, "")]
        self._word = ""  # the last one, in capitals
        self._columns = False  # INTO was read: brackets hold names
        self._identified = self._hidden = False

    def read(self) -> str:
        text, position = self._text, 0
        while position < len(text):
            token = TOKEN.match(text, position)
            if token is None:  # a character that no dialect knows
                self._spaced = True
                position += 1
                continue
            kind, found = token.lastgroup, token[0]
            end = token.end()
            if kind == "space":
                self._spaced = True
            elif kind == "word":
                self._read_word(found)
            elif kind == "placeholder":
                self._read_placeholder(found)
            elif kind in ("uuid", "number"):
                self._value("?")
            elif kind == "open":
                self._open(found)
            elif kind == "close":
                self._close(found)
            elif kind == "operator":
                self._operator(found)
            else:
                end = self._read_long(kind or "", found, position, end)
                if end < 0:
                    if kind != "comment":
                        self._value("?")
                    break
            position = end
        return self._joined()

    def _joined(self) -> str:
        parts: list[str] = []
        for written, spaced in zip(self._written, self._spaces, strict=True):
            if spaced and parts:
                parts.append(" ")
            parts.append(written)
        return "".join(parts)

    def _write(self, text: str, kind: int) -> None:
        self._written.append(text)
        self._kinds.append(kind)
        self._spaces.append(self._spaced)
        self._spaced = False

    def _cut(self, length: int) -> None:
        del self._written[length:], self._kinds[length:], self._spaces[length:]

    def _read_long(self, kind: str, found: str, start: int, end: int) -> int:
        """Read what has an end to be found; return that, or -1 where there is none or it is not certain."""
        text = self._text
        if kind == "comment":
            self._spaced = True
            return comment_end(text, start, end)
        if kind == "dollar":
            end = dollar_end(text, found, end)
        elif kind == "oracle":
            end = oracle_end(text, end)
        elif kind == "string":
            end = string_end(text, end, "'", found[0] in "eE")
        elif kind == "backtick":
            close = text.find("`", end)
            name = text[end:close] if close >= 0 else ""
            if not _PLAIN_NAME.fullmatch(name):
                return -1
            self._name(text[start : close + 1])
            return close + 1
        else:
            end = string_end(text, end, '"', False)
            if end > 0 and self._is_name(start, end):
                self._name(text[start:end])
                return end
        if end > 0:
            self._value("?")
        return end

    def _is_name(self, start: int, end: int) -> bool:
        """Return whether what is in double quotes at *start* can only be a name."""
        if self._hidden or not _PLAIN_NAME.fullmatch(self._text, start + 1, end - 1):
            return False
        before = self._written[-1] if self._written else ""
        if before == "." or (self._text.startswith(".", end) and self._name_follows(end + 1)):
            return True
        group = self._groups[-1]
        if group.kind == "INTO":
            return before in ("(", ",")
        if not self._kinds or self._kinds[-1] == _WORD:
            if self._names:
                return self._word not in _BEFORE_A_VALUE and not self._identified
            return (self._word in _BEFORE_A_NAME and not self._identified) or (self._word == "FROM" and group.selects)
        return self._names and group.kind not in _BEFORE_A_VALUE and before in ("(", ",")

    def _name_follows(self, position: int) -> bool:
        token = TOKEN.match(self._text, position)
        if token is None:
            return False
        return token.lastgroup == "word" or token[0] in "[*" or bool(_QUOTED_NAME.match(self._text, position))

    def _name(self, found: str) -> None:
        self._hidden = False
        self._groups[-1].pure = False
        self._write(found, _WORD)
        self._word = ""

    def _read_word(self, found: str) -> None:
        word = found.upper()
        if self._hidden:
            self._value("?")
            return
        if word == "INTO":
            self._columns = True
        elif word in ("SELECT", "DELETE", "VALUES", "VALUE", "SET", "DEFAULT", "FROM"):
            self._columns = False
            if word in ("SELECT", "DELETE"):
                self._groups[-1].selects = True
        elif word == "IDENTIFIED":
            self._identified = True
        elif self._identified and word in ("BY", "REPLACE"):
            self._hidden = True  # Oracle's passwords need no quotes
        self._groups[-1].pure = False
        self._write(found, _WORD)
        self._word = word

    def _read_placeholder(self, found: str) -> None:
        if found[0] == ":" and found[1].isdigit() and self._kinds:
            before = self._kinds[-1]
            if before in (_VALUE, _CLOSE) or (
                before == _WORD and not self._spaced
            ):  # the value in a map, not Oracle's :1
                self._operator(":")
                found = "?"
        self._value(found)

    def _value(self, written: str) -> None:
        """Write a value, without the signs before it."""
        kinds = self._kinds
        while kinds and self._written[-1] in ("-", "+") and (len(kinds) == 1 or kinds[-2] in (_OPERATOR, _OPEN)):
            self._spaced = self._spaces[-1]
            self._cut(len(kinds) - 1)
        self._hidden = False
        self._write(written, _VALUE)

    def _operator(self, found: str) -> None:
        group = self._groups[-1]
        if found not in ",:-+":
            group.pure = False
        if found == ";":
            self._identified = self._hidden = self._columns = False
        self._write(found, _OPERATOR)

    def _open(self, found: str) -> None:
        group = self._groups[-1]
        kind = ""
        if self._columns:
            kind = "INTO"
            self._columns = False
        elif self._kinds and self._kinds[-1] == _WORD:
            kind = self._word
        elif self._written and self._written[-1] == "," and group.last[1] == len(self._written) - 1:
            kind = group.last[2]  # the next row of VALUES
        self._groups.append(_Group(len(self._written), kind))
        self._write(found, _OPEN)

    def _close(self, found: str) -> None:
        if len(self._groups) == 1:
            self._groups[-1].pure = False
            self._write(found, _CLOSE)
            return
        group = self._groups.pop()
        start, outer = group.start, self._groups[-1]
        outer.pure = False
        if group.pure and self._kinds[-1] == _VALUE and self._kinds[start + 1] == _VALUE:
            self._cut(start + 2)
            self._spaces[-1] = self._spaced = False
        self._write(found, _CLOSE)
        begin, end, _ = outer.last
        if (
            end == start - 1
            and self._written[end] == ","
            and len(self._written) - start <= _GROUP_MAX
            and self._written[begin:end] == self._written[start:]
        ):
            self._cut(end)
        else:
            outer.last = (start, len(self._written), group.kind)
