"""The one place where kombu hands a message over to its transport: for celery's messages too.

What the caller passed is only read here: his dictionary of headers stays as it is.
"""

from typing import Any

from ddmiddleware.integrations import _messages
from ddmiddleware.integrations._options import options_of
from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import Span, active, guarded

integration = Integration("kombu_headers", requires="kombu>=4.6.6")
# Celery's workers talk to each other, every two seconds: these messages are nobody's work.
_EXCHANGES_OF_WORKERS = ("celeryev", "pidbox")
_HEADERS, _ROUTING_KEY, _EXCHANGE = 4, 6, 9


def is_work(exchange: object) -> bool:
    """Return whether messages to *exchange*, or its name, are the application's."""
    return not str(getattr(exchange, "name", exchange)).endswith(_EXCHANGES_OF_WORKERS)


# _publish, because here the body is encoded, and every attempt of one publish comes by.
@integration.replaces("kombu.messaging:Producer._publish")
def publish(original: Any) -> Any:
    def publishing(self: Any, *args: Any, **kwargs: Any) -> Any:
        with guarded:
            args = _described(args)
        return original(self, *args, **kwargs)

    return publishing


def _described(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return *args* with the headers of the active span, where that is the one of this message."""
    span = active.get()
    if not integration.patched or not isinstance(span, Span) or span.finished or len(args) <= _EXCHANGE:
        return args
    if span.name not in ("kombu.publish", "celery.apply") or not is_work(args[_EXCHANGE]):
        return args
    name = span._meta.get("component", "")
    span.set_tag(f"{name}.routing_key", args[_ROUTING_KEY])
    if args[_EXCHANGE]:
        span.set_tag(f"{name}.exchange", args[_EXCHANGE])
    if name == "kombu":
        span.set_tag("kombu.body_length", len(args[0]))
    if not options_of(name).distributed_tracing:
        return args
    headers = dict(args[_HEADERS])
    _messages.inject(span, headers)
    return (*args[:_HEADERS], headers, *args[_HEADERS + 1 :])
