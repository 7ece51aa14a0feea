"""The span of a request: from the call of Django's WSGI or ASGI handler to the last byte of the body."""

from __future__ import annotations

from functools import partial
from typing import Any

from ddmiddleware import _servers, asgi, wsgi
from ddmiddleware.django import caches, channels, client, databases, options, rest, routing, templates, users, views
from ddmiddleware.integrations import Integration

# Their switches are read when they are patched: what is off stays unpatched, and costs nothing.
_SWITCHED = (users.integration, views.middleware, views.views, templates.integration, caches.integration)
integration = Integration(
    "django",
    requires="django>=4.2",
    parts=(
        routing.integration,
        *_SWITCHED,
        databases.integration,
        rest.integration,
        channels.integration,
        _servers.integration,
    ),
)


# __call__, because everything else is below it: signals, middleware, what answers in place of the application.
@integration.replaces("django.core.handlers.wsgi:WSGIHandler.__call__")
def call(original: Any) -> Any:
    def serving(self: Any, environ: Any, start_response: Any) -> Any:
        if not integration.patched:  # somebody else's patch is around this one, so that it could not be undone
            return original(self, environ, start_response)
        return wsgi.serve(partial(original, self), environ, start_response, "django", options.current.hooks)

    return serving


@integration.replaces("django.core.handlers.asgi:ASGIHandler.__call__")
def call_async(original: Any) -> Any:
    async def serving(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if not integration.patched:
            await original(self, scope, receive, send)
            return
        await asgi.serve(partial(original, self), scope, receive, send, "django", options.current.hooks)

    return serving


# Django's test client calls no server's handler, but this.
integration.replaces("django.test.client:ClientHandler.get_response")(client.respond)
integration.replaces("django.test.client:AsyncClientHandler.get_response_async")(client.respond_async)


# Both, because a command has no handler, and not every handler's program calls django.setup().
@integration.observes("django.apps.registry:Apps.populate", "django.core.handlers.base:BaseHandler.load_middleware")
def configured(*_args: Any, **_kwargs: Any) -> None:
    prepare()


def prepare() -> None:
    """Take over ``settings.DDMIDDLEWARE``, and let the switches in it hold."""
    if options.take_over():
        for part in _SWITCHED:
            if part.patched:
                part.unpatch()
                part.patch()
