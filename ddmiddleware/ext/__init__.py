"""Values and keys of tags, under the names of ``ddtrace.ext``."""

import contextlib

__all__ = ["SpanKind", "SpanLinkKind", "SpanTypes"]


class SpanTypes:
    """The types of spans."""

    AUTH = "auth"
    CACHE = "cache"
    CASSANDRA = "cassandra"
    COSMOS = "cosmosdb"
    ELASTICSEARCH = "elasticsearch"
    GRAPHQL = "graphql"
    GRPC = "grpc"
    HTTP = "http"
    LLM = "llm"
    MONGODB = "mongodb"
    RAY = "ray"
    REDIS = "redis"
    SERVERLESS = "serverless"
    SQL = "sql"
    SYSTEM = "system"
    TEMPLATE = "template"
    TEST = "test"
    VALKEY = "valkey"
    WEB = "web"
    WEBSOCKET = "websocket"
    WORKER = "worker"


class SpanKind:
    """The values of the tag ``span.kind``."""

    CLIENT = "client"
    CONSUMER = "consumer"
    INTERNAL = "internal"
    PRODUCER = "producer"
    SERVER = "server"


class SpanLinkKind:
    """The values of a link's attribute ``dd.kind``."""

    EXECUTED = "executed_by"
    RESUMING = "resuming"


def __getattr__(name: str) -> object:
    """Load ``ext.http`` and the like with their first user, who may have imported no more than this."""
    from importlib import import_module

    if not name.startswith("_"):
        with contextlib.suppress(ModuleNotFoundError):
            return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
