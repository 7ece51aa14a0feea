"""Applications of Connexion, of both kinds, with the same specification at three base paths."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
from starlette.responses import RedirectResponse, StreamingResponse

from ddmiddleware.tracing import default_tracer
from tests.middleware.requests_by_hand import MissingError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # jsonschema would rather be imported in another way
    import connexion
    from connexion.options import SwaggerUIOptions
    from connexion.resolver import Resolver

ERROR = MissingError("no such cup")
seen: list[str] = []


def shown() -> str:
    """Note what the resource is while the operation runs."""
    root = default_tracer.current_root_span()
    assert root
    seen.append(root.resource)
    return "shown"


def view(**_values: Any) -> str:
    return shown()


def create(**_values: Any) -> tuple[str, int]:
    return shown(), 201


def fail(**_values: Any) -> str:
    raise ERROR


def forbid(**_values: Any) -> tuple[str, int]:
    return "no", 403


def unavailable(**_values: Any) -> tuple[str, int]:
    return "later", 503


def missing(**_values: Any) -> tuple[str, int]:
    return "none", 404


OPERATIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (view, create, fail, forbid, unavailable, missing)
}


def operation(name: str, /, **parameters: str) -> dict[str, Any]:
    described = [
        {"name": parameter, "in": "path", "required": True, "schema": {"type": kind}}
        for parameter, kind in parameters.items()
    ]
    return {"operationId": name, "parameters": described, "responses": {"200": {"description": "fine"}}}


# Connexion wants the name of each to be there once; what follows the dot is left out by the resolver below.
PATHS = {
    "/": {"get": operation("view.home")},
    "/users/{name}": {"get": operation("view.user", name="string"), "post": operation("create", name="string")},
    "/users/{name}/orders/{number}": {"get": operation("view.order", name="string", number="integer")},
    "/broken/{name}": {"get": operation("fail", name="string")},
    "/forbidden": {"get": operation("forbid")},
    "/unavailable": {"get": operation("unavailable")},
    "/missing/{name}": {"get": operation("missing", name="string")},
    "/lines/{name}": {"get": operation("lines", name="string")},
    "/moved": {"get": operation("moved")},
}


def api(app: Any, **more: Callable[..., Any]) -> Any:
    operations = {**OPERATIONS, **more}
    resolver = Resolver(lambda name: operations[name.partition(".")[0]])
    for base_path in ("/v1", "/v1/inner", None):
        specification = {"openapi": "3.0.0", "info": {"title": "shop", "version": "1"}, "paths": PATHS}
        app.add_api(specification, base_path=base_path, resolver=resolver, name=f"api at {base_path}")
    return app


def with_starlette() -> Any:
    async def lines(**_values: Any) -> StreamingResponse:
        async def parts() -> Any:
            yield shown()
            yield "two"

        return StreamingResponse(parts())

    async def moved() -> RedirectResponse:
        return RedirectResponse("/", 302)

    app = connexion.AsyncApp("shop", swagger_ui_options=SwaggerUIOptions(swagger_ui=False))
    return api(app, lines=lines, moved=moved)


executors: list[ThreadPoolExecutor] = []


def with_flask() -> Any:
    def lines(**_values: Any) -> flask.Response:
        def parts() -> Iterator[str]:
            yield shown()
            yield "two"

        return flask.Response(parts())

    app = connexion.FlaskApp("shop", swagger_ui_options=SwaggerUIOptions(swagger_ui=False))
    executors.append(app._middleware_app.asgi_app.executor)
    return api(app, lines=lines, moved=lambda: flask.redirect("/"))
