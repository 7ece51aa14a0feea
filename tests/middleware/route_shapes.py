"""The shapes that routes have, one table for all frameworks: what an application holds, what is asked of it.

A framework's test builds an application that holds every place of ``PLACES``, asks for every shape of ``SHAPES``, and
compares the span with ``expected``. Templates are written in a notation of their own, ``/users/{name}`` and
``/orders/{number:int}``; ``written`` translates them to a framework's. test_flask_routes.py shows how little it takes.

What a framework cannot have, or answers in its own way, its test says by the shape's name.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.integrations.recorder import failed
from tests.middleware.requests_by_hand import MissingError, span

ERROR = MissingError("no such cup")

# What the kind "year" of a parameter matches: frameworks have a regex in the template, or a converter that is ours.
YEAR = r"[0-9]{4}"


class Place(NamedTuple):
    """One route of the application.

    *mounts* are the templates that it is nested under, outermost first: mounts, blueprints, routers, includes. *does*
    says what the view does:

    - ``text``: answers 200 with the body ``shown``; ``class``: so do the methods ``get`` and ``post`` of a class, and
      ``async``: an async view; ``create``: 201; ``empty``: 204 without a body; ``unavailable``: 503, by its own hand
    - ``stream``: answers the parts ``one`` and ``two``, from a generator; ``file``: a file's content
    - ``raise``: raises ``ERROR``; ``handled``: raises KeyError, which a handler of the application answers with 409
    - ``abort``: answers 403, and ``missing``: 404, by the exception or function that the framework has for it
    - ``redirect``: answers 302; ``chat``: accepts a websocket and returns
    """

    name: str
    route: str
    mounts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET",)
    does: str = "text"


class Shape(NamedTuple):
    """One request: it meets the route of *place*, or of none where that is empty.

    *script* is what the server cuts off the path (SCRIPT_NAME, root_path); *values* are those of the parameters, for
    the framework's own reverse.
    """

    name: str
    place: str
    path: str
    method: str = "GET"
    status: int = 200
    script: str = ""
    values: dict[str, Any] | None = None


PLACES = {
    place.name: place
    for place in (
        Place("home", "/"),
        Place("about", "/about"),
        Place("guide", "/docs/guide/start"),
        Place("me", "/users/me"),
        Place("user", "/users/{name}"),
        Place("order", "/orders/{number:int}"),
        Place("price", "/prices/{price:float}"),
        Place("tree", "/trees/{name:path}"),
        Place("item", "/items/{key:uuid}"),
        Place("year", "/years/{year:year}"),
        Place("user_order", "/users/{name}/orders/{number:int}"),
        Place("report", "/reports/{name}.csv"),
        Place("span", "/spans/{first:int}-{last:int}"),
        Place("street", "/straße/{name}"),
        Place("slash", "/slash/"),
        Place("new_order", "/orders", methods=("POST",), does="create"),
        Place("show_cart", "/carts/{name}"),
        Place("drop_cart", "/carts/{name}", methods=("DELETE",), does="empty"),
        Place("thing", "/things/{number:int}", methods=("GET", "POST"), does="class"),
        Place("later", "/later/{name}", does="async"),
        Place("lines", "/lines/{name}", does="stream"),
        Place("download", "/downloads/{name}", does="file"),
        Place("broken", "/broken/{name}", does="raise"),
        Place("handled", "/handled/{name}", does="handled"),
        Place("forbidden", "/forbidden/{name}", does="abort"),
        Place("missing", "/missing/{name}", does="missing"),
        Place("unavailable", "/unavailable", does="unavailable"),
        Place("moved", "/moved", does="redirect"),
        Place("shop_home", "/", ("/shop",)),
        Place("shop_user", "/users/{number:int}", ("/shop",)),
        Place("shop_broken", "/broken/{name}", ("/shop",), does="raise"),
        Place("blog_user", "/users/{number:int}", ("/blog",)),
        Place("nested_user", "/users/{number:int}", ("/v1", "/inner")),
        Place("tenant_user", "/users/{number:int}", ("/tenants/{tenant}",)),
        Place("area_user", "/users/{number:int}", ("/tenants/{tenant}", "/areas/{area:int}")),
        Place("chat", "/chat/{room}", does="chat"),
        Place("shop_chat", "/chat/{room}", ("/shop",), does="chat"),
    )
}

_KEY = "123e4567-e89b-12d3-a456-426614174000"

SHAPES = (
    Shape("root", "home", "/", values={}),
    Shape("static", "about", "/about", values={}),
    Shape("static, deep", "guide", "/docs/guide/start", values={}),
    Shape("static beside a parameter", "me", "/users/me", values={}),
    Shape("text", "user", "/users/ada", values={"name": "ada"}),
    Shape("text with a space", "user", "/users/ada l"),
    Shape("int", "order", "/orders/7", values={"number": 7}),
    Shape("float", "price", "/prices/1.5", values={"price": 1.5}),
    Shape("path", "tree", "/trees/a/b/c.txt", values={"name": "a/b/c.txt"}),
    Shape("uuid", "item", f"/items/{_KEY}", values={"key": _KEY}),
    Shape("regex", "year", "/years/2026", values={"year": "2026"}),
    Shape("two parameters", "user_order", "/users/ada/orders/7", values={"name": "ada", "number": 7}),
    Shape("suffix", "report", "/reports/march.csv", values={"name": "march"}),
    Shape("two parameters in a segment", "span", "/spans/3-9", values={"first": 3, "last": 9}),
    Shape("not ASCII", "street", "/straße/köln"),
    Shape("slash", "slash", "/slash/", values={}),
    Shape("slash missing", "", "/slash", status=308),
    Shape("post", "new_order", "/orders", "POST", 201, values={}),
    Shape("one template, two routes: GET", "show_cart", "/carts/ada", values={"name": "ada"}),
    Shape("one template, two routes: DELETE", "drop_cart", "/carts/ada", "DELETE", 204, values={"name": "ada"}),
    Shape("class: GET", "thing", "/things/7", values={"number": 7}),
    Shape("class: POST", "thing", "/things/7", "POST", values={"number": 7}),
    Shape("async", "later", "/later/ada", values={"name": "ada"}),
    Shape("stream", "lines", "/lines/ada", values={"name": "ada"}),
    Shape("file", "download", "/downloads/ada", values={"name": "ada"}),
    Shape("exception", "broken", "/broken/ada", status=500, values={"name": "ada"}),
    Shape("exception with a handler", "handled", "/handled/ada", status=409, values={"name": "ada"}),
    Shape("abort 403", "forbidden", "/forbidden/ada", status=403, values={"name": "ada"}),
    Shape("abort 404", "missing", "/missing/ada", status=404, values={"name": "ada"}),
    Shape("answer 503", "unavailable", "/unavailable", status=503, values={}),
    Shape("redirect", "moved", "/moved", status=302, values={}),
    Shape("mount", "shop_user", "/shop/users/7", values={"number": 7}),
    Shape("mount's root", "shop_home", "/shop/", values={}),
    Shape("same below another mount", "blog_user", "/blog/users/7", values={"number": 7}),
    Shape("nested mounts", "nested_user", "/v1/inner/users/7", values={"number": 7}),
    Shape("mount with a parameter", "tenant_user", "/tenants/acme/users/7", values={"tenant": "acme", "number": 7}),
    Shape(
        "nested mounts with parameters",
        "area_user",
        "/tenants/acme/areas/5/users/7",
        values={"tenant": "acme", "area": 5, "number": 7},
    ),
    Shape("exception below a mount", "shop_broken", "/shop/broken/ada", status=500, values={"name": "ada"}),
    Shape("prefix", "order", "/orders/7", script="/site"),
    Shape("prefix and mount", "shop_user", "/shop/users/7", script="/site"),
    Shape("prefix and root", "home", "/", script="/site"),
    Shape("HEAD", "order", "/orders/7", "HEAD"),
    Shape("OPTIONS", "order", "/orders/7", "OPTIONS"),
    Shape("405", "order", "/orders/7", "DELETE", 405),
    Shape("405 below a mount", "shop_user", "/shop/users/7", "DELETE", 405),
    Shape("405 by a method that nobody knows", "order", "/orders/7", "SHOUT", 405),
    Shape("404", "", "/nowhere/12345", status=404),
    Shape("404 by a parameter's type", "", "/orders/ada", status=404),
    Shape("404 below a mount", "", "/shop/nowhere/12345", status=404),
    Shape("404 below nested mounts", "", "/tenants/acme/areas/5/nowhere", status=404),
    Shape("404 below a prefix", "", "/nowhere/12345", status=404, script="/site"),
    Shape("404 of a POST", "", "/nowhere/12345", "POST", 404),
    Shape("websocket", "chat", "/chat/tea", status=101, values={"room": "tea"}),
    Shape("websocket below a mount", "shop_chat", "/shop/chat/tea", status=101, values={"room": "tea"}),
)

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")


def written(template: str, form: Callable[[str, str], str]) -> str:
    """Return *template* as the framework has it: *form* makes a parameter of its name and kind.

    Kinds are str, int, float, path, uuid and year.
    """
    return _PARAMETER.sub(lambda found: form(found[1], found[2] or "str"), template)


def full(place: Place) -> str:
    """Return the whole template of a place, with those that it is nested under."""
    return "".join(place.mounts) + place.route


def below(mounts: tuple[str, ...]) -> tuple[list[Place], list[str]]:
    """Return the places right below nested *mounts*, and the templates that are mounted right below them."""
    places = [place for place in PLACES.values() if place.mounts == mounts]
    depth = len(mounts)
    nested = {place.mounts[depth]: None for place in PLACES.values() if place.mounts[:depth] == mounts != place.mounts}
    return places, list(nested)


def expected(
    shape: Shape, component: str, form: Callable[[str, str], str], status: int | None = None, **tags: Any
) -> dict[str, Any]:
    """Return the span of a request; *status* is what the framework answers in its own way, *tags* are its own."""
    status = shape.status if status is None else status
    place = PLACES.get(shape.place)
    route = shape.script + written(full(place), form) if place else None
    if place and place.does == "raise":
        tags.update(failed(ERROR))
    websocket = place is not None and place.does == "chat"
    tags.update({"http.url": f"ws://testserver{shape.script}{shape.path}"} if websocket else {})
    method = "_OTHER" if shape.method == "SHOUT" else shape.method
    return span(component, route, shape.script + shape.path, status, method=method, tags=tags)


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "SHOUT", "PROPFIND", "M-SEARCH")


# How many random requests each framework gets; noxfile.py asks for fewer on all Pythons but one.
RANDOM_REQUESTS = int(os.environ.get("RANDOM_REQUESTS", "10000"))


def random_requests(count: int = RANDOM_REQUESTS, seed: int = 4) -> Iterator[tuple[str, str]]:
    """Yield methods and paths: near the table's, or far from it. All methods are equally likely."""
    dice = random.Random(seed)
    words = sorted({part for shape in SHAPES for part in shape.path.split("/") if part.isascii()})

    def part() -> str:
        match dice.randrange(8):
            case 0:
                return str(dice.randrange(10**6))
            case 1:
                return "".join(dice.choices("abcXYZ0189-._~!$&'()*+,;=:@ %{}<>?äλ字", k=dice.randrange(1, 20)))
            case 2:
                return dice.choice(("", ".", "..", "%2F", "x" * 500, "\N{PILE OF POO}"))
        return dice.choice(words)

    for _ in range(count):
        method = dice.choice(_METHODS)
        if dice.random() < 0.4:
            steps = dice.choice(SHAPES).path.split("/")
            if dice.random() < 0.7:
                steps[dice.randrange(len(steps))] = part()
            path = "/".join(steps)
        else:
            path = "/" + "/".join(part() for _ in range(dice.randrange(6)))
        yield method, path if path.startswith("/") else f"/{path}"


TEMPLATES = {full(place) for place in PLACES.values()}


def check_resources(resources: set[str], routes: int = len(TEMPLATES)) -> None:
    """Check what random requests were called: a method that HTTP knows, and a template of the table or a status.

    There are at most five names more than the application has *routes*.
    """
    pairs = {tuple(resource.split(" ", 1)) for resource in resources}
    names = {pair[1] for pair in pairs if len(pair) == 2}
    assert {pair[0] for pair in pairs} <= {*_METHODS[:8], "_OTHER"}
    assert len(names) <= routes + 5, sorted(names)
