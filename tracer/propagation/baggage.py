"""The header ``baggage``, and Datadog's older ``ot-baggage-<key>``.

https://www.w3.org/TR/baggage/
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Mapping
from itertools import islice
from urllib.parse import quote

from ddmiddleware.tracing.text import text

NAME = "baggage"
LEGACY_PREFIX = "ot-baggage-"
# Section 3.3.2: so much must be propagated; no more is read or sent.
_ITEMS_MAX = 64
_BYTES_MAX = 8192
# Section 3.3.1: a key is a token (RFC 9110, section 5.6.2), a value is made of baggage-octets. Neither set holds the
# percent sign, for what is encoded.
_KEY_SAFE = "!#$&'*+-.^_`|~"
_VALUE_SAFE = "!#$&'()*+-./:<=>?@[]^_`{|}~"
_T, _V, _S = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", r"[!#-+\--:<-\[\]-~]+", r"[ \t]*"
# Written so that no two parts of it can take the same character: it is read once, whatever it is.
_PROPERTY = f"{_S}{_T}{_S}(?:={_S}(?:{_V}{_S})?)?"
_MEMBER = f"{_S}{_T}{_S}={_S}(?:{_V}{_S})?(?:;{_PROPERTY})*"
_HEADER = re.compile(f"{_MEMBER}(?:,{_MEMBER})*")
_TOKEN = re.compile(_T)
_LONE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_LEGACY_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class Item(str):
    """A baggage text that came with properties: text as any other, and the properties travel on with it."""

    __slots__ = ("properties",)

    properties: str


def extract(header: str) -> dict[str, str] | None:
    """Return what *header* says, the first 64 members and 8192 characters of it; None where it is malformed."""
    if len(header) > _BYTES_MAX:
        header = header[:_BYTES_MAX].rpartition(",")[0]  # not the member that is cut
    members = header.split(",", _ITEMS_MAX)
    if len(members) > _ITEMS_MAX:
        header = header[: -len(members.pop()) - 1]
    if not _HEADER.fullmatch(header):
        return None
    found: dict[str, str] = {}
    for member in members:
        pair, semicolon, properties = member.partition(";")
        key, _, value = pair.partition("=")
        key, value = key.strip(" \t"), value.strip(" \t")
        if "%" in key:
            key = _decoded(key)
        if "%" in value:
            value = _decoded(value)
        if semicolon:
            item = Item(value)
            item.properties = properties.strip(" \t")
            value = item
        found[key] = value
    return found


def _decoded(value: str) -> str:
    """Undo percent-encoding; what is no UTF-8 becomes U+FFFD (section 3.3.1.2).

    A percent sign that encodes nothing says that nobody has encoded this: it stays as it is.
    """
    if _LONE_PERCENT.search(value):
        return value
    # Quoted-printable is the same with another sign, and the standard library has it in C.
    return a2b_qp(value.replace("=", "=3D").replace("%", "=")).decode("utf-8", "replace")


def inject(baggage: dict[str, str], headers: dict[str, str]) -> None:
    """Write ``baggage`` into *headers*: of the first 64 items those that fit into 8192 bytes, whole ones only."""
    members = []
    left = _BYTES_MAX + 1
    for key, value in islice(baggage.copy().items(), _ITEMS_MAX):
        name, content = text(key), text(value)
        if not name or len(name) + len(content) >= left:
            continue
        member = f"{quote(name, _KEY_SAFE, errors='replace')}={quote(content, _VALUE_SAFE, errors='replace')}"
        if type(value) is Item:
            member += f";{value.properties}"
        if len(member) < left:
            left -= len(member) + 1
            members.append(member)
    if members:
        headers[NAME] = ",".join(members)


def extract_legacy(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the items of the headers ``ot-baggage-<key>``, as many as of the other kind."""
    found: dict[str, str] = {}
    left = _BYTES_MAX
    for name, value in headers.items():
        if not name.startswith(LEGACY_PREFIX) or len(name) + len(value) > left:
            continue
        key, value = name[len(LEGACY_PREFIX) :], value.strip()
        if _TOKEN.fullmatch(key) and _LEGACY_VALUE.fullmatch(value) and len(found) < _ITEMS_MAX:
            left -= len(name) + len(value)
            found[key] = value
    return found


def inject_legacy(baggage: dict[str, str], headers: dict[str, str]) -> None:
    """Write ``ot-baggage-<key>`` into *headers*, for those items that fit in a header as they are."""
    left = _BYTES_MAX
    for key, value in islice(baggage.copy().items(), _ITEMS_MAX):
        name, content = LEGACY_PREFIX + text(key).lower(), text(value)
        if len(name) + len(content) > left:
            continue
        if _TOKEN.fullmatch(name) and name != LEGACY_PREFIX and _LEGACY_VALUE.fullmatch(content):
            left -= len(name) + len(content)
            headers[name] = content
