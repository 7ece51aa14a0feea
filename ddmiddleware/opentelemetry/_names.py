"""The operation's name of an OpenTelemetry span, from its kind and attributes, as Datadog's mapping has it.

OpenTelemetry has one name, which says what ours calls the resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import SpanKind


def operation_name(kind: SpanKind, attributes: Mapping[str, Any]) -> str:
    """Return a name such as ``http.server.request`` or ``postgresql.query``; an own ``operation.name`` comes first."""

    def value(*keys: str) -> str:
        return next((str(attributes[key]).lower() for key in keys if attributes.get(key)), "")

    own = attributes.get("operation.name")
    if own:
        return str(own)
    client, server = kind is SpanKind.CLIENT, kind is SpanKind.SERVER
    side = "server" if server else "client"
    if value("http.request.method", "http.method") and (client or server):
        return f"http.{side}.request"
    database = value("db.system.name", "db.system")
    if database and client:
        return f"{database}.query"
    messages, operation = value("messaging.system"), value("messaging.operation.type", "messaging.operation")
    if messages and operation and kind is not SpanKind.INTERNAL:
        return f"{messages}.{operation}"
    rpc = value("rpc.system")
    if rpc and (client or server):
        service = value("rpc.service")
        if rpc == "aws-api" and client:
            return f"aws.{service}.request" if service else "aws.client.request"
        return f"{rpc}.{side}.request"
    provider, function = value("faas.invoked_provider"), value("faas.invoked_name")
    if provider and function and client:
        return f"{provider}.{function}.invoke"
    if value("faas.trigger") and server:
        return f"{value('faas.trigger')}.invoke"
    if value("graphql.operation.type"):
        return "graphql.server.request"
    if client or server:
        protocol = value("network.protocol.name")
        return f"{protocol}.{side}.request" if protocol else f"{side}.request"
    return kind.name.lower()


def span_type(kind: SpanKind, attributes: Mapping[str, Any]) -> str | None:
    """Return our type of the span: ``web``, ``http``, ``sql`` and so on, or None."""
    if attributes.get("span.type"):
        return str(attributes["span.type"])
    if kind is SpanKind.SERVER:
        return "web"
    if kind is SpanKind.CLIENT:
        system = attributes.get("db.system.name") or attributes.get("db.system")
        if not system:
            return "http"
        kinds = {"redis": "redis", "memcached": "memcached", "mongodb": "mongodb", "cassandra": "cassandra"}
        return {**kinds, "elasticsearch": "elasticsearch"}.get(str(system).lower(), "sql")
    return None
