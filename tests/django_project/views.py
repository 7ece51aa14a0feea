"""Views of the tests' project."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.views import View
from django.views.decorators.http import require_POST
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from ddmiddleware import tracer
from tests.django_project.middleware import LateError, note
from tests.middleware.requests_by_hand import MissingError


def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answer, and note what the resource is meanwhile."""
    note()
    return HttpResponse("shown")


class Item(View):
    """A class of a view."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return shown(request)


class Later(View):
    """A class of an asynchronous view."""

    async def get(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return shown(request)


class Books(ViewSet):
    """A view set of REST framework."""

    def list(self, request: Request) -> Response:
        note()
        return Response([])

    def retrieve(self, request: Request, pk: str) -> Response:
        raise APIException(f"no shelf for {pk}")


@require_POST
def post_only(request: HttpRequest) -> HttpResponse:
    return shown(request)


def broken(request: HttpRequest) -> HttpResponse:
    raise MissingError("broken")


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied("not for you")


def bad(request: HttpRequest) -> HttpResponse:
    raise BadRequest("what?")


def gone(request: HttpRequest, pk: int) -> HttpResponse:
    raise Http404("gone")


def late(request: HttpRequest) -> HttpResponse:
    raise LateError("too late")


def moved(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/")


def failed(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no luck", status=502)


def lines(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        for part in "ab":
            with tracer.trace(part):
                yield part

    return StreamingHttpResponse(parts())


async def async_lines(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        for part in "ab":
            with tracer.trace(part):
                await asyncio.sleep(0)
            yield part

    return StreamingHttpResponse(parts())


def breaking(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        yield "a"
        raise MissingError("in the middle")

    return StreamingHttpResponse(parts())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"), as_attachment=True)


def memory(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(b"in memory"), content_type="text/plain")


async def later(request: HttpRequest, name: str) -> HttpResponse:
    await asyncio.sleep(0)
    note()
    with tracer.trace("outer"):
        found = await sync_to_async(_in_a_thread)()
    return HttpResponse(f"{name} {found}")


def _in_a_thread() -> bool:
    with tracer.trace("inner"):
        return threading.current_thread() is threading.main_thread()


async def async_broken(request: HttpRequest) -> HttpResponse:
    raise MissingError("broken")


def users(request: HttpRequest) -> HttpResponse:
    """Query, cache and render."""
    names = cache.get("users")
    if names is None:
        found = list(User.objects.order_by("pk"))
        cache.set("users", len(found))
        cache.get_many(["users", "nothing"])
    return render(request, "users.html", {"title": "Users", "users": User.objects.order_by("pk")})


async def async_users(request: HttpRequest) -> HttpResponse:
    count = await User.objects.acount()
    await cache.aset("count", count)
    return HttpResponse(str(await cache.aget("count")))


def me(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user))


async def async_me(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await request.auser()))
