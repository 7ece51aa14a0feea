"""Handlers of the tests' Django project, and the spans that its requests should be."""

from __future__ import annotations

from typing import Any

from tests.middleware.requests_by_hand import span

PROJECT = "tests.django_project.views"


def wsgi_app() -> Any:
    """Return a WSGI handler of the project, its middleware loaded."""
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


def asgi_app() -> Any:
    """Return an ASGI handler of the project, its middleware loaded."""
    from django.core.handlers.asgi import ASGIHandler

    return ASGIHandler()


def request(route: str | None, path: str, status: int = 200, view: str = "", **changes: Any) -> dict[str, Any]:
    """Return the span of a request; *view* is one of the project's, or one with its module."""
    tags = changes.pop("tags", {})
    if view:
        tags = {"django.view": view if "." in view else f"{PROJECT}.{view}", **tags}
    return span("django", route, path, status, tags=tags, **changes)
