"""URLs with a view that waits for ever."""

from __future__ import annotations

import asyncio

from django.http import HttpRequest, HttpResponse
from django.urls import path

started = asyncio.Event()


async def endless(request: HttpRequest) -> HttpResponse:
    started.set()
    await asyncio.Event().wait()
    return HttpResponse("never")


urlpatterns = [path("endless", endless)]
