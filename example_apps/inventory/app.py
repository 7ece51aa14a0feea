"""A small inventory on Starlette, kept in memory: what the shop has, reserves and expects to sell.

Nothing here knows of tracing: under ``ddmiddleware-run`` every request is a span that continues the caller's trace.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

log = logging.getLogger("inventory")

FORECAST_S = 0.04
RECOUNT_S = 1.0
MOVEMENTS = 5
MOVEMENT_S = 0.01

SKUS = ("apron", "bowl", "cup", "dish", "fork", "grater", "jug", "knife", "mug", "pan", "spoon")
stock = {**dict.fromkeys(SKUS, 100_000), "lamp": 0}
warehouses = {"north": 0.6, "south": 0.4}


def available(sku: str) -> int:
    if sku not in stock:
        raise HTTPException(404, f"there is no {sku}")
    return stock[sku]


async def show_stock(request: Request) -> Response:
    sku = request.path_params["sku"]
    return JSONResponse({"sku": sku, "available": available(sku)})


async def reserve(request: Request) -> Response:
    """Take ``{"sku": ..., "quantity": ...}`` out of the stock; 409 where there is not enough."""
    wanted = await request.json()
    sku, quantity = wanted["sku"], int(wanted["quantity"])
    if available(sku) < quantity:
        return JSONResponse({"error": "sold out"}, 409)
    stock[sku] -= quantity
    return JSONResponse({"sku": sku, "reserved": quantity}, 201)


async def list_warehouses(_: Request) -> Response:
    return JSONResponse(sorted(warehouses))


async def show_warehouse_stock(request: Request) -> Response:
    share = warehouses.get(request.path_params["warehouse"])
    if share is None:
        raise HTTPException(404, "there is no such warehouse")
    sku = request.path_params["sku"]
    return JSONResponse({"sku": sku, "available": int(available(sku) * share)})


async def forecast(request: Request) -> Response:
    """Slow: a planner that takes its time."""
    left = available(request.path_params["sku"])
    await asyncio.sleep(FORECAST_S)
    return JSONResponse({"expected": left // 100})


async def suppliers(_: Request) -> Response:
    """Fail: the supplier's system is never there."""
    raise ConnectionError("the supplier's system does not answer")


async def movements(_: Request) -> Response:
    """Stream what moves in and out, one JSON object a line, as it happens."""

    async def lines() -> AsyncIterator[str]:
        for number in range(MOVEMENTS):
            await asyncio.sleep(MOVEMENT_S)
            yield json.dumps({"movement": number}) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def count_again() -> None:
    await asyncio.sleep(RECOUNT_S)
    log.info("counted %d items again", sum(stock.values()))


async def recount(_: Request) -> Response:
    """Answer at once and count afterwards, in a background task."""
    return JSONResponse({"counting": len(stock)}, 202, background=BackgroundTask(count_again))


app = Starlette(
    routes=[
        Route("/stock/{sku}", show_stock),
        Route("/reserve", reserve, methods=["POST"]),
        Mount(
            "/warehouses",
            routes=[Route("/", list_warehouses), Route("/{warehouse}/stock/{sku}", show_warehouse_stock)],
        ),
        Route("/forecast/{sku}", forecast),
        Route("/suppliers", suppliers),
        Route("/movements", movements),
        Route("/recounts", recount, methods=["POST"]),
    ]
)
