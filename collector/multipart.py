"""Bodies of several parts: multipart/form-data (RFC 7578), read whole and strictly."""

import re
from typing import NamedTuple

MAX_PARTS = 64
MAX_HEADERS = 4_096

_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
# RFC 2046 section 5.1.1.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


class MultipartError(ValueError):
    """The body has no such parts; the message says what is wrong and where."""


class Part(NamedTuple):
    """A part: its name, the file name (empty where it has none) and the content."""

    name: str
    file: str
    content: bytes


def boundary_of(content_type: str) -> str:
    """Return the boundary that a Content-Type names; raise MultipartError where it is no multipart/form-data."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise MultipartError(f"the content type {kind.strip()!r} is not supported; use multipart/form-data")
    boundary = _parameters(f";{rest}").get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartError("the content type names no boundary, or none that is allowed")
    return boundary


def parts_of(body: bytes, boundary: str) -> list[Part]:
    """Split a body at its boundary; raise MultipartError."""
    line = b"--" + boundary.encode("ascii")
    # The first boundary may stand at the very beginning, so that every one follows an end of line.
    at = (b"\r\n" + body).find(b"\r\n" + line)
    if at < 0:
        raise MultipartError("the boundary is not in the body")
    at += len(line)
    parts: list[Part] = []
    while True:
        if body.startswith(b"--", at):
            return parts
        end_of_line = body.find(b"\r\n", at)
        if end_of_line < 0 or body[at:end_of_line].strip(b" \t"):
            raise MultipartError(f"part {len(parts)}: the boundary's line goes on, or does not end")
        if len(parts) == MAX_PARTS:
            raise MultipartError(f"there are more than {MAX_PARTS} parts")
        # From the end of the boundary's line, as a part without headers begins with an empty line at once.
        head_end = body.find(b"\r\n\r\n", end_of_line, end_of_line + MAX_HEADERS)
        if head_end < 0:
            raise MultipartError(f"part {len(parts)}: its headers do not end within {MAX_HEADERS} bytes")
        content_end = body.find(b"\r\n" + line, head_end + 2)
        if content_end < 0:
            raise MultipartError(f"part {len(parts)}: the body ends before the boundary")
        name, file = _names(body[end_of_line:head_end], len(parts))
        parts.append(Part(name, file, body[head_end + 4 : content_end]))
        at = content_end + 2 + len(line)


def _names(head: bytes, number: int) -> tuple[str, str]:
    for header in head.decode("utf-8", "replace").split("\r\n"):
        key, _, value = header.partition(":")
        if key.strip().lower() == "content-disposition":
            kind, _, rest = value.partition(";")
            found = _parameters(f";{rest}")
            if kind.strip().lower() != "form-data" or "name" not in found:
                break
            return found["name"], found.get("filename", "")
    raise MultipartError(f"part {number}: it has no Content-Disposition of form-data with a name")


def _parameters(text: str) -> dict[str, str]:
    return {
        match[1].lower(): re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        for match in _PARAMETER.finditer(text)
    }
