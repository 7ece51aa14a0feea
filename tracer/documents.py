"""Queries of MongoDB and Elasticsearch without their values: JSON, or what looks like it, with ``"?"`` for each.

Names of fields and operators stay, and so does the command before the first bracket. It takes linear time: each
character is passed once, and a text that does not end takes the rest with it.
"""

from __future__ import annotations

import re

_COMMAND = re.compile(r"[\w.$: -]{0,200}")
_TOKEN = re.compile(
    r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"  # a text
    r"|[\[\]{},:]|\s+"  # what stands between
    r"|[^\[\]{},:\s\"']+",  # numbers, words, and the beginning of calls such as ObjectId('...')
    re.DOTALL,
)
_NAME = re.compile(r"\s*:")
_NAME_MAX = 128
_VALUE = '"?"'
_LIST = re.compile(r'"\?"(?:,\s*"\?")+')
_STRUCTURE = frozenset("[]{},:")


def without_values(query: str) -> str:
    """Return *query* with ``"?"`` for each value; lists of values are cut to one. What cannot be read is dropped."""
    start = min((at for at in (query.find("{"), query.find("[")) if at >= 0), default=len(query))
    if not _COMMAND.fullmatch(query, 0, start):
        return "?"
    written = [query[:start]]
    position, valued = start, False
    while position < len(query):
        token = _TOKEN.match(query, position)
        if token is None:
            break  # a text without an end
        text, position = token[0], token.end()
        if text in _STRUCTURE:
            written.append(text)
            valued = False
        elif text.isspace():
            if not valued:
                written.append(" ")
        elif text[0] in "\"'" and _NAME.match(query, position):
            written.append(text if len(text) <= _NAME_MAX else _VALUE)
        elif not valued:
            written.append(_VALUE)
            valued = True
    return _LIST.sub(_VALUE, "".join(written))
