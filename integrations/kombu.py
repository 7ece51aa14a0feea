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


def _receives(_consumer: Any, _body: Any, message: Any) -> bool:
    return _kombu_headers.is_work(message.delivery_info.get("exchange") or "")


def _headers(_consumer: Any, _body: Any, message: Any) -> Mapping[str, Any] | None:
    return message.headers if _receives(_consumer, _body, message) else None


def _received(call: Call) -> None:
    message = call.arg(1, "message")
    exchange, key = (message.delivery_info.get(name) for name in ("exchange", "routing_key"))
    _messages.message(call, exchange, {"kombu.exchange": exchange, "kombu.routing_key": key})
    _server(call, call.self.connection)


_receive = Traced(_consumer, "kombu.receive", "worker", _received, _receives)


# receive, because it calls what was registered for a message, decoded and with what is to acknowledge it.
@_consumer.replaces("kombu.messaging:Consumer.receive")
def receive(original: Any) -> Any:
    return _messages.handles(_consumer, _receive, original, _headers, _consumer.options)


def _server(call: Call, connection: Any) -> None:
    """Describe the broker; the memory transport has neither host nor port."""
    if connection is None:
        return
    call.tags["out.vhost"] = str(connection.virtual_host or "/")
    call.tags["out.host"] = str(connection.hostname or "localhost")
    port = connection.port or connection.get_transport_cls().default_port
    if port:
        call.metrics["network.destination.port"] = int(port)
