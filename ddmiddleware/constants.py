"""Names and numbers that users write themselves, under the names of ``ddtrace.constants``."""

from ddmiddleware.tracing import constants as _names

AUTO_KEEP = _names.AUTO_KEEP
AUTO_REJECT = _names.AUTO_REJECT
USER_KEEP = _names.USER_KEEP
USER_REJECT = _names.USER_REJECT
ENV_KEY = _names.ENV_KEY
ERROR_MSG = _names.ERROR_MSG
ERROR_STACK = _names.ERROR_STACK
ERROR_TYPE = _names.ERROR_TYPE
MANUAL_DROP_KEY = _names.MANUAL_DROP_KEY
MANUAL_KEEP_KEY = _names.MANUAL_KEEP_KEY
ORIGIN_KEY = _names.ORIGIN_KEY
SAMPLING_PRIORITY_KEY = _names.SAMPLING_PRIORITY
SERVICE_KEY = _names.SERVICE_KEY
SERVICE_VERSION_KEY = _names.SERVICE_VERSION_KEY
SPAN_KIND = _names.SPAN_KIND
SPAN_MEASURED_KEY = _names.SPAN_MEASURED_KEY
VERSION_KEY = _names.VERSION_KEY
HOSTNAME_KEY = "_dd.hostname"
PID = "process_id"
SAMPLING_AGENT_DECISION = "_dd.agent_psr"
SAMPLING_LIMIT_DECISION = "_dd.limit_psr"
SAMPLING_RULE_DECISION = "_dd.rule_psr"
SINGLE_SPAN_SAMPLING_MAX_PER_SEC = "_dd.span_sampling.max_per_second"
SINGLE_SPAN_SAMPLING_MECHANISM = "_dd.span_sampling.mechanism"
SINGLE_SPAN_SAMPLING_RATE = "_dd.span_sampling.rule_rate"
BASE_SERVICE_KEY = "_dd.base_service"
KEEP_SPANS_RATE_KEY = _names.TRACER_KEPT_RATE
USER_ID_KEY = _names.USER_ID
# Of ddtrace 1.x: the key in its settings, and what nothing reads any more.
FILTERS_KEY = "FILTERS"
ANALYTICS_SAMPLE_RATE_KEY = "_dd1.sr.eausr"
NUMERIC_TAGS = (ANALYTICS_SAMPLE_RATE_KEY,)


def __getattr__(name: str) -> object:
    """Find what ddtrace spells with an underscore today, such as ``_SPAN_MEASURED_KEY``."""
    plain = name.removeprefix("_")
    if plain == name or plain not in globals() or not plain.isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[plain]
