"""Every setting, in one table: name, type, default, help."""

from __future__ import annotations

from ddmiddleware.tracing.settings_delivery import AGENT, DELIVERY, METRICS, OTLP
from ddmiddleware.tracing.settings_identity import IDENTITY, NAMING
from ddmiddleware.tracing.settings_profiling import PROFILING
from ddmiddleware.tracing.settings_row import Setting
from ddmiddleware.tracing.settings_values import (
    boolean,
    database_comments,
    debug_level,
    extract_behavior,
    header,
    header_tags,
    inverted,
    keys,
    limit,
    otel_sampler,
    pattern,
    patterns,
    rate,
    rules,
    seconds,
    statuses,
    switches,
    tags_length,
    words,
)

_SWITCHES = (
    Setting(
        "DD_TRACE_ENABLED",
        boolean,
        True,
        "false switches tracing off: no patch, thread, socket or log line. Profiling has a switch of its own.",
        (("OTEL_SDK_DISABLED", inverted),),
    ),
    Setting(
        "DD_TRACE_DEBUG",
        boolean,
        False,
        "Log what ddmiddleware does, at DEBUG on the logger ddmiddleware.",
        (("OTEL_LOG_LEVEL", debug_level),),
    ),
    Setting("DD_PATCH_MODULES", switches, {}, "Integrations to switch, for patch_all: redis:false,httpx:true."),
)

_PROPAGATION = (
    Setting(
        "DD_TRACE_PROPAGATION_STYLE",
        words,
        ("datadog", "tracecontext", "baggage"),
        "Formats of trace headers, the leading one first: datadog, tracecontext, b3multi, b3, baggage, none.",
        ("OTEL_PROPAGATORS",),
    ),
    Setting("DD_TRACE_PROPAGATION_STYLE_EXTRACT", words, (), "Those of requests that come in, where they differ."),
    Setting("DD_TRACE_PROPAGATION_STYLE_INJECT", words, (), "Those of requests that go out, where they differ."),
    Setting(
        "DD_TRACE_PROPAGATION_EXTRACT_FIRST",
        boolean,
        False,
        "Look no further than the first format that a valid context came in.",
    ),
    Setting(
        "DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT",
        extract_behavior,
        "continue",
        "What becomes of an incoming trace: continue, restart (a new one, linked to it) or ignore.",
    ),
    Setting(
        "DD_TRACE_PROPAGATION_HOSTS",
        words,
        (),
        "Hosts that trace headers are sent to, such as *.example.com,10.*; all if unset.",
    ),
    Setting("DD_TRACE_PROPAGATION_HTTP_BAGGAGE_ENABLED", boolean, False, "Use the older headers ot-baggage-* as well."),
    Setting(
        "DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH",
        tags_length,
        512,
        "The most characters of x-datadog-tags that are sent, up to 512; 0 for no such header.",
    ),
    Setting(
        "DD_TRACE_BAGGAGE_TAG_KEYS",
        keys,
        ("user.id", "account.id", "session.id"),
        "Baggage that becomes a tag (baggage.<key>) of the first span in a process; * for all of it.",
    ),
    Setting(
        "DD_DBM_PROPAGATION_MODE",
        database_comments,
        "disabled",
        "What a comment before each SQL statement tells the database: service, or full with the trace's ids as well.",
    ),
    Setting("DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED", boolean, True, "Make trace ids of 128 bits, not of 64."),
)

_SAMPLING = (
    Setting("DD_TRACE_SAMPLING_RULES", rules, "", "Which traces are kept, a JSON list: see docs/sampling.md."),
    Setting("DD_TRACE_SAMPLE_RATE", rate, None, "Share of traces to keep where no rule matches, from 0 to 1."),
    Setting("DD_TRACE_RATE_LIMIT", limit, 100.0, "How many traces a second the rules may keep; negative for no limit."),
    Setting("DD_SPAN_SAMPLING_RULES", rules, "", "Which spans of other traces are kept all the same, a JSON list."),
    Setting("DD_SPAN_SAMPLING_RULES_FILE", str, "", "Path of a file with that list, where it is not given itself."),
    Setting("OTEL_TRACES_SAMPLER", otel_sampler, "", "OpenTelemetry's word for DD_TRACE_SAMPLE_RATE."),
    Setting("OTEL_TRACES_SAMPLER_ARG", rate, 1.0, "The rate of OTEL_TRACES_SAMPLER=traceidratio."),
)

_PRIVACY = (
    Setting("DD_TRACE_REDACTION_ENABLED", boolean, True, "Cut secrets and literals of statements out of what is sent."),
    Setting("DD_TRACE_REDACT_KEYS", keys, (), "More names of secrets, for tags, parameters and texts: iban,badge_id."),
    Setting(
        "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP",
        pattern,
        "",
        "What else is cut out of texts with a query; set to nothing it leaves parameters as they are.",
        ("DD_TRACE_OBFUSCATION_QUERY_STRING_PATTERN",),
    ),
)

_LOGS = (
    Setting("DD_LOGS_INJECTION", boolean, True, "Add trace and span ids to log records."),
    Setting("DD_TRACE_STARTUP_LOGS", boolean, False, "Log the settings in force, at INFO, when tracing begins."),
    Setting("DD_TRACE_LOGGING_RATE", seconds, 60.0, "How long the same error of ours is not logged again."),
)

_REQUESTS = (
    Setting("DD_TRACE_HEADER_TAGS", header_tags, {}, "Request and response headers to tag: header or header:tag."),
    Setting(
        "DD_TRACE_QUERY_STRING_ENABLED", boolean, False, "Tag requests with their query string, http.query.string."
    ),
    Setting("DD_HTTP_SERVER_TAG_QUERY_STRING", boolean, False, "Keep the query string of requests in http.url."),
    Setting(
        "DD_TRACE_HTTP_SERVER_ERROR_STATUSES", statuses, statuses("500-599"), "Statuses that make a request an error."
    ),
    Setting(
        "DD_TRACE_EXCLUDED_URLS",
        patterns,
        (),
        "Requests not to trace: regular expressions, separated by commas, searched in the URL without its query.",
        ("OTEL_PYTHON_EXCLUDED_URLS",),
    ),
    Setting("DD_TRACE_CLIENT_IP_ENABLED", boolean, False, "Tag requests with the address of their client."),
    Setting("DD_TRACE_CLIENT_IP_HEADER", header, "", "The only header to take the client's address from."),
    Setting(
        "DD_TRACE_INFERRED_PROXY_SERVICES_ENABLED",
        boolean,
        False,
        "Make a span of the API gateway before the service, where it describes itself in x-dd-proxy headers.",
        ("DD_TRACE_INFERRED_SPANS_ENABLED",),
    ),
    Setting(
        "DD_TRACE_WEBSOCKET_MESSAGES_ENABLED",
        boolean,
        True,
        "Make a trace of each message of a websocket, linked to its handshake.",
        ("DD_ASGI_TRACE_WEBSOCKET",),
    ),
    Setting(
        "DD_FLASK_INSTRUMENT_STEPS",
        boolean,
        False,
        "Make spans of Flask's views, functions around requests and error handlers.",
    ),
    Setting("DD_FLASK_INSTRUMENT_TEMPLATES", boolean, False, "Make spans of the templates that Flask renders."),
    Setting("DD_FLASK_TRACE_SIGNALS", boolean, False, "Make spans of Flask's signals that anybody receives."),
)

_DJANGO = (
    Setting("DD_DJANGO_INSTRUMENT_MIDDLEWARE", boolean, False, "Make spans of Django's middleware; needs patch_all()."),
    Setting("DD_DJANGO_INSTRUMENT_VIEWS", boolean, False, "Make spans of Django's views."),
    Setting("DD_DJANGO_INSTRUMENT_TEMPLATES", boolean, True, "Make spans of the outermost templates of Django."),
    Setting("DD_DJANGO_INSTRUMENT_CACHES", boolean, True, "Make spans of Django's cache calls."),
    Setting("DD_DJANGO_INSTRUMENT_DATABASES", boolean, True, "Make spans of Django's queries, if no driver does."),
    Setting("DD_DJANGO_DATABASE_SERVICE", str, "", "Service of Django's queries; the alias followed by db if unset."),
    Setting("DD_DJANGO_CACHE_SERVICE", str, "", "Service of Django's cache calls; that of the request if unset."),
    Setting("DD_DJANGO_INCLUDE_USER_ID", boolean, False, "Tag Django's requests with the user's id."),
    Setting("DD_DJANGO_INCLUDE_USER_NAME", boolean, False, "Tag Django's requests with the user's name."),
    Setting("DD_DJANGO_INCLUDE_USER_EMAIL", boolean, False, "Tag Django's requests with the user's email address."),
)

TABLE = (
    *IDENTITY,
    *_SWITCHES,
    *NAMING,
    *_PROPAGATION,
    *_SAMPLING,
    *AGENT,
    *OTLP,
    *DELIVERY,
    *METRICS,
    *_PRIVACY,
    *_LOGS,
    *_REQUESTS,
    *_DJANGO,
    *PROFILING,
)
