"""What leaves the process goes through here first: secrets and the literals of statements are cut out of the spans.

It runs on the worker's thread, once for all exporters, so no integration can forget it. Which rule a tag has depends on
its key alone; keys that have none are remembered, and a span that has no others costs one look at each of its keys.
"""

from __future__ import annotations

from ddmiddleware.tracing.accelerator import accelerator
from ddmiddleware.tracing.constants import ERROR_MSG, ERROR_STACK, ERROR_TYPE
from ddmiddleware.tracing.encoding import repair
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.process import forks_wait
from ddmiddleware.tracing.secrets import REDACTED, Secrets
from ddmiddleware.tracing.settings import Settings

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ddmiddleware.tracing.span import Span

    # What the values of a tag become: a table of them, or how it is chosen for a span.
    Rule = dict[str, str] | Callable[[Span], dict[str, str]]

_TEXT_MAX = 25_000  # as the encoder has it: of longer texts the beginning is kept
_TEXT_CUT = 2_500
_WORD_MAX = 200
_KEYS_MAX = 2_000
_DATABASES_MAX = 20
_TEXTS_MAX = 2_000
_TEXT_REMEMBERED = 2_000
_CHARACTERS_MAX = 1 << 20

_STATEMENTS = frozenset(("sql", "cassandra", "mongodb"))  # whose resource is one
_DOCUMENTS = frozenset(("mongodb", "elasticsearch", "opensearch"))
_COMMANDS = frozenset(("redis", "valkey", "memcached"))
_DATABASES = _STATEMENTS | _COMMANDS | _DOCUMENTS | {"db"}
_QUOTED_NAMES = frozenset(("postgresql", "redshift", "cockroachdb", "oracle", "cassandra", "snowflake", "trino"))

_STATEMENT_KEYS = frozenset(("sql.query", "db.statement", "db.query.text", "cassandra.query"))
_DOCUMENT_KEYS = frozenset(("mongodb.query", "elasticsearch.body", "opensearch.body"))
_COMMAND_KEYS = frozenset(("redis.raw_command", "valkey.raw_command", "memcached.query", "memcached.command"))
_MESSAGE_KEYS = frozenset((ERROR_MSG, "error.msg", "exception.message"))
_STACK_KEYS = frozenset((ERROR_STACK, "exception.stacktrace"))
_TEXT_KEYS = frozenset(("http.target", "http.useragent", "http.query.string", "url.path", "url.query", "url.full"))
_URL_ENDINGS = ("url", "uri", "dsn", "referer", "referrer", "user_agent")
_HEADERS = ("http.request.headers.", "http.response.headers.")
_HARMLESS = frozenset(("usr.session_id",))  # set by whoever wants to find a session's traces

_ARGUMENTS_MAX = 10


def open_redaction(settings: Settings) -> Callable[[list[Span]], None] | None:
    """Return what redacts the spans of a chunk, or None where it is switched off."""
    return Redaction(settings).redact if settings["DD_TRACE_REDACTION_ENABLED"] else None


class Redaction:
    """Cuts out of spans what must not leave, in place.

    Whatever goes wrong, nothing passes as it was: a span that cannot be read loses its texts.
    """

    def __init__(self, settings: Settings) -> None:
        name = "DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP"
        parameters: str = settings[name]
        queries = bool(parameters) or settings.environ.get(name) != ""
        self._secrets = Secrets(settings["DD_TRACE_REDACT_KEYS"], parameters, queries)
        self._harmless: set[str] = set()  # keys without a rule
        self._rules: dict[str, Rule] = {}
        self._quiet: set[str] = set()  # names and resources that hold nothing to cut
        self._texts = _Texts(self._secrets.without)
        self._commands = _Texts(_without_arguments)
        self._hidden = _Hidden()
        self._documents = _Texts(self._without_values)
        self._statements: dict[str | None, _Texts] = {}  # by database, or type of span
        self._messages: dict[tuple[bool, bool], _Texts] = {}
        self._reader: Any = None  # the module of messages

    def redact(self, chunk: list[Span]) -> None:
        """Redact the spans of *chunk*."""
        try:
            self._redact(chunk)
        except Exception:  # a field set by hand to what it cannot be, or a tag that another thread sets just now
            for span in chunk:
                self._redact_again(span)

    def _redact(self, spans: list[Span]) -> None:
        harmless, quiet, statements = self._harmless, self._quiet, self._statements
        if accelerator is not None:
            # The others are done.
            spans = accelerator.to_redact(spans, harmless, quiet, self._rules, statements, _STATEMENTS)
        for span in spans:
            if not harmless.issuperset(span._meta):
                self._redact_tags(span._meta, span)
            if span._metrics and not harmless.issuperset(span._metrics):
                self._redact_metrics(span)
            if span.name not in quiet:
                span.name = self._heading(span.name)
            if span.span_type in _STATEMENTS:
                texts = statements.get(span._meta.get("db.system", span.span_type))
                span.resource = (self._statement(span) if texts is None else texts)[span.resource]
            elif span.resource not in quiet:
                span.resource = self._heading(span.resource)
            if span._links or span._events:
                self._redact_links_and_events(span)

    def _redact_again(self, span: Span) -> None:
        done = False
        with guard:
            repair(span)
            self._redact([span])
            done = True
        if not done:
            span.name = span.resource = REDACTED
            span._meta = {key: value for key, value in span._meta.items() if key.startswith("_dd.")}
            span._links = span._events = None

    def _redact_tags(self, tags: dict[str, Any], span: Span) -> None:
        harmless, rules = self._harmless, self._rules
        for key in [key for key in tags if key not in harmless]:
            rule = rules[key] if key in rules else self._learn(key)
            if rule is not None:
                tags[key] = (rule if isinstance(rule, dict) else rule(span))[tags[key]]

    def _redact_metrics(self, span: Span) -> None:
        for key in [key for key in span._metrics if key not in self._harmless]:
            if self._learn(key) is self._hidden:
                span._meta[key] = REDACTED
                del span._metrics[key]

    def _redact_links_and_events(self, span: Span) -> None:
        if span._links:
            span._links = [
                {**link, "attributes": self._attributes(link["attributes"], span)} if "attributes" in link else link
                for link in span._links
            ]
        if span._events:
            span._events = [
                (self._texts[name], time_ns, self._attributes(attributes, span))
                for name, time_ns, attributes in span._events
            ]

    def _attributes(self, attributes: Any, span: Span) -> dict[str, Any]:
        """Return a copy of a link's or an event's attributes, whose values may be numbers and lists too."""
        found = dict(attributes)
        for key, value in found.items():
            rule = self._learn(key)
            if rule is self._hidden:
                found[key] = REDACTED
            elif rule is not None and isinstance(value, str):
                found[key] = (rule if isinstance(rule, dict) else rule(span))[value]
        return found

    def _heading(self, found: str) -> str:
        """Return a name or resource without secrets; what has none is remembered."""
        shown = self._texts[found]
        if shown == found and len(found) <= _TEXT_REMEMBERED:
            if len(self._quiet) >= _TEXTS_MAX:
                self._quiet.clear()
            self._quiet.add(found)
        return shown

    def _learn(self, key: str) -> Rule | None:
        """Return what is done with the values of a tag called *key*, or None; remember it."""
        if key in self._rules:
            return self._rules[key]
        rule = self._rule(key)
        if len(key) <= _TEXT_REMEMBERED:
            if len(self._harmless) + len(self._rules) >= _KEYS_MAX:
                self._harmless.clear()
                self._rules.clear()
            if rule is None:
                self._harmless.add(key)
            else:
                self._rules[key] = rule
        return rule

    def _rule(self, key: str) -> Rule | None:
        if key in _HARMLESS:
            return None
        if key in _STATEMENT_KEYS:
            return self._statement
        if key in _DOCUMENT_KEYS:
            return self._documents
        if key in _COMMAND_KEYS:
            return self._commands
        if key in _MESSAGE_KEYS:
            return self._message
        if key in _STACK_KEYS:
            return self._stack
        if self._secrets.named(key):
            return self._hidden
        if key in _TEXT_KEYS or key.startswith(_HEADERS) or key.replace("-", "_").lower().endswith(_URL_ENDINGS):
            return self._texts
        return None

    def _statement(self, span: Span) -> _Texts:
        if span.span_type in _COMMANDS:
            return self._commands
        system = span._meta.get("db.system", span.span_type)
        texts = self._statements.get(system)
        if texts is None and system in _DOCUMENTS:
            texts = self._statements[system] = self._documents
        if texts is None:
            with forks_wait:  # compiling the patterns takes a while, and many processes have no statement
                from ddmiddleware.tracing.sql import without_literals

            names, without = system in _QUOTED_NAMES, self._secrets.without
            texts = _Texts(lambda value: without(without_literals(value, names)))
            if len(self._statements) < _DATABASES_MAX:
                self._statements[system] = texts
        return texts

    def _without_values(self, query: str) -> str:
        from ddmiddleware.tracing.documents import without_values

        return self._secrets.without(without_values(query))

    def _message(self, span: Span, stack: bool = False) -> _Texts:
        if self._reader is None:
            with forks_wait:  # as above
                from ddmiddleware.tracing import messages

            self._reader = messages
        reader, secrets = self._reader, self._secrets
        database: bool = span.span_type in _DATABASES or reader.is_drivers(span._meta.get(ERROR_TYPE, ""))
        texts = self._messages.get((stack, database))
        if texts is None:
            change = reader.stack if stack else reader.message
            texts = self._messages[stack, database] = _Texts(lambda value: change(value, secrets, database))
        return texts

    def _stack(self, span: Span) -> _Texts:
        return self._message(span, stack=True)


class _Hidden(dict[str, str]):
    """What any value becomes whose key names a secret."""

    def __missing__(self, _value: str) -> str:
        return REDACTED


class _Texts(dict[str, str]):
    """Texts and what became of them; asking for a new one makes it. It forgets all when it has become too large."""

    def __init__(self, change: Callable[[str], str]) -> None:
        super().__init__()
        self._change = change
        self._characters = 0

    def __missing__(self, value: str) -> str:
        if len(value) > _TEXT_MAX:
            # Not in the middle of a word: half a secret looks like none.
            space = value.rfind(" ", _TEXT_CUT - _WORD_MAX, _TEXT_CUT)
            return self._change(value[: space if space >= 0 else _TEXT_CUT - _WORD_MAX]) + "<truncated>..."
        changed = self._change(value)
        if len(value) <= _TEXT_REMEMBERED:
            self._characters += len(value) + len(changed)
            if len(self) >= _TEXTS_MAX or self._characters > _CHARACTERS_MAX:
                self.clear()
                self._characters = len(value) + len(changed)
            self[value] = changed
        return changed


def _without_arguments(commands: str) -> str:
    """Return each line's first word, and ``?`` for each of the others, ten at most."""
    lines = []
    for line in commands.split("\n"):
        verb, *arguments = line.split() or [""]
        shown = [verb if verb.replace(".", "").replace("_", "").isalpha() and len(verb) <= 40 else "?" if verb else ""]
        shown += ["?"] * min(len(arguments), _ARGUMENTS_MAX)
        lines.append(" ".join(shown + (["..."] if len(arguments) > _ARGUMENTS_MAX else [])))
    return "\n".join(lines)
