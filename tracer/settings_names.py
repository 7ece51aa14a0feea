"""Names in the environment that look like settings and are none: mistyped, or of ddtrace and without effect here."""

from __future__ import annotations

from ddmiddleware.tracing.settings_table import TABLE

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Iterable

# Anything that begins so is meant for us. What else begins with DD_ may be the agent's, or any other tool's: of that,
# only what is almost one of our names is called mistyped.
_OURS = ("DD_TRACE_", "DD_PROFILING_")
_LIKE, _ALMOST = 0.7, 0.88

# One integration's settings, with the other spellings that ddtrace's users know.
_PATTERNS = (
    "DD_TRACE_{}_ENABLED",
    "DD_{}_SERVICE",
    "DD_{}_SERVICE_NAME",
    "DD_{}_DISTRIBUTED_TRACING",
    "DD_{}_DISTRIBUTED_TRACING_ENABLED",
    "DD_{}_SPLIT_BY_DOMAIN",
)

# Of ddtrace, left out on purpose: other products, its back ends, and what is always so here. Names of ours go first.
_LEFT_OUT = """
DD_API_SECURITY_ DD_APP_KEY DD_AGENTLESS_ DD_APM_ DD_APPSEC_ DD_AI_GUARD_ DD_IAST_ DD_SCA_ DD_LLMOBS_
DD_CIVISIBILITY_ DD_TEST_ DD_PYTEST_ DD_COVERAGE_ DD_CODE_ORIGIN_ DD_DYNAMIC_INSTRUMENTATION_ DD_EXCEPTION_
DD_SYMBOL_DATABASE_ DD_DEBUGGER_ DD_LIVE_DEBUGGING_ DD_DISTRIBUTED_DEBUGGER_ DD_REMOTE_CONFIG DD_CRASHTRACKING_
DD_INJECT DD_LIB_ DD_INSTRUMENTATION_ DD_TELEMETRY_ DD_DATA_STREAMS_ DD_DATA_JOBS_ DD_OPENLINEAGE_ DD_FEATURE_
DD_EXPERIMENTAL_ DD_METRICS_OTEL_ DD_LOGS_OTEL_ DD_TESTING_ DD_UNLOAD_MODULES_ DD_CALL_BASIC_CONFIG
DD_PRIORITY_SAMPLING DD_GEVENT_PATCH_ALL DD_TRACE_EXPERIMENTAL_ DD_TRACE_API_SECURITY_ DD_TRACE_CLOUD_ DD_TRACE_RAY_
DD_TRACE_LOG_ DD_TRACE_NATIVE_ DD_TRACE_AGENT_PROTOCOL_VERSION DD_TRACE_SAFE_INSTRUMENTATION_ DD_TRACE_WRITER_REUSE_
DD_PROFILING_CAPTURE_PCT DD_PROFILING_ENABLE_ASSERTS DD_PROFILING_LOCK_ DD_PROFILING_MAX_EVENTS DD_PROFILING_MEMORY_
DD_PROFILING_NATIVE_ DD_PROFILING_PYTORCH_ DD_PROFILING_SAMPLE_POOL_ DD_PROFILING_STACK_ DD_PROFILING_TIMELINE_
"""
_LIBRARIES = """
aiobotocore aiohttp aiohttp_client aiohttp_jinja2 aiokafka aiomysql aiopg algoliasearch anthropic aredis asgi
asyncio asyncpg avro aws_lambda azure_functions azure_servicebus boto botocore bottle cassandra celery cherrypy
consul coverage django dogpile_cache dramatiq elasticsearch falcon fastapi flask flask_cache futures gevent
google_generativeai graphql grpc gunicorn httplib httpx jinja2 kafka kombu langchain langgraph litellm logbook
logging loguru mako mariadb molten mongoengine mysql mysqldb openai protobuf psycopg pylibmc pylons pymemcache
pymongo pymysql pynamodb pyodbc pyramid pytest ray redis rediscluster requests rq sanic selenium snowflake
sqlalchemy sqlite3 starlette structlog subprocess tornado unittest urllib urllib3 uvicorn valkey vertica vertexai
webbrowser wsgi yaaredis
"""


def known(components: Iterable[str]) -> set[str]:
    """Return every name that is a setting, with the patterns filled in for *components*."""
    names = {name for row in TABLE for name in (row.name, *row.aliases)}
    names.update(pattern.format(component.upper()) for component in components for pattern in _PATTERNS)
    return names


def of_integrations(environ: Iterable[str], components: Iterable[str]) -> list[str]:
    """Return the names of *environ* that set something of a single integration."""
    names = {pattern.format(component.upper()) for component in components for pattern in _PATTERNS}
    return sorted(names.intersection(environ).difference(row.name for row in TABLE))


def sorted_out(environ: Iterable[str], components: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return the mistyped names of *environ*, each with the setting most like it or ``""``, and those of ddtrace."""
    names = known(components)
    unknown = sorted(name for name in environ if name.startswith("DD_") and name not in names)
    if not unknown:
        return {}, []
    from difflib import get_close_matches

    # Of a product that has no settings yet, nothing is mistyped.
    ours = tuple(prefix for prefix in _OURS if any(name.startswith(prefix) for name in names))
    left = known(_LIBRARIES.split())
    left_out_prefixes = tuple(_LEFT_OUT.split())
    mistyped: dict[str, str] = {}
    left_out = []
    for name in unknown:
        if name in left or name.startswith(left_out_prefixes):
            left_out.append(name)
        elif almost := get_close_matches(name, names, 1, _ALMOST):
            mistyped[name] = almost[0]
        elif _is_of_a_library(name):
            left_out.append(name)
        elif name.startswith(ours):
            mistyped[name] = "".join(get_close_matches(name, names, 1, _LIKE))
    return mistyped, left_out


def has_config_in_ddtrace(library: str) -> bool:
    """Return whether *library* is one that ddtrace traces: ``config.<library>`` is there for it."""
    return library in ("dbapi2", "grpc_server", "psycopg2", *_LIBRARIES.split())


def _is_of_a_library(name: str) -> bool:
    """Return whether *name* is about a library that ddtrace traces: on or off, or an option of its own."""
    rest = name.removeprefix("DD_").removeprefix("TRACE_").lower()
    return any(rest.startswith(f"{library}_") for library in _LIBRARIES.split())


def warning(mistyped: dict[str, str]) -> str:
    """Return one line that names every mistyped setting and what may be meant."""
    return ", ".join(f"{name} (is it {nearest}?)" if nearest else name for name, nearest in mistyped.items())
