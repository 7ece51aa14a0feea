"""The messages of a websocket, each a short trace of its own, linked to the handshake that they came after.

A connection may stay for days, so nothing spans it. ``websocket.receive`` begins when a message has come in and covers
what is done about it: until the next one is asked for, the connection ends, or it has gone on for too long.
``websocket.send`` covers one call, below what led to it. An idle connection has no open span.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ddmiddleware._request import Request
from ddmiddleware.tracing import Context, Span, active, default_tracer, guarded

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# One message may make the application send for ever: what has gone on for so long is no answer to it any more.
_ANSWERS_MAX = 100
_HANDLED_MAX_S = 10


class Connection:
    """What the application of one websocket receives and sends with."""

    __slots__ = ("_answering", "_handled", "_receive", "_request", "_send", "_sent")

    def __init__(self, request: Request, receive: Receive, send: Send, answering: Send) -> None:
        """*answering* sends until the handshake is accepted."""
        self._request = request
        self._receive = receive
        self._send = send
        self._answering: Send | None = answering
        self._handled: Span | None = None
        self._sent = 0

    async def receive(self) -> Message:
        """Wait for the next message; the one before is done with."""
        with guarded:
            self.finish()
        message = await self._receive()
        with guarded:
            if self._answering is None and self._request.span.trace_id:  # else it is not traced
                self._received(message)
        return message

    async def send(self, message: Message) -> None:
        """Send one message."""
        if self._answering is not None:
            await self._answering(message)
            with guarded:
                if message["type"] == "websocket.accept":
                    self._answering = None
            return
        span = None
        with guarded:
            span = self._begin(message)
        try:
            await self._send(message)
        except BaseException as error:
            with guarded:
                if span is not None and not isinstance(error, OSError):  # which says that the client is gone
                    _note(span, error)
            raise
        finally:
            with guarded:
                if span is not None:
                    span.finish()

    def failed(self, error: BaseException) -> None:
        """Note an exception that leaves the application, on the message that it came of."""
        if self._handled is not None:
            _note(self._handled, error)

    def finish(self) -> None:
        """End the span of the message that was being handled."""
        handled, self._handled = self._handled, None
        if handled is not None:
            handled.finish()

    def _received(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.receive":
            self._sent = 0
            self._handled = span = self._root(kind, "consumer", "executed_by", True)
            _describe(span, message)
        elif kind == "websocket.disconnect":
            span = self._root("websocket.close", "consumer", "executed_by", False)
            _describe(span, message)
            span.finish()

    def _begin(self, message: Message) -> Span | None:
        kind = message["type"]
        if (kind != "websocket.send" and kind != "websocket.close") or not self._request.span.trace_id:
            return None
        self._sent += 1
        handled = self._handled
        if handled is not None and (
            self._sent > _ANSWERS_MAX or handled.now() - handled.start_ns / 1e9 > _HANDLED_MAX_S
        ):
            self.finish()
        above = active.get()
        if type(above) is Span and above.duration_ns is None:
            span = default_tracer.trace(kind, None, self._resource, "websocket")
            self._tag(span, "producer")
        else:
            span = self._root(kind, "producer", "resuming", True)
        _describe(span, message)
        return span

    @property
    def _resource(self) -> str:
        route = self._request.span._meta.get("http.route")
        return f"websocket {route}" if route else "websocket"

    def _root(self, name: str, kind: str, link: str, activate: bool) -> Span:
        """Start a trace: with the handshake's sampling decision and baggage, and a link to it."""
        handshake = self._request.span
        span = default_tracer.start_span(
            name, Context(propagated=handshake._trace), handshake.service, self._resource, "websocket", activate
        )
        span.link_span(handshake.context, {"dd.kind": link})
        self._tag(span, kind)
        return span

    def _tag(self, span: Span, kind: str) -> None:
        span._meta["component"] = self._request.span._meta["component"]
        span._meta["span.kind"] = kind


def _describe(span: Span, message: Message) -> None:
    tags, numbers = span._meta, span._metrics
    content = message.get("text")
    if content is not None:
        tags["websocket.message.type"] = "text"
        numbers["websocket.message.length"] = len(content) if content.isascii() else len(content.encode())
    elif message.get("bytes") is not None:
        tags["websocket.message.type"] = "binary"
        numbers["websocket.message.length"] = len(message["bytes"])
    elif span.name == "websocket.close":
        numbers["websocket.close.code"] = message.get("code", 1000)  # RFC 6455, section 7.4.1
        if message.get("reason"):
            tags["websocket.close.reason"] = message["reason"]


def _note(span: Span, error: BaseException) -> None:
    if isinstance(error, Exception):
        span.set_exc_info(type(error), error, error.__traceback__)
