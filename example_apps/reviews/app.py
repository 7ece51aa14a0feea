"""What customers think of the shop's products, on FastAPI, kept in memory; the inventory knows what the products are.

Nothing here knows of tracing: under ``ddmiddleware-run`` every request is a span that continues the caller's trace,
every call of the inventory is one below it, and messages of websockets and background tasks are traces of their own.

The environment sets ``INVENTORY_URL``.
"""

import asyncio
import json
import logging
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

log = logging.getLogger("reviews")

INVENTORY = os.environ.get("INVENTORY_URL", "http://127.0.0.1:8000")
TIMEOUT_S = 10
MODERATION_S = 1.0
LINES = 5
LINE_S = 0.01

stars: dict[str, list[int]] = defaultdict(lambda: [4, 5])


class Review(BaseModel):
    stars: int = Field(ge=1, le=5)
    text: str = ""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=INVENTORY, timeout=TIMEOUT_S) as client:
        app.state.inventory = client
        yield


async def known(sku: str, request: Request) -> str:
    """Return the product's number, once the inventory knows it: a dependency of every route that has one."""
    answer = await request.app.state.inventory.get(f"/stock/{sku}")
    if answer.status_code == 404:
        raise HTTPException(404, f"there is no {sku}")
    answer.raise_for_status()
    return sku


Product = Annotated[str, Depends(known)]
products = APIRouter(prefix="/products/{sku}")
service = APIRouter(prefix="/v1")
admin = FastAPI(title="Reviews, for those who run it")


def rating(sku: str) -> float:
    return round(sum(stars[sku]) / len(stars[sku]), 1)


@products.get("/rating")
def show_rating(sku: str) -> dict[str, float]:
    """A plain function, which runs on a thread."""
    return {"rating": rating(sku)}


@products.get("/reviews")
async def show_reviews(sku: Product) -> dict[str, float | int]:
    return {"reviews": len(stars[sku]), "rating": rating(sku)}


async def moderate(review: Review) -> None:
    """Look through a review: nobody waits for it."""
    await asyncio.sleep(MODERATION_S)
    log.info("a review of %d characters looked through", len(review.text))


@products.post("/reviews", status_code=201)
async def add_review(sku: Product, review: Review, tasks: BackgroundTasks) -> dict[str, float]:
    stars[sku].append(review.stars)
    tasks.add_task(moderate, review)
    return {"rating": rating(sku)}


@products.websocket("/live")
async def live(socket: WebSocket, sku: str) -> None:
    """Take stars, one message each, and answer with the rating that they make."""
    await socket.accept()
    async for text in socket.iter_text():
        stars[sku].append(int(text))
        await socket.send_json({"rating": rating(sku)})


@service.get("/feed")
async def feed() -> Response:
    """Stream the newest reviews, one JSON object a line."""

    async def lines() -> AsyncIterator[str]:
        for number in range(LINES):
            await asyncio.sleep(LINE_S)
            yield json.dumps({"review": number}) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@service.get("/translations")
async def translations() -> Response:
    """Fail: nobody has paid for the translations."""
    raise PermissionError("the translations are not paid for")


@admin.get("/stats")
async def stats() -> dict[str, int]:
    return {"products": len(stars), "reviews": sum(map(len, stars.values()))}


service.include_router(products)
app = FastAPI(title="Reviews", lifespan=lifespan)
app.include_router(service)
app.mount("/admin", admin)
