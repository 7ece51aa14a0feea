"""Messages of an ASGI application."""

from __future__ import annotations

from typing import Any

TEXT = [(b"content-type", b"text/plain")]


class MissingError(Exception):
    """What applications raise here."""


def start(status: int = 200, headers: Any = TEXT) -> Any:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(content: Any = b"", more: bool = False) -> Any:
    return {"type": "http.response.body", "body": content, "more_body": more}
