"""Every setting, in one table: name, type, default, help."""

from __future__ import annotations

from ddmiddleware.tracing.settings_values import (
    Secrets,
    agent_url,
    api_version,
    boolean,
    compression,
    dogstatsd_url,
    exporters,
    extract_behavior,
    folder,
    headers,
    host,
    http_url,
    keys,
    limit,
    milliseconds,
    otel_sampler,
    otlp_protocol,
    pairs,
    pattern,
    port,
    rate,
    rules,
    seconds,
    statuses,
    switches,
    tags_length,
    whole,
    words,
)

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Setting:
    """One row: the environment variable, how its text is read, the default, and what it means.

    The text of a *secret* one is not logged.
    """

    def __init__(
        self,
        name: str,
        parse: Callable[[str], Any],
        default: Any,
        help: str,
        aliases: tuple[str, ...] = (),
        secret: bool = False,
    ) -> None:
        self.name, self.parse, self.default, self.help, self.aliases = name, parse, default, help, aliases
        self.secret = secret


_IDENTITY = (
    Setting(
        "DD_SERVICE", str, "", "Name of the service; guessed from the command line if unset.", ("OTEL_SERVICE_NAME",)
    ),
    Setting("DD_ENV", str, "", "Environment, such as production; a tag of every span."),
    Setting("DD_VERSION", str, "", "Version of the service; a tag of its spans."),
    Setting("DD_TAGS", pairs, {}, "Tags of every span: key:value pairs, separated by commas or spaces."),
    Setting("DD_SERVICE_MAPPING", pairs, {}, "Services to rename: from:to pairs."),
)

_SWITCHES = (
    Setting("DD_TRACE_ENABLED", boolean, True, "false switches everything off: no patch, thread, socket or log line."),
    Setting("DD_TRACE_DEBUG", boolean, False, "Log what ddmiddleware does, at DEBUG on the logger ddmiddleware."),
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

_AGENT = (
    Setting(
        "DD_TRACE_AGENT_URL",
        agent_url,
        "",
        "Address of the collector or agent: http, https or unix:///path; or file:///path, a spool.",
    ),
    Setting(
        "DD_AGENT_HOST", host, "localhost", "Host of the agent, where no URL is given.", ("DD_TRACE_AGENT_HOSTNAME",)
    ),
    Setting("DD_TRACE_AGENT_PORT", port, 8126, "Port of the agent, where no URL is given.", ("DD_AGENT_PORT",)),
    Setting("DD_TRACE_AGENT_TIMEOUT_SECONDS", seconds, 2.0, "How long one request to the agent may take."),
    Setting("DD_TRACE_API_VERSION", api_version, "v0.5", "Version of the agent's protocol: v0.4 or v0.5."),
    Setting("DD_EXTERNAL_ENV", str, "", "What Kubernetes' admission controller says of the pod; sent to the agent."),
)

_OTLP = (
    Setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        http_url,
        "",
        "Address that traces are sent to as OTLP, taken as it is; without one, that of OTEL_EXPORTER_OTLP_ENDPOINT.",
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        http_url,
        "http://localhost:4318",
        "Address of a collector that takes OTLP over HTTP; traces go to /v1/traces below it.",
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        otlp_protocol,
        "http/protobuf",
        "How OTLP is spoken: http/protobuf or http/json.",
        ("OTEL_EXPORTER_OTLP_PROTOCOL",),
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        headers,
        Secrets({}),
        "Headers of each OTLP request: key=value pairs, separated by commas, values percent-encoded.",
        ("OTEL_EXPORTER_OTLP_HEADERS",),
        secret=True,
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        milliseconds,
        10_000,
        "How long one OTLP request may take, in milliseconds.",
        ("OTEL_EXPORTER_OTLP_TIMEOUT",),
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        compression,
        "none",
        "How OTLP bodies are compressed: gzip or none.",
        ("OTEL_EXPORTER_OTLP_COMPRESSION",),
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        str,
        "",
        "File with the certificates (PEM) to trust for OTLP over https; without one, the system's.",
        ("OTEL_EXPORTER_OTLP_CERTIFICATE",),
    ),
)

_DELIVERY = (
    Setting(
        "DD_TRACE_EXPORTERS",
        exporters,
        ("agent",),
        "Where traces go: agent, otlp, console and spool, separated by commas, or none.",
        ("OTEL_TRACES_EXPORTER",),
    ),
    Setting(
        "DD_TRACE_SPOOL_DIR",
        folder,
        "",
        "Folder of the exporter spool; ~/.local/state/ddmiddleware/spool if neither it nor a file:// URL is given.",
    ),
    Setting(
        "DD_TRACE_SPOOL_MAX_BYTES", whole, 64 << 20, "How large the spool may grow; then its oldest files are removed."
    ),
    Setting("DD_TRACE_WRITER_INTERVAL_SECONDS", seconds, 1.0, "How long finished spans may wait before they are sent."),
    Setting(
        "DD_TRACE_WRITER_BUFFER_SIZE_BYTES", whole, 8 << 20, "How much is kept while the agent is away; then dropped."
    ),
    Setting(
        "DD_TRACE_WRITER_MAX_SPANS", whole, 50_000, "How many finished spans may wait to be encoded; then dropped."
    ),
    Setting(
        # With what the rest of an exit takes, a collector that hangs costs a second.
        "DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS",
        seconds,
        0.8,
        "How long sending the rest may delay the process's exit.",
    ),
    Setting("DD_TRACE_PARTIAL_FLUSH_ENABLED", boolean, True, "Send the finished spans of a long trace before it ends."),
    Setting("DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", whole, 300, "How many finished spans make a partial flush."),
)

_METRICS = (
    Setting(
        "DD_TRACE_STATS_COMPUTATION_ENABLED",
        boolean,
        False,
        "Count requests, errors and durations here, of all traces, instead of in the agent.",
        ("DD_TRACE_COMPUTE_STATS",),
    ),
    Setting(
        "DD_TRACE_STATS_CARDINALITY_LIMIT",
        whole,
        7000,
        "How many kinds of span are counted apart within ten seconds; further ones are counted as one.",
    ),
    Setting(
        "DD_RUNTIME_METRICS_ENABLED",
        boolean,
        False,
        "Send CPU, memory, thread, garbage collection and event loop metrics of the process by DogStatsD.",
    ),
    Setting(
        "DD_RUNTIME_METRICS_RUNTIME_ID_ENABLED",
        boolean,
        False,
        "Tag metrics with the process's runtime-id.",
        ("DD_TRACE_EXPERIMENTAL_RUNTIME_ID_ENABLED",),
    ),
    Setting("DD_RUNTIME_METRICS_INTERVAL_SECONDS", seconds, 10.0, "How often metrics of the process are sent."),
    Setting("DD_TRACE_HEALTH_METRICS_ENABLED", boolean, False, "Send metrics of ddmiddleware itself by DogStatsD."),
    Setting("DD_DOGSTATSD_URL", dogstatsd_url, "", "Address of the DogStatsD server: udp://host:port or unix:///path."),
    Setting(
        "DD_DOGSTATSD_HOST", host, "", "Host of the DogStatsD server, where no URL is given; the agent's if unset."
    ),
    Setting(
        "DD_DOGSTATSD_PORT",
        port,
        0,
        "Port of the DogStatsD server; without a host either, /var/run/datadog/dsd.socket if it is there, or 8125.",
    ),
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

_LOGS = (Setting("DD_LOGS_INJECTION", boolean, True, "Add trace and span ids to log records."),)

_REQUESTS = (
    Setting(
        "DD_TRACE_HTTP_SERVER_ERROR_STATUSES", statuses, statuses("500-599"), "Statuses that make a request an error."
    ),
)

TABLE = (
    *_IDENTITY,
    *_SWITCHES,
    *_PROPAGATION,
    *_SAMPLING,
    *_AGENT,
    *_OTLP,
    *_DELIVERY,
    *_METRICS,
    *_PRIVACY,
    *_LOGS,
    *_REQUESTS,
)
