"""The requests that the demo makes, and what the trace of each must hold.

What is expected is written down here by hand, from reading the apps; nothing of it is read from a trace.
"""

import random
from dataclasses import dataclass
from typing import Any

SHOP = "shop"
INVENTORY = "inventory"
CATALOG = "catalog"
REVIEWS = "reviews"

# A service, and the resource of a span of it.
Resource = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of request.

    *calls* are the request spans below the first one, in other services, *queries* and *commands* the fewest SQLite
    and Redis spans, *error* the type of the exception on the request's span, *at_least_s* how long the answer takes to
    make, *leaves* the first spans of the traces that come after it and are linked to it: background tasks, messages.
    *logs* says that the service logs a line about it; *messages* are those that are sent over a websocket.
    """

    service: str
    method: str
    route: str
    path: str = ""
    status: int = 200
    weight: int = 1
    calls: tuple[Resource, ...] = ()
    queries: int = 0
    commands: int = 0
    error: str = ""
    at_least_s: float = 0
    leaves: tuple[Resource, ...] = ()
    logs: bool = False
    messages: tuple[str, ...] = ()
    json: Any = None

    @property
    def resource(self) -> str:
        return f"{self.method} {self.route or self.status}"

    @property
    def url_path(self) -> str:
        return self.path or self.route


def _cart(*product_ids: int) -> dict[str, Any]:
    return {"customer": "demo", "items": [{"product_id": number, "quantity": 1} for number in product_ids]}


PRODUCT = "/products/<int:product_id>"
STOCK = (INVENTORY, "GET /stock/{sku}")
RESERVE = (INVENTORY, "POST /reserve")
RECOUNT = (INVENTORY, "count_again")
BOOK = "/catalog/books/<int:pk>/"
NORTH = "/warehouses/{warehouse}/stock/{sku}"
IN_NORTH = (INVENTORY, f"GET {NORTH}")
FORECAST = (INVENTORY, "GET /forecast/{sku}")
OPINIONS = "/v1/products/{sku}/reviews"
OPINION = (REVIEWS, f"GET {OPINIONS}")
LIVE = "/v1/products/{sku}/live"

ENDPOINTS = (
    Endpoint(SHOP, "GET", "/", weight=4, queries=2),
    Endpoint(SHOP, "GET", "/products", weight=5, commands=1),
    Endpoint(SHOP, "GET", PRODUCT, "/products/3", weight=5, calls=(STOCK,), queries=1),
    Endpoint(SHOP, "GET", PRODUCT, "/products/99", 404, queries=1),
    Endpoint(
        SHOP,
        "GET",
        PRODUCT + "/delivery",
        "/products/10/delivery",
        weight=3,
        calls=(IN_NORTH,),
        queries=1,
    ),
    Endpoint(
        SHOP, "POST", "/checkout", status=201, weight=4, calls=(RESERVE,) * 2, queries=4, logs=True, json=_cart(3, 10)
    ),
    Endpoint(SHOP, "POST", "/checkout", status=409, calls=(RESERVE,), queries=1, json=_cart(9)),
    Endpoint(
        SHOP,
        "GET",
        "/recommendations",
        weight=2,
        calls=(FORECAST,),
        queries=1,
        at_least_s=0.04,
    ),
    Endpoint(
        SHOP, "GET", "/orders/<int:order_id>/invoice", "/orders/7/invoice", 500, queries=1, error="ZeroDivisionError"
    ),
    Endpoint(SHOP, "GET", "/orders.csv", weight=2, queries=4),
    Endpoint(SHOP, "GET", "/admin/stats", weight=2, queries=1),
    Endpoint(SHOP, "POST", "/admin/recount", status=202, calls=((INVENTORY, "POST /recounts"),), leaves=(RECOUNT,)),
    Endpoint(SHOP, "GET", "/admin/suppliers", status=502, calls=((INVENTORY, "GET /suppliers"),)),
    Endpoint(SHOP, "GET", "", "/no/such/page", 404),
    Endpoint(INVENTORY, "GET", "/stock/{sku}", "/stock/mug", weight=2),
    Endpoint(INVENTORY, "GET", "/stock/{sku}", "/stock/sofa", 404),
    Endpoint(INVENTORY, "GET", "/warehouses/"),
    Endpoint(INVENTORY, "GET", NORTH, "/warehouses/south/stock/cup"),
    Endpoint(INVENTORY, "GET", "/suppliers", status=500, error="ConnectionError"),
    Endpoint(INVENTORY, "GET", "/movements", at_least_s=0.05),
    Endpoint(INVENTORY, "POST", "/recounts", status=202, leaves=(RECOUNT,)),
    Endpoint(INVENTORY, "GET", "", "/no/such/page", 404),
    Endpoint(SHOP, "GET", PRODUCT + "/reviews", "/products/3/reviews", weight=3, calls=(OPINION, STOCK), queries=1),
    Endpoint(REVIEWS, "GET", OPINIONS, "/v1/products/mug/reviews", weight=2, calls=(STOCK,)),
    Endpoint(REVIEWS, "GET", OPINIONS, "/v1/products/sofa/reviews", 404, calls=(STOCK,)),
    Endpoint(REVIEWS, "GET", "/v1/products/{sku}/rating", "/v1/products/cup/rating", weight=2),
    Endpoint(
        REVIEWS,
        "POST",
        OPINIONS,
        "/v1/products/cup/reviews",
        201,
        weight=2,
        calls=(STOCK,),
        leaves=((REVIEWS, "moderate"),),
        json={"stars": 5, "text": "It holds tea."},
    ),
    Endpoint(REVIEWS, "POST", OPINIONS, "/v1/products/cup/reviews", 422, calls=(STOCK,), json={"stars": 6}),
    Endpoint(REVIEWS, "GET", "/v1/feed", at_least_s=0.05),
    Endpoint(REVIEWS, "GET", "/v1/translations", status=500, error="PermissionError"),
    Endpoint(REVIEWS, "GET", "/admin/stats"),
    Endpoint(
        REVIEWS,
        "GET",
        LIVE,
        "/v1/products/pan/live",
        101,
        weight=2,
        leaves=((REVIEWS, f"websocket {LIVE}"),) * 3,  # two messages, and the end
        messages=("4", "5"),
    ),
    Endpoint(REVIEWS, "GET", "", "/v1/no/such/page", 404),
    Endpoint(REVIEWS, "GET", "", "/admin/no/such/page", 404),
    Endpoint(CATALOG, "GET", "/", weight=2),
    Endpoint(CATALOG, "GET", BOOK, "/catalog/books/1/", weight=3, calls=(STOCK,), queries=1),
    Endpoint(CATALOG, "GET", BOOK, "/catalog/books/99/", 404, queries=1),
    Endpoint(CATALOG, "GET", "/catalog/authors/<int:pk>/", "/catalog/authors/2/", calls=(STOCK,) * 3, queries=2),
    Endpoint(CATALOG, "GET", "/catalog/reports/sales/", status=500, error="NotImplementedError"),
    Endpoint(CATALOG, "GET", "/admin/login/"),
    Endpoint(CATALOG, "GET", "", "/no/such/page", 404),
)

# The kind of request whose trace is shown: it crosses both services.
SAMPLE = next(endpoint for endpoint in ENDPOINTS if endpoint.logs)

# What the gunicorn masters do before they fork; once, whatever the number of workers.
PREPARED = ((SHOP, "prepare the database"), (CATALOG, "prepare the catalog"))

# Requests that fail, also where another service makes them.
FAILING_CALLS = {(endpoint.service, endpoint.resource): endpoint.error for endpoint in ENDPOINTS if endpoint.error}


def mixture(requests: int) -> list[Endpoint]:
    """Return that many endpoints in random order: each at least once, the others by weight."""
    dice = random.Random(7)
    more = dice.choices(ENDPOINTS, [endpoint.weight for endpoint in ENDPOINTS], k=max(requests - len(ENDPOINTS), 0))
    mixed = [*ENDPOINTS, *more]
    dice.shuffle(mixed)
    return mixed
