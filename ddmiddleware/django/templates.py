"""Templates of Django's own engine: a span of the outermost file, so that a form of a hundred widgets is no hundred."""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import Call, Integration, Traced
from ddmiddleware.tracing import Span, active, default_settings

integration = Integration("django")
_NAME = "django.template.render"


def outermost(name: str) -> bool:
    """Return whether the active span is of another kind than *name*."""
    current = active.get()
    return type(current) is not Span or current.name != name


def _describe(call: Call) -> None:
    call.span.resource = call.tags["django.template.name"] = str(call.self.name)


# A text that is no file's has no name: such are the error pages that Django itself answers with.
def _wanted(template: Any, *_args: Any, **_kwargs: Any) -> bool:
    return bool(template.name) and outermost(_NAME)


_template = Traced(integration, _NAME, "template", _describe, _wanted)


# render, because an included template comes here too, and one that is extended does not.
@integration.replaces("django.template.base:Template.render")
def render(original: Any) -> Any:
    return _template.wrapper(original) if default_settings["DD_DJANGO_INSTRUMENT_TEMPLATES"] else original
