"""Who is measured, and the environment each one runs in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "benchmarks" / ".work"

# What the caller's shell says about tracing, Python or proxies must not decide a figure; every sink is on loopback.
_FOREIGN = ("DD_", "_DD_", "OTEL_", "PYTHON", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


# Compared by identity, to be a key although the mapping is none.
@dataclass(frozen=True, eq=False)
class Peer:
    name: str
    label: str
    module: str
    environment: Mapping[str, str] = field(default_factory=dict)


NOTHING = Peer("nothing", "nothing (baseline)", "benchmarks.peer_nothing")
OURS = Peer("ddmiddleware", "ddmiddleware", "benchmarks.peer_ddmiddleware")
DDTRACE = Peer("ddtrace", "ddtrace", "benchmarks.peer_ddtrace")
DDTRACE_QUIET = Peer(
    "ddtrace-quiet",
    "ddtrace, telemetry and remote config off",
    "benchmarks.peer_ddtrace",
    {"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_REMOTE_CONFIGURATION_ENABLED": "false"},
)
OPENTELEMETRY = Peer("opentelemetry", "OpenTelemetry", "benchmarks.peer_opentelemetry")

DDTRACES = (DDTRACE, DDTRACE_QUIET)
TRACERS = (OURS, *DDTRACES, OPENTELEMETRY)


def environment(peer: Peer, sink_url: str, **more: str) -> dict[str, str]:
    """The variables a child of this peer starts with."""
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}
    return {
        **clean,
        "DD_SERVICE": "benchmark",
        "DD_TRACE_AGENT_URL": sink_url,
        "OTEL_SERVICE_NAME": "benchmark",
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink_url,
        **peer.environment,
        **more,
    }
