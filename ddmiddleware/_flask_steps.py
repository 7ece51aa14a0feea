"""What Flask does within a request, as spans of its own: each kind off unless a setting asks for it.

Each of them costs as much as the request's own span, and a profile says the same for less.
"""

from __future__ import annotations

import functools
from typing import Any

from ddmiddleware.integrations import Integration
from ddmiddleware.tracing import Span, active, default_settings, default_tracer, guarded

steps = Integration("flask")

_SIGNALS = frozenset(
    (
        "appcontext-popped",
        "appcontext-pushed",
        "appcontext-tearing-down",
        "before-render-template",
        "got-request-exception",
        "message-flashed",
        "request-finished",
        "request-started",
        "request-tearing-down",
        "template-rendered",
    )
)


# ensure_sync, because Flask lets every function of the application's pass there before it is called: views and their
# methods, those to call before, after and at the end of a request, and error handlers.
@steps.replaces("flask.app:Flask.ensure_sync")
def function(original: Any) -> Any:
    if not default_settings["DD_FLASK_INSTRUMENT_STEPS"]:
        return original

    def ensuring(self: Any, func: Any) -> Any:
        called = original(self, func)
        if steps.patched:
            with guarded:
                return _step(self, func, called)
        return called

    return ensuring


@steps.replaces("flask.templating:_render")
def template(original: Any) -> Any:
    on = default_settings["DD_FLASK_INSTRUMENT_TEMPLATES"]
    return rendering.wrapper(original, method=False) if on else original


@steps.traced("flask.render_template", "template")
def rendering(call: Any) -> None:
    # Flask 2.2 has put the application before it.
    found = next(argument for argument in call.args if hasattr(argument, "render"))
    call.span.resource = call.tags["flask.template_name"] = found.name or "<memory>"


@steps.replaces("blinker.base:Signal.send")
def signal(original: Any) -> Any:
    if not default_settings["DD_FLASK_TRACE_SIGNALS"]:
        return original
    around = sending.wrapper(original)

    def send(self: Any, *sender: Any, **values: Any) -> Any:
        heard = self.receivers and getattr(self, "name", "") in _SIGNALS and _in_a_request()
        return (around if heard else original)(self, *sender, **values)

    return send


@steps.traced("flask.signal")
def sending(call: Any) -> None:
    call.span.resource = call.tags["flask.signal"] = call.self.name


def _step(app: Any, func: Any, called: Any) -> Any:
    """Return what calls *called* under a span that has the name of *func*."""
    if getattr(func, "__name__", "") == "dispatch_request":  # of class views, whose own methods come here too
        return called
    name = f"{getattr(func, '__module__', '')}.{getattr(func, '__qualname__', type(func).__qualname__)}"

    def stepping(*args: Any, **kwargs: Any) -> Any:
        span = None
        with guarded:
            if default_tracer.enabled and _in_a_request():
                span = default_tracer.trace(name, None, _rule(app, func))
                span._meta["component"] = "flask"
        try:
            return called(*args, **kwargs)
        except BaseException as error:
            with guarded:
                # An HTTPException is an answer; the request's status says whether it is an error.
                if span is not None and getattr(error, "code", None) is None:
                    span.set_exc_info(type(error), error, error.__traceback__)
            raise
        finally:
            with guarded:
                if span is not None:
                    span.finish()

    return functools.update_wrapper(stepping, func)


def _in_a_request() -> bool:
    above = active.get()
    return isinstance(above, Span) and not above.finished


def _rule(app: Any, func: Any) -> str | None:
    """Return the rule that *func* is the view of in this request, or None where it is no view."""
    import flask

    if not flask.has_request_context():
        return None
    rule = flask.request.url_rule
    return rule.rule if rule is not None and app.view_functions.get(rule.endpoint) is func else None
