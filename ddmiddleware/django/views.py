"""Spans of middleware and views, which tell where within Django the time goes: off by default, for what they cost.

A middleware's span holds what is below it, those of the inner ones too.
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.django.routing import view_name
from ddmiddleware.integrations import Call, Integration, Traced
from ddmiddleware.tracing import Span, default_settings, default_tracer, guarded

middleware = Integration("django")
views = Integration("django")


# The handler calls it once for each middleware that it loads, with what this middleware is from then on.
@middleware.replaces("django.core.handlers.base:convert_exception_to_response")
def convert(original: Any) -> Any:
    if not default_settings["DD_DJANGO_INSTRUMENT_MIDDLEWARE"]:
        return original

    def converting(get_response: Any) -> Any:
        inner = original(get_response)
        with guarded:
            return _around_middleware(get_response, inner)
        return inner

    return converting


def _around_middleware(get_response: Any, inner: Any) -> Any:
    from django.core.handlers.base import BaseHandler

    if isinstance(getattr(get_response, "__self__", None), BaseHandler):  # what all middleware is around
        return inner
    name = view_name(get_response).replace(".<locals>", "")

    def describe(call: Call) -> None:
        call.span.resource = name

    return Traced(middleware, "django.middleware", None, describe).wrapper(inner, method=False)


# make_view_atomic, because what it returns is what the handler calls: the view with its decorators, once.
@views.replaces("django.core.handlers.base:BaseHandler.make_view_atomic")
def make(original: Any) -> Any:
    if not default_settings["DD_DJANGO_INSTRUMENT_VIEWS"]:
        return original

    def making(self: Any, view: Any) -> Any:
        made = original(self, view)
        with guarded:
            return _around_view(view, made)
        return made

    return making


def _around_view(view: Any, made: Any) -> Any:
    from asgiref.sync import iscoroutinefunction

    if iscoroutinefunction(made):

        async def viewing_async(request: Any, *args: Any, **kwargs: Any) -> Any:
            span = None
            with guarded:
                span = _begin(view, request)
            try:
                response = await made(request, *args, **kwargs)
            except BaseException as error:
                with guarded:
                    _end(span, error)
                raise
            with guarded:
                _end(span, None)
            return response

        return viewing_async

    def viewing(request: Any, *args: Any, **kwargs: Any) -> Any:
        span = None
        with guarded:
            span = _begin(view, request)
        try:
            response = made(request, *args, **kwargs)
        except BaseException as error:
            with guarded:
                _end(span, error)
            raise
        with guarded:
            _end(span, None)
        return response

    return viewing


def _begin(view: Any, request: Any) -> Span | None:
    if not views.patched or not default_tracer.enabled:
        return None
    name = view_name(view)
    if hasattr(view, "view_class") or hasattr(view, "cls"):  # REST framework's view sets name their methods
        method = request.method.lower()
        name += "." + (getattr(view, "actions", None) or {}).get(method, method)
    span = default_tracer.trace("django.view", views.options.service, name)
    span._meta["component"] = "django"
    return span


def _end(span: Span | None, error: BaseException | None) -> None:
    if span is None:
        return
    try:
        if error is not None and not _is_answer(error):
            span.set_exc_info(type(error), error, error.__traceback__)
    finally:
        span.finish()


def _is_answer(error: BaseException) -> bool:
    """Return whether Django answers an exception with 400, 403 or 404, or nobody waits for an answer any more."""
    from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
    from django.http import Http404
    from django.http.multipartparser import MultiPartParserError

    answers = (Http404, PermissionDenied, BadRequest, SuspiciousOperation, MultiPartParserError)
    return isinstance(error, answers) or not isinstance(error, Exception)
