"""Hooks of the middleware around all shapes."""

from __future__ import annotations

from typing import Any


def request_hook(span: Any, _source: Any) -> None:
    span.set_tag("hook", "request")


def response_hook(span: Any, status: int, headers: Any) -> None:
    span.set_tag("answer", f"{status} {sorted(headers)}")
