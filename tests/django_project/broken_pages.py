"""URLs of which none matches, and a page for that which fails."""

from __future__ import annotations

from typing import Any

from tests.middleware.requests_by_hand import MissingError

urlpatterns: list[Any] = []


def handler404(request: Any, exception: Exception) -> None:
    raise MissingError("no page")
