"""The header ``baggage`` (https://www.w3.org/TR/baggage/), and Datadog's older ``ot-baggage-<key>``."""

from __future__ import annotations

import pickle
import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing import Context, Tracer
from ddmiddleware.tracing.propagation import Propagator, extract, inject
from ddmiddleware.tracing.settings import Settings
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import root

_CHARACTERS = st.characters(exclude_categories=["Cs"])
older = Propagator(Settings({"DD_TRACE_PROPAGATION_HTTP_BAGGAGE_ENABLED": "true"}))


def _read(header: str) -> dict[str, str] | None:
    context = extract({"baggage": header})
    return None if context is None else context.get_all_baggage_items()


@given(st.dictionaries(st.text(_CHARACTERS, min_size=1), st.text(_CHARACTERS), min_size=1, max_size=8))
def test_what_is_written_is_read_back(items: dict[str, str]) -> None:
    headers = inject(Context(baggage=items))
    assert list(headers) == ["baggage"]
    assert re.fullmatch(r"[!#-+\--~]+(,[!#-+\--~]+)*", headers["baggage"])
    assert extract(headers) == Context(baggage=items)


@given(st.text(st.sampled_from('ab=;,% \t"\\é\0\r\n%41'), max_size=40))
def test_all_of_it_or_nothing(header: str) -> None:
    items = _read(header)
    if items is not None:
        assert len(items) <= header.count(",") + 1
        assert _read(inject(Context(baggage=items))["baggage"]) == items or "" in items


@pytest.mark.parametrize(
    ("header", "items"),
    [
        # The examples of the specification, section 3.3.3 and before.
        (
            "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
            {"key1": "value1", "key2": "value2", "key3": "value3"},
        ),
        ("serverNode=DF%2028,isProduction=false", {"serverNode": "DF 28", "isProduction": "false"}),
        ("userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false", None),
        ("userId=alice", {"userId": "alice"}),
        # Section 3.3.1: a key is a token, a value may be empty, and whitespace is not part of either.
        ("!#$%&'*+-.^_`|~09azAZ=1", {"!#$%&'*+-.^_`|~09azAZ": "1"}),
        ("a=!#$%&'()*+-./:<=>?@[]^_`{|}~", {"a": "!#$%&'()*+-./:<=>?@[]^_`{|}~"}),
        ("a=", {"a": ""}),
        ("\ta\t=\t1\t,\tb\t=\t2\t", {"a": "1", "b": "2"}),
        ("a=1;p = q ;r", {"a": "1"}),
        ("a=1,a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        # Section 3.3.1.2: what is no UTF-8 becomes U+FFFD. With a lone percent sign nothing is encoded.
        ("a=%FF%41", {"a": "\ufffdA"}),
        ("a=%zz%", {"a": "%zz%"}),
        ("a=100%,b=%41%4", {"a": "100%", "b": "%41%4"}),
        ("a==%3d=3D_=%25=%0D%0a=", {"a": "==" + "=3D_=%=\r\n="}),
        ("a%20b=1", {"a b": "1"}),
    ],
)
def test_valid(header: str, items: dict[str, str] | None) -> None:
    assert _read(header) == (
        items if items is not None else {"userId": "Amélie", "serverNode": "DF 28", "isProduction": "false"}
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "=",
        "a",
        "=1",
        ",",
        "a=1,",
        ",a=1",
        "a=1,,b=2",
        "a=1,b",
        "a=1,=2",
        "a b=1",
        "a=1 2",
        'a="1"',
        "a=\\",
        "a=é",
        "é=1",
        "a=\0",
        "a=1\r\nset-cookie: x",
        "(a)=1",
        "a;p=1",
        "a=1;",
        "a=1;;p",
        "a=1;=q",
        "a=1;p q",
    ],
)
def test_malformed_is_discarded_whole(header: str) -> None:
    assert _read(header) is None
    assert _read("ok=1," + header) is None


@given(st.text(st.sampled_from("ab=_%0123CcfFdD\r\n ?é"), max_size=30))
def test_decoding_is_that_of_urllib(text: str) -> None:
    assert _read(f"a={quote(text, '=_?')}") == {"a": text}
    if re.fullmatch("([ab=_0123CcfFdD?]|%[0-9a-fA-F]{2})*", text):
        assert _read(f"a={text}") == {"a": unquote(text)}


def test_properties_travel_on() -> None:
    context = extract({"baggage": "a=1; p=q ;r , b=2"})
    assert context is not None
    assert inject(context) == {"baggage": "a=1;p=q ;r,b=2"}
    assert inject(pickle.loads(pickle.dumps(context))) == {"baggage": "a=1;p=q ;r,b=2"}
    context.set_baggage_item("a", "3")
    assert inject(context) == {"baggage": "a=3,b=2"}


def test_limits() -> None:
    many = {f"key{number}": "x" for number in range(100)}
    sixty_four = dict(list(many.items())[:64])
    assert _read(inject(Context(baggage=many))["baggage"]) == sixty_four
    assert _read(",".join(f"{key}={value}" for key, value in many.items())) == sixty_four
    long = {"a": "x" * 4000, "b": "é" * 1000, "c": "y", "d": "x" * 9000}
    header = inject(Context(baggage=long))["baggage"]
    assert header == f"a={long['a']},c=y"
    whole = {"a": "x" * 4093, "b": "x" * 4094}
    header = inject(Context(baggage=whole))["baggage"]
    assert len(header) == 8192
    assert _read(header) == whole
    assert _read(header + ",c=1") == {"a": "x" * 4093}  # to the last comma that can be read
    assert _read("a=" + "x" * 8200) is None


def test_what_is_no_text() -> None:
    baggage: dict[object, object] = {1: 2.5, "": "x", "lone": "\udcff", "none": None}
    assert inject(Context(baggage=baggage)) == {"baggage": "1=2.5,lone=?,none=None"}  # type: ignore[arg-type]


def test_with_and_without_a_trace() -> None:
    context = extract({"baggage": "a=1", "traceparent": f"00-{8:032x}-{9:016x}-01"})
    assert context == Context(8, 9, sampling_priority=1, baggage={"a": "1"})
    assert extract({"baggage": "=", "traceparent": f"00-{8:032x}-{9:016x}-01"}) == Context(8, 9, sampling_priority=1)
    assert inject(context)["baggage"] == "a=1"
    assert inject(Context(baggage={"a": "1"})) == {"baggage": "a=1"}
    assert inject(Context(8, 9)).get("baggage") is None


def test_the_older_headers() -> None:
    headers = {"ot-baggage-user": " x ", "ot-baggage-": "1", "ot-baggage-bad": "a\nb", "x-other": "1"}
    assert older.extract(headers) == Context(baggage={"user": "x"})
    assert older.extract({**headers, "baggage": "user=y,b=1"}) == Context(baggage={"user": "y", "b": "1"})
    assert extract(headers) is None
    context = Context(baggage={"User": "x y", "bad key": "1", "bad": "a\r\nb", "empty": "", "é": "1"})
    written = {name: value for name, value in older.inject(context).items() if name != "baggage"}
    assert written == {"ot-baggage-user": "x y"}
    many = {f"ot-baggage-{number}": "x" for number in range(100)}
    found = older.extract(many)
    assert found is not None
    assert len(found.get_all_baggage_items()) == 64


@pytest.mark.parametrize(
    ("keys", "tags"),
    [
        ("", {"baggage.user.id": "7"}),
        ("*", {"baggage.user.id": "7", "baggage.plan": "free"}),
        ("plan,missing", {"baggage.plan": "free"}),
        (",", {}),
    ],
)
def test_tags_of_the_local_root(
    keys: str, tags: dict[str, str], agent: RecordingAgent, make_tracer: MakeTracer
) -> None:
    tracer = make_tracer(agent.url, DD_TRACE_BAGGAGE_TAG_KEYS=keys)
    tracer.context_provider.activate(extract({"baggage": "user.id=7;p,plan=free"}))
    with tracer.trace("a") as span:
        tracer.trace("b").finish()
        assert span.context.get_baggage_item("user.id") == "7"
    tracer.context_provider.activate(None)
    tracer.flush()
    first, second = plain(agent.spans)
    assert first == root("a", meta=tags)
    assert second["meta"] == {}


def test_a_span_takes_its_baggage_along(tracer: Tracer) -> None:
    with tracer.trace("a") as span:
        span.context.set_baggage_item("k", "ü")
        assert inject(span.context)["baggage"] == "k=%C3%BC"
