"""Values and keys of tags, under the names of ``ddtrace.ext``."""

__all__ = ["SpanKind", "SpanTypes"]


class SpanTypes:
    """The types of spans."""

    AUTH = "auth"
    CACHE = "cache"
    CASSANDRA = "cassandra"
    ELASTICSEARCH = "elasticsearch"
    GRAPHQL = "graphql"
    GRPC = "grpc"
    HTTP = "http"
    MONGODB = "mongodb"
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
