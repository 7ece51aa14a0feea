"""Rows of the table of settings: the profiler's."""

from __future__ import annotations

from ddmiddleware.tracing.settings_addresses import folder
from ddmiddleware.tracing.settings_row import Setting
from ddmiddleware.tracing.settings_values import (
    auto_boolean,
    boolean,
    milliseconds,
    pairs,
    percent,
    seconds,
    seconds_as_ms,
    whole,
)

PROFILING = (
    Setting("DD_PROFILING_ENABLED", auto_boolean, False, "Profile the process, under ddmiddleware-run."),
    Setting(
        "DD_PROFILING_ON_DEMAND_ENABLED",
        boolean,
        True,
        "Let the same user ask a profiled process for a profile: ddmiddleware profile, ddmiddleware top.",
    ),
    Setting(
        "DD_PROFILING_ON_DEMAND_DIR",
        folder,
        "",
        "Folder of the sockets for that; /tmp/ddmiddleware-<user id> if unset.",
    ),
    Setting("DD_PROFILING_STACK_ENABLED", boolean, True, "Profile CPU and wall time."),
    Setting("DD_PROFILING_MEMORY_ENABLED", boolean, True, "Profile what allocates memory."),
    Setting("DD_PROFILING_HEAP_ENABLED", boolean, True, "Profile what holds memory."),
    Setting(
        "DD_PROFILING_HEAP_SAMPLE_SIZE", whole, 512 << 10, "One allocation is looked at per so many bytes, on average."
    ),
    Setting("DD_PROFILING_LOCK_ENABLED", boolean, True, "Profile the wait for locks."),
    Setting("DD_PROFILING_EXCEPTION_ENABLED", boolean, True, "Profile which exceptions are raised where."),
    Setting(
        "DD_PROFILING_EXCEPTION_SAMPLING_INTERVAL", whole, 100, "One exception is looked at of so many, on average."
    ),
    Setting(
        "DD_PROFILING_EXCEPTION_COLLECT_MESSAGE",
        boolean,
        False,
        "Label exceptions with their message; it may be private.",
    ),
    Setting("DD_PROFILING_GC_ENABLED", boolean, True, "Profile the pauses of the garbage collector."),
    Setting("DD_PROFILING_MAX_FRAMES", whole, 64, "How many frames of a stack are kept, from the leaf on."),
    Setting("DD_PROFILING_MAX_TIME_USAGE_PCT", percent, 1.0, "How much of one core sampling may take, in per cent."),
    Setting("DD_PROFILING_IGNORE_PROFILER", boolean, True, "Leave the profiler's own threads out."),
    Setting("DD_PROFILING_ENDPOINT_COLLECTION_ENABLED", boolean, True, "Label samples with the request's endpoint."),
    Setting("DD_PROFILING_UPLOAD_INTERVAL", seconds, 60.0, "How many seconds one profile covers."),
    Setting(
        "DD_PROFILING_API_TIMEOUT_MS",
        milliseconds,
        10_000,
        "How long one upload may take, in milliseconds.",
        (("DD_PROFILING_API_TIMEOUT", seconds_as_ms),),
    ),
    Setting(
        "DD_PROFILING_OUTPUT_PPROF", str, "", "Write <this>.<pid>.<number>.pprof files, and send no profile anywhere."
    ),
    Setting("DD_PROFILING_TAGS", pairs, {}, "More tags of profiles, beside those of DD_TAGS: key:value,key:value."),
    Setting("DD_PROFILING_ENABLE_CODE_PROVENANCE", boolean, False, "Say with profiles which library each file is of."),
    Setting("DD_PROFILING_AGENTLESS", boolean, False, "Send profiles to Datadog itself; needs DD_API_KEY."),
    Setting("DD_API_KEY", str, "", "Key for DD_PROFILING_AGENTLESS.", secret=True),
    Setting("DD_SITE", str, "datadoghq.com", "Datadog's site for DD_PROFILING_AGENTLESS."),
)
