"""Rows of the table of settings: where spans and metrics go, and how they get there."""

from __future__ import annotations

from ddmiddleware.tracing.settings_addresses import agent_url, dogstatsd_url, folder, host, http_url, port
from ddmiddleware.tracing.settings_row import Setting
from ddmiddleware.tracing.settings_values import (
    Secrets,
    api_version,
    boolean,
    compression,
    exporters,
    headers,
    metrics_exporter,
    milliseconds,
    otlp_protocol,
    seconds,
    whole,
)

AGENT = (
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

OTLP = (
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

DELIVERY = (
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

METRICS = (
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
    Setting(
        "DD_TRACE_HTTP_METRICS_ENABLED",
        boolean,
        False,
        "Send durations, body sizes and the number of active requests that are served, by DogStatsD.",
    ),
    Setting("OTEL_METRICS_EXPORTER", metrics_exporter, "none", "otlp sends the same to a collector, as OTLP."),
    Setting(
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        http_url,
        "",
        "Address that metrics are sent to as OTLP; without one, /v1/metrics below OTEL_EXPORTER_OTLP_ENDPOINT.",
    ),
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
