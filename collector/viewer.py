"""The viewer: its pages and their JSON twins, which hold the same data."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ddmiddleware.collector import drawing, flame, formatting, values, window
from ddmiddleware.collector.database import StoreError
from ddmiddleware.collector.endpoints import SORTS, list_endpoints
from ddmiddleware.collector.ids import I64_MAX
from ddmiddleware.collector.profile_query import read_query
from ddmiddleware.collector.profiles import list_profiles, profiled_endpoints
from ddmiddleware.collector.store import Store
from ddmiddleware.collector.trace import MAX_SPANS, SHOWN_SPANS, load_trace
from ddmiddleware.collector.traces import MAX_PAGE, PAGE, Filter, list_traces

_HERE = Path(__file__).parent

Page = tuple[str, int, dict[str, Any]]


class QueryError(ValueError):
    """A query parameter that cannot be understood; the message names it."""


class Viewer:
    """Answers for the pages of one store. Handlers are plain functions, which Starlette runs in threads."""

    def __init__(self, store: Store, address: str) -> None:
        self._store = store
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(formatting.FILTERS)
        self._templates.filters.update(written=values.written, short_file=flame.short_file, boxes=drawing.boxes)
        self._templates.globals.update(
            address=address, windows=window.NAMES, most_spans=MAX_SPANS, link=formatting.link
        )

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the pages, their twins and the static files."""
        return [
            Route("/", self._html(self._endpoints)),
            Route("/endpoints.json", self._json(self._endpoints)),
            Route("/traces", self._html(self._traces)),
            Route("/traces.json", self._json(self._traces)),
            Route("/profiles", self._html(self._profiles)),
            Route("/profiles.json", self._json(self._profiles)),
            Route("/traces/{trace_id}.json", self._json(self._trace)),
            Route("/traces/{trace_id}", self._html(self._trace)),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ]

    def _html(self, page: Callable[[Request], Page]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            template, status, data = self._answer(page, request)
            names = _service_names(data)
            html = self._templates.get_template(template).render(
                data=data, query=dict(request.query_params), colors=formatting.colors(names), path=request.url.path
            )
            return HTMLResponse(html, status)

        return answer

    def _json(self, page: Callable[[Request], Page]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            _, status, data = self._answer(page, request)
            return JSONResponse(data, status)

        return answer

    def _answer(self, page: Callable[[Request], Page], request: Request) -> Page:
        try:
            return page(request)
        except QueryError as error:
            return "message.html", 400, {"error": str(error)}
        except StoreError as error:
            return "message.html", 503, {"error": f"The store cannot be read. {error}"}

    def _endpoints(self, request: Request) -> Page:
        query = request.query_params
        sort = query.get("sort", "requests")
        if sort not in SORTS:
            raise QueryError(f"'sort' must be one of {', '.join(SORTS)}")
        with self._store.reader() as connection:
            data = list_endpoints(connection, self._window(request), query.get("service", ""), sort)
        return "endpoints.html", 200, data

    def _traces(self, request: Request) -> Page:
        query = request.query_params
        wanted = Filter(
            window=self._window(request),
            service=query.get("service", ""),
            resource=query.get("resource", ""),
            errors_only=query.get("error", "") not in ("", "0"),
            min_ns=_milliseconds(request, "min_ms"),
            max_ns=_milliseconds(request, "max_ms"),
            search=query.get("q", "").strip(),
            cursor=query.get("before", ""),
            limit=_whole(request, "limit", PAGE, MAX_PAGE),
        )
        with self._store.reader() as connection:
            try:
                data = list_traces(connection, wanted)
            except ValueError as error:
                raise QueryError(str(error)) from error
            profiled = (wanted.service, wanted.resource) in profiled_endpoints(connection, wanted.window)
        return "traces.html", 200, {**data, "profiled": profiled}

    def _trace(self, request: Request) -> Page:
        trace_id = request.path_params["trace_id"]
        with self._store.reader() as connection:
            data = load_trace(connection, trace_id, _whole(request, "limit", SHOWN_SPANS, MAX_SPANS))
        if data is None:
            reason = f"There is no trace {trace_id} here. It may not have arrived yet, or be too old."
            return "message.html", 404, {"error": reason}
        return "trace.html", 200, data

    def _profiles(self, request: Request) -> Page:
        with self._store.reader() as connection:
            try:
                wanted, span = read_query(connection, request.query_params, self._store.now_ns())
            except ValueError as error:
                raise QueryError(str(error)) from error
            data = list_profiles(connection, wanted)
        return "profiles.html", 200, {**data, "span": span}

    def _window(self, request: Request) -> window.Window:
        name = request.query_params.get("window", window.DEFAULT)
        if name not in window.NAMES:
            raise QueryError(f"'window' must be one of {', '.join(window.NAMES)}")
        return window.Window.named(name, self._store.now_ns())


def _service_names(data: dict[str, Any]) -> set[str]:
    names = {section["service"] for section in data.get("services", ())}
    for trace in data.get("traces", ()):
        names.update(trace["services"])
    return names


def _milliseconds(request: Request, key: str) -> int | None:
    text = request.query_params.get(key, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= I64_MAX / 1e7:
        raise QueryError(f"{key!r} must be a number of milliseconds")
    return round(number * 1e6)


def _whole(request: Request, key: str, default: int, most: int) -> int:
    text = request.query_params.get(key, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise QueryError(f"{key!r} must be a whole number from 1 to {most}")
    return int(text)
