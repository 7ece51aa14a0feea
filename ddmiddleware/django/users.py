"""Who made a request: tags that are off unless asked for, and of users that the application has looked up anyway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ddmiddleware.django.routing import request_of
from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import default_settings, guarded

integration = Integration("django")
_SETTINGS = ("DD_DJANGO_INCLUDE_USER_ID", "DD_DJANGO_INCLUDE_USER_NAME", "DD_DJANGO_INCLUDE_USER_EMAIL")


# Around the whole of MIDDLEWARE, because a user may be found anywhere in it.
@integration.replaces("django.core.handlers.base:BaseHandler.get_response")
def respond(original: Any) -> Any:
    if not _wanted():
        return original

    def responding(self: Any, request: Any) -> Any:
        response = original(self, request)
        with guarded:
            _tag(request)
        return response

    return responding


@integration.replaces("django.core.handlers.base:BaseHandler.get_response_async")
def respond_async(original: Any) -> Any:
    if not _wanted():
        return original

    async def responding(self: Any, request: Any) -> Any:
        response = await original(self, request)
        with guarded:
            _tag(request)
        return response

    return responding


def _wanted() -> bool:
    return any(default_settings[name] for name in _SETTINGS)


def _tag(request: Any) -> None:
    served = request_of(request)
    user = _known(request)
    if served is None or user is None:
        return
    known = bool(user.is_authenticated)
    tags = served.span._meta
    tags["django.user.is_authenticated"] = str(known)
    if not known:
        return
    if default_settings["DD_DJANGO_INCLUDE_USER_ID"] and user.pk is not None:
        tags["usr.id"] = tags["django.user.id"] = str(user.pk)
    if default_settings["DD_DJANGO_INCLUDE_USER_NAME"] and user.get_username():
        tags["django.user.name"] = str(user.get_username())
    if default_settings["DD_DJANGO_INCLUDE_USER_EMAIL"] and getattr(user, "email", ""):
        tags["usr.email"] = str(user.email)


def _known(request: Any) -> Any:
    """Return the user of a request if that is known: finding out would be a query of ours."""
    return next((user for user in _candidates(vars(request)) if hasattr(user, "is_authenticated")), None)


def _candidates(attributes: dict[str, Any]) -> Iterator[Any]:
    from django.utils.functional import LazyObject, empty

    yield attributes.get("_cached_user")
    yield attributes.get("_acached_user")
    user = attributes.get("user")
    if not isinstance(user, LazyObject) or vars(user)["_wrapped"] is not empty:
        yield user
