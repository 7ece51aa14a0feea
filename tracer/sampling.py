"""Which traces are kept: decided once, as late as the trace lets us, on the local root.

That is where the first chunk is handed over, where headers are written, before a fork, or where a user asks; so
the resource and the tags that a request got on its way count. A decision that came with the request is obeyed, and one
that a user makes by hand (``manual.keep``) wins over every rule.
"""

from __future__ import annotations

from ddmiddleware.tracing.constants import (
    AUTO_KEEP,
    AUTO_REJECT,
    DECISION_MAKER,
    ENV_KEY,
    USER_KEEP,
    USER_REJECT,
    VERSION_KEY,
)
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ddmiddleware.tracing.context import LocalTrace
    from ddmiddleware.tracing.sampling_rules import Rule
    from ddmiddleware.tracing.settings import Settings
    from ddmiddleware.tracing.span import Span

_MAX_64 = (1 << 64) - 1
_FACTOR = 1111111111111111111  # the one of all Datadog tracers, so that services with one rate keep the same traces
_BY_DEFAULT, _BY_AGENT = "-0", "-1"
_RULE_RATE, _LIMIT_RATE, _AGENT_RATE = "_dd.rule_psr", "_dd.limit_psr", "_dd.agent_psr"
_KEPT_RATE = "_dd.p.ksr"
_ANY_SERVICE = "service:,env:"
_ROWS = {
    "DD_ENV",
    "DD_SERVICE_MAPPING",
    "DD_TAGS",
    "DD_TRACE_RATE_LIMIT",
    "DD_TRACE_SAMPLE_RATE",
    "DD_TRACE_SAMPLING_RULES",
    "DD_VERSION",
}


def threshold(rate: float) -> int:
    """Return what ``keeps`` compares with for *rate*, 0 to 1."""
    return int(rate * _MAX_64) if rate > 0 else -1


def keeps(number: int, limit: int) -> bool:
    """Return whether a trace id's low half, or a span id, is among those that the threshold *limit* keeps."""
    return (number & _MAX_64) * _FACTOR & _MAX_64 <= limit


class Share:
    """A share of all ids, from 0 to 1."""

    __slots__ = ("rate", "text", "threshold")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.threshold = threshold(rate)
        self.text = f"{rate:.6f}".rstrip("0").rstrip(".")


class Sampler:
    """Decides on traces: by the user's rules, else by the agent's rates, else it keeps them."""

    def __init__(self, settings: Settings) -> None:
        self._told: object = None  # the rules whose mistakes were reported
        self._rates: dict[str, Share] = {}  # replaced as a whole by the worker's thread
        self.delivered_rate = 1.0  # the share of chunks that the worker did not have to drop of late
        self._configure(settings)
        settings.listen(lambda changed: self._configure(settings) if changed in _ROWS else None)

    def _configure(self, settings: Settings) -> None:
        self._renamed: dict[str, str] = settings["DD_SERVICE_MAPPING"]
        common: dict[str, str] = {key: value for key, value in settings["DD_TAGS"].items() if key != "service"}
        for key, value in ((ENV_KEY, settings["DD_ENV"]), (VERSION_KEY, settings["DD_VERSION"])):
            if value:
                common[key] = value
        self._env = common.get(ENV_KEY, "")
        written = settings["DD_TRACE_SAMPLING_RULES"]
        rules: list[Rule] = _rules(settings, common, written is not self._told)
        self._told = written
        if rules:
            from ddmiddleware.tracing.limiter import Limiter

            self._limiter = Limiter(settings["DD_TRACE_RATE_LIMIT"])
        self._rules = rules
        self.weighs = bool(rules or self._rates)  # whether a trace's root has to be looked at

    def take_rates(self, rates: Mapping[str, float]) -> None:
        """Go by the agent's *rates* from now on; keys are ``service:<name>,env:<name>``."""
        self.weighs = bool(self._rules or rates)
        self._rates = {key: Share(rate) for key, rate in rates.items()}

    def decide(self, trace: LocalTrace) -> int:
        """Give *trace* its priority, unless it has one; return what it has."""
        root = None if trace.root is None else trace.root()
        if root is not None:
            with guard:
                self._weigh(trace, root)
        if trace.priority is None:
            trace.priority = AUTO_KEEP
            trace.tags[DECISION_MAKER] = _BY_DEFAULT
            return AUTO_KEEP
        return trace.priority

    def _weigh(self, trace: LocalTrace, root: Span) -> None:
        """Decide by the first rule that matches, else by the agent's rate; do nothing where there is neither."""
        service = "" if root.service is None else text(root.service)
        if self._renamed:
            service = self._renamed.get(service, service)
        if self._rules:
            name, resource = text(root.name), text(root.resource)
            for rule in self._rules:
                if rule.matches(service, name, resource, root):
                    self._go_by(rule, trace, root)
                    return
        rates = self._rates
        share = rates.get(f"service:{service},env:{root._meta.get(ENV_KEY, self._env)}") or rates.get(_ANY_SERVICE)
        if share is not None:
            kept = keeps(root.trace_id, share.threshold)
            if _decided(trace, AUTO_KEEP if kept else AUTO_REJECT, _BY_AGENT):
                root._metrics[_AGENT_RATE] = share.rate
                root._meta[_KEPT_RATE] = share.text

    def _go_by(self, rule: Rule, trace: LocalTrace, root: Span) -> None:
        share = rule.share
        allowed = in_share = keeps(root.trace_id, share.threshold)
        if in_share:
            allowed = self._limiter.allows()
        if _decided(trace, USER_KEEP if allowed else USER_REJECT, rule.maker, rule.discard and not allowed):
            root._metrics[_RULE_RATE] = share.rate
            root._meta[_KEPT_RATE] = share.text
            if in_share:
                root._metrics[_LIMIT_RATE] = self._limiter.effective_rate


def _decided(trace: LocalTrace, priority: int, maker: str, discard: bool = False) -> bool:
    """Make this the decision on *trace*, and return True; or False where there is one by now."""
    # No call in here: of two threads, or of a rule and a user's own decision, one wins.
    if trace.priority is not None:
        return False
    trace.priority = priority
    trace.discarded = discard
    if priority > 0:
        trace.tags[DECISION_MAKER] = maker
    return True


def _rules(settings: Settings, common: Mapping[str, str], tell: bool) -> list[Rule]:
    """Return the rules in the order in which they are asked; the rate for all traces is the last one.

    *tell* says whether to report those that are wrong.
    """
    name = "DD_TRACE_SAMPLING_RULES"
    written = settings[name]
    overall = _overall_rate(settings)
    if not written and overall is None:
        return []
    from ddmiddleware.tracing.sampling_rules import Rule, trace_rules

    rules = trace_rules(name, written or [], common, tell)
    if overall is not None:
        rules.append(Rule({"sample_rate": overall}, common))
    return rules


def _overall_rate(settings: Settings) -> float | None:
    """Return the rate of ``DD_TRACE_SAMPLE_RATE``, or else what OpenTelemetry's sampler of that name comes to.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
    """
    rate: float | None = settings["DD_TRACE_SAMPLE_RATE"]
    if rate is not None:
        return rate
    sampler: str = settings["OTEL_TRACES_SAMPLER"].removeprefix("parentbased_")
    if sampler == "traceidratio":
        ratio: float = settings["OTEL_TRACES_SAMPLER_ARG"]
        return ratio
    return {"always_on": 1.0, "always_off": 0.0}.get(sampler)
