"""Names and numbers of the Datadog trace protocol that users write themselves."""

USER_REJECT = -1
AUTO_REJECT = 0
AUTO_KEEP = 1
USER_KEEP = 2

MANUAL_KEEP_KEY = "manual.keep"
MANUAL_DROP_KEY = "manual.drop"

ERROR_MSG = "error.message"
ERROR_TYPE = "error.type"
ERROR_STACK = "error.stack"

ENV_KEY = "env"
VERSION_KEY = "version"
SERVICE_KEY = "service.name"
SERVICE_VERSION_KEY = "service.version"
SPAN_KIND = "span.kind"
SPAN_MEASURED_KEY = "_dd.measured"

DECISION_MAKER = "_dd.p.dm"
HIGH_TRACE_ID = "_dd.p.tid"
LAST_PARENT_KEY = "_dd.parent_id"
ORIGIN_KEY = "_dd.origin"
PARTIAL_FLUSH = "_dd.py.partial_flush"
SAMPLING_PRIORITY = "_sampling_priority_v1"
TOP_LEVEL = "_dd.top_level"
USER_ID = "_dd.p.usr.id"
TRACER_KEPT_RATE = "_dd.tracer_kr"
