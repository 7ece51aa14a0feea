"""A small shop on Flask: SQLite for its data, Redis as a cache, and the inventory over HTTP.

Nothing here patches or wraps anything. Under ``ddmiddleware-run`` every request, query, command and call is a span all
the same; the uses of the suite below, two spans by hand and ids in the log, are extras.

The environment sets ``SHOP_DATABASE`` (a file), ``INVENTORY_URL``, ``REVIEWS_URL``, and ``REDIS_URL`` (no cache where
unset).
"""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import redis
import requests
from flask import Blueprint, Flask, Response, abort, g, jsonify, render_template_string, request

from ddmiddleware import tracer
from example_apps.shop import database

INVENTORY = os.environ.get("INVENTORY_URL", "http://127.0.0.1:8000")
REVIEWS = os.environ.get("REVIEWS_URL", "http://127.0.0.1:8002")
TIMEOUT_S = 10
CACHE_S = 2
CSV_PAGE = 40

HOME = "<!doctype html><title>Shop</title><h1>Shop</h1><p>{{ products }} products, {{ orders }} orders.</p>"

# The suite puts the ids on every record; the defaults serve where it is not at work.
_handler = logging.StreamHandler()
_handler.setFormatter(
    logging.Formatter(
        "%(asctime)s %(levelname)s %(message)s trace_id=%(dd.trace_id)s span_id=%(dd.span_id)s",
        defaults={"dd.trace_id": "0", "dd.span_id": "0"},
    )
)
log = logging.getLogger("shop")
log.addHandler(_handler)
log.setLevel(logging.INFO)

app = Flask(__name__)
admin = Blueprint("admin", __name__, url_prefix="/admin")
cache = redis.Redis.from_url(os.environ["REDIS_URL"]) if os.environ.get("REDIS_URL") else None
warehouses = httpx.Client(base_url=f"{INVENTORY}/warehouses", timeout=TIMEOUT_S)
with tracer.trace("shop.prepare", resource="prepare the database"):
    database.prepare()


def connection() -> sqlite3.Connection:
    """Return the request's connection."""
    if "connection" not in g:
        g.connection = database.connect()
    return g.connection  # type: ignore[no-any-return]


@app.teardown_appcontext
def disconnect(_: BaseException | None) -> None:
    if "connection" in g:
        g.connection.close()


def one(query: str, *values: object) -> sqlite3.Row | None:
    return connection().execute(query, values).fetchone()  # type: ignore[no-any-return]


def product_or_404(product_id: int) -> sqlite3.Row:
    product = one("SELECT id, sku, price_cents FROM products WHERE id = ?", product_id)
    if product is None:
        abort(404, f"there is no product {product_id}")
    return product


@app.get("/")
def home() -> str:
    products = one("SELECT count(*) FROM products")
    orders = one("SELECT count(*) FROM orders")
    assert products is not None
    assert orders is not None
    return render_template_string(HOME, products=products[0], orders=orders[0])


@app.get("/products")
def products() -> Response:
    """List the products, from the cache where there is one."""
    try:
        if cache is not None and (cached := cache.get("products")) is not None:
            return Response(cached, mimetype="application/json")
    except redis.RedisError as error:
        log.warning("no cache: %s", error)
    rows = connection().execute("SELECT id, sku, price_cents FROM products ORDER BY sku").fetchall()
    body = json.dumps([dict(row) for row in rows])
    try:
        if cache is not None:
            cache.set("products", body, ex=CACHE_S)
    except redis.RedisError as error:
        log.warning("not cached: %s", error)
    return Response(body, mimetype="application/json")


@app.get("/products/<int:product_id>")
def product(product_id: int) -> dict[str, Any]:
    found = product_or_404(product_id)
    stock = requests.get(f"{INVENTORY}/stock/{found['sku']}", timeout=TIMEOUT_S)
    stock.raise_for_status()
    return {**dict(found), "available": stock.json()["available"]}


@app.get("/products/<int:product_id>/delivery")
def delivery(product_id: int) -> dict[str, Any]:
    """Say which warehouse delivers; with httpx, where the other views use requests."""
    found = product_or_404(product_id)
    stock = warehouses.get(f"/north/stock/{found['sku']}").raise_for_status().json()
    return {"sku": found["sku"], "warehouse": "north", "days": 1 if stock["available"] else 5}


@app.get("/products/<int:product_id>/reviews")
def reviews(product_id: int) -> dict[str, Any]:
    """Ask the reviews, which ask the inventory: three services in one trace."""
    found = product_or_404(product_id)
    answer = requests.get(f"{REVIEWS}/v1/products/{found['sku']}/reviews", timeout=TIMEOUT_S)
    answer.raise_for_status()
    return {"sku": found["sku"], **answer.json()}


@app.post("/checkout")
def checkout() -> tuple[dict[str, Any], int]:
    """Sell what the cart, ``{"customer": ..., "items": [{"product_id": ..., "quantity": ...}]}``, holds."""
    cart = request.get_json()
    lines = [(product_or_404(item["product_id"]), int(item["quantity"])) for item in cart["items"]]
    # A span by hand, for a step that matters to the business and that no library call stands for.
    with tracer.trace("shop.reserve", resource="reserve the cart") as span:
        span.set_tag("cart.items", len(lines))
        for bought, quantity in lines:
            answer = requests.post(
                f"{INVENTORY}/reserve", json={"sku": bought["sku"], "quantity": quantity}, timeout=TIMEOUT_S
            )
            if answer.status_code == 409:
                return {"error": f"{bought['sku']} is sold out"}, 409
            answer.raise_for_status()
    total = sum(bought["price_cents"] * quantity for bought, quantity in lines)
    with connection() as transaction:
        order = transaction.execute(
            "INSERT INTO orders (customer, total_cents) VALUES (?, ?)", (cart["customer"], total)
        ).lastrowid
        transaction.executemany(
            "INSERT INTO order_lines (order_id, product_id, quantity) VALUES (?, ?, ?)",
            [(order, bought["id"], quantity) for bought, quantity in lines],
        )
    log.info("order %s placed", order)
    return {"order": order, "total_cents": total}, 201


@app.get("/recommendations")
def recommendations() -> Response:
    """Slow: waits for the inventory's forecast, then compares every two orders in Python."""
    forecast = requests.get(f"{INVENTORY}/forecast/mug", timeout=TIMEOUT_S).json()
    totals = [row[0] for row in connection().execute("SELECT total_cents FROM orders ORDER BY id DESC LIMIT 150")]
    similar = sum(abs(left - right) < 500 for left in totals for right in totals)
    return jsonify(expected_sales=forecast["expected"], similar_orders=similar)


@app.get("/orders/<int:order_id>/invoice")
def invoice(order_id: int) -> dict[str, Any]:
    """Fail for the first orders, which have no lines: a bug that nobody has caught yet."""
    lines = connection().execute("SELECT quantity FROM order_lines WHERE order_id = ?", (order_id,)).fetchall()
    return {"order": order_id, "average": sum(line["quantity"] for line in lines) / len(lines)}


@app.get("/orders.csv")
def export() -> Response:
    """Stream all orders, page by page: each is queried when the one before has been sent."""

    def pages() -> Iterator[str]:
        yield "id,customer,total_cents\n"
        last = 0
        with closing(database.connect()) as own:
            while rows := own.execute(
                "SELECT id, customer, total_cents FROM orders WHERE id > ? ORDER BY id LIMIT ?", (last, CSV_PAGE)
            ).fetchall():
                yield "".join(f"{row['id']},{row['customer']},{row['total_cents']}\n" for row in rows)
                last = rows[-1]["id"]

    return Response(pages(), mimetype="text/csv")


@admin.get("/stats")
def stats() -> dict[str, Any]:
    row = one("SELECT count(*) AS orders, avg(total_cents) AS average_cents FROM orders")
    assert row is not None
    return dict(row)


@admin.post("/recount")
def recount() -> tuple[dict[str, Any], int]:
    answer = requests.post(f"{INVENTORY}/recounts", timeout=TIMEOUT_S)
    return answer.json(), answer.status_code


@admin.get("/suppliers")
def suppliers() -> tuple[dict[str, Any], int]:
    """Answer 502 when the inventory fails, which it does here."""
    answer = requests.get(f"{INVENTORY}/suppliers", timeout=TIMEOUT_S)
    if not answer.ok:
        return {"error": f"the inventory answered {answer.status_code}"}, 502
    return answer.json(), 200


app.register_blueprint(admin)
