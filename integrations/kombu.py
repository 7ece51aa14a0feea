"""Messages published and received with kombu; celery's own are celery's spans.

https://docs.celeryq.dev/projects/kombu
"""

from collections.abc import Mapping
from typing import Any

from ddmiddleware.integrations import _kombu_headers, _messages
from ddmiddleware.integrations._patching import Call, Integration, Traced

_consumer = Integration("kombu", requires="kombu>=4.6.6", service="kombu", kind="consumer")
integration = Integration(
    "kombu",
    requires="kombu>=4.6.6",
    service="kombu",
    kind="producer",
    wire="message",
    parts=(_consumer, _kombu_headers.integration),
)


def _publishes(producer: Any, *args: Any, **kwargs: Any) -> bool:
    given = kwargs.get("exchange") or (args[11] if len(args) > 11 else None)
    return _kombu_headers.is_work(given or producer.exchange)


# publish, because what it tries again is still one message.
@integration.traces("kombu.messaging:Producer.publish", name="kombu.publish", type="worker", when=_publishes)
def publish(call: Call) -> None:
    exchange = call.arg(11, "exchange") or call.self.exchange
    _messages.message(call, str(getattr(exchange, "name", exchange) or ""), {})
    _server(call, call.self.connection)


def _receives(_of: Any, *arguments: Any, **named: Any) -> bool:
    return _kombu_headers.is_work(_message(arguments, named).delivery_info.get("exchange") or "")


def _headers(_of: Any, *arguments: Any, **named: Any) -> Mapping[str, Any] | None:
    return _message(arguments, named).headers if _receives(_of, *arguments, **named) else None


def _message(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    return named["message"] if "message" in named else arguments[-1]


def _received(call: Call) -> None:
    message = _message(call.args, call.kwargs)
    exchange, key = (message.delivery_info.get(name) for name in ("exchange", "routing_key"))
    _messages.message(call, exchange, {"kombu.exchange": exchange, "kombu.routing_key": key})
    _server(call, getattr(getattr(call.self.channel, "connection", None), "client", None))


_receive = Traced(_consumer, "kombu.receive", "worker", _received, _receives)


# receive, because it calls what was registered for a message, decoded and with what is to acknowledge it.
@_consumer.replaces("kombu.messaging:Consumer.receive")
def receive(original: Any) -> Any:
    return _messages.handles(_consumer, _receive, original, _headers, _consumer.options)


def _handles(consumer: Any, *arguments: Any, **named: Any) -> bool:
    """Return whether the application has set a function for messages as they come; celery's has spans of its own."""
    handler = consumer.on_message
    return (
        handler is not None
        and not str(getattr(handler, "__module__", "")).startswith("celery.")
        and _receives(consumer, *arguments, **named)
    )


def _headers_handled(consumer: Any, *arguments: Any, **named: Any) -> Mapping[str, Any] | None:
    return _message(arguments, named).headers if _handles(consumer, *arguments, **named) else None


_handle = Traced(_consumer, "kombu.receive", "worker", _received, _handles)


# _receive_callback, because on_message is called here, with a message as it came, and in place of receive.
@_consumer.replaces("kombu.messaging:Consumer._receive_callback")
def handle(original: Any) -> Any:
    return _messages.handles(_consumer, _handle, original, _headers_handled, _consumer.options)


# get, because what asks for one message ends here: SimpleQueue.get(block=False), and Consumer.fetch of kombu.compat.
@_consumer.replaces("kombu.entity:Queue.get")
def get(original: Any) -> Any:
    return _messages.takes(_consumer, _receive, original, _headers, _consumer.options)


def _server(call: Call, connection: Any) -> None:
    """Describe the broker; the memory transport has neither host nor port."""
    if connection is None:
        return
    call.tags["out.vhost"] = str(connection.virtual_host or "/")
    call.tags["out.host"] = str(connection.hostname or "localhost")
    port = connection.port or connection.get_transport_cls().default_port
    if port:
        call.metrics["network.destination.port"] = int(port)
