"""The views of the catalog; nothing here knows of tracing."""

import asyncio
from typing import Any

import httpx
import requests
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views import View

from example_apps.catalog.models import Author, Book

TIMEOUT_S = 10
CACHE_S = 2


def home(request: HttpRequest) -> HttpResponse:
    """List the books, from the cache where they are in it."""
    books = cache.get("books")
    if books is None:
        books = list(Book.objects.select_related("author").order_by("title"))
        cache.set("books", books, CACHE_S)
    return render(request, "catalog/home.html", {"books": books})


class BookView(View):
    """One book, with what the inventory has of it."""

    def get(self, request: HttpRequest, pk: int) -> JsonResponse:
        book = get_object_or_404(Book.objects.select_related("author"), pk=pk)
        stock = requests.get(f"{settings.INVENTORY}/stock/{book.sku}", timeout=TIMEOUT_S)
        stock.raise_for_status()
        return JsonResponse({"title": book.title, "by": book.author.name, "available": stock.json()["available"]})


async def author(request: HttpRequest, pk: int) -> JsonResponse:
    """One author, and the stock of all of their books, asked for at once."""
    found = await Author.objects.aget(pk=pk)
    books = [book async for book in found.books.order_by("pk")]
    async with httpx.AsyncClient(base_url=settings.INVENTORY, timeout=TIMEOUT_S) as client:
        stocks = await asyncio.gather(*(client.get(f"/stock/{book.sku}") for book in books))
    rows: list[dict[str, Any]] = [
        {"title": book.title, "available": stock.json()["available"]} for book, stock in zip(books, stocks, strict=True)
    ]
    return JsonResponse({"name": found.name, "books": rows})


def broken(request: HttpRequest) -> HttpResponse:
    """Fail: a report that nobody has finished."""
    raise NotImplementedError("the report of sales")
