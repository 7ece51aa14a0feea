"""``traceparent`` and ``tracestate``: the cases of the W3C's own test suite, and the limits."""

from __future__ import annotations

import pytest

from ddmiddleware.tracing import Context
from ddmiddleware.tracing.propagation import extract, inject

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
PARENT = f"{TRACE:032x}-{SPAN:016x}"


@pytest.mark.parametrize(
    ("header", "priority", "random"),
    [
        (f"00-{PARENT}-00", 0, False),
        (f"00-{PARENT}-01", 1, False),
        (f"00-{PARENT}-02", 0, True),
        (f"00-{PARENT}-03", 1, True),
        (f"00-{PARENT}-fc", 0, False),
        (f"00-{PARENT}-ff", 1, True),
        (f" \t00-{PARENT}-01 \t", 1, False),
        (f"cc-{PARENT}-01", 1, False),
        (f"cc-{PARENT}-01-what-the-future-will-be-like", 1, False),
        (f"01-{PARENT}-02-", 0, True),
    ],
)
def test_valid(header: str, priority: int, random: bool) -> None:
    context = extract({"traceparent": header})
    assert context == Context(TRACE, SPAN, sampling_priority=priority, random=random)
    # Section 3.2.2.3: of the flags those two are passed on, all others are zero.
    assert inject(context)["traceparent"] == f"00-{PARENT}-{priority + 2 * random:02x}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{PARENT}-01",
        f"00-{PARENT}-01-extra",
        f"00-{PARENT}-01-",
        f"01-{PARENT}-01.extra",
        f"cc-{PARENT}-01what",
        f"00-{0:032x}-{SPAN:016x}-01",
        f"00-{TRACE:032x}-{0:016x}-01",
        f"00-{PARENT}-01".upper(),
        f"0-{PARENT}-01",
        f"000-{PARENT}-01",
        f".0-{PARENT}-01",
        f"00-{PARENT}-1",
        f"00-{PARENT}-001",
        f"00-{PARENT}-0x",
        f"00-{PARENT}-.0",
        f"00-{PARENT}-0.",
        f"00-{'.' + PARENT[1:]}-01",
        f"00-{PARENT[:33]}.{PARENT[34:]}-01",
        f"00-{PARENT[:-1]}.-01",
        f"..-{PARENT}-01",
        f"00-{TRACE:032x}"[:-1] + f"-{SPAN:016x}-01",
        f"00-{TRACE:033x}-{SPAN:016x}-01",
        f"00-{PARENT}"[:-1] + "-01",
        f"00-{TRACE:032x}-{SPAN:017x}-01",
        f"00_{TRACE:032x}_{SPAN:016x}_01",
        f"00-{PARENT}",
        f"00-{PARENT}-01\n",
        f"00-{PARENT}-01,00-{PARENT}-01",
        f"cc-{PARENT}-01-" + "x" * 1_000_000,
    ],
)
def test_invalid(header: str) -> None:
    assert extract({"traceparent": header, "tracestate": "dd=s:2,vendor=x"}) is None


def _state(*states: str) -> str:
    """Return what another service gets of the tracestate *states*, without our own member."""
    context = extract({"traceparent": f"00-{PARENT}-01", "tracestate": ",".join(states)})
    assert context is not None
    ours, _, others = inject(context)["tracestate"].partition(",")
    assert ours.startswith(f"dd=p:{SPAN:016x};s:")
    return others


_KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@"
_VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")


# The cases of the W3C's test suite (https://github.com/w3c/trace-context, test/test.py), by the names they have there,
# after the grammar of level 2 (section 3.3.1.3).
@pytest.mark.parametrize(
    ("states", "passed_on"),
    [
        pytest.param(["foo=1"], "foo=1", id="included_traceparent_included"),
        pytest.param([""], "", id="empty_header 1"),
        pytest.param(["foo=1", ""], "foo=1", id="empty_header 2"),
        pytest.param(["", "foo=1"], "foo=1", id="empty_header 3"),
        pytest.param(["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], "foo=1,bar=2,rojo=1,congo=2,baz=3", id="multiple"),
        pytest.param(["foo=1,foo=1"], "foo=1,foo=1", id="duplicated_keys 1"),
        pytest.param(["foo=1,foo=2"], "foo=1,foo=2", id="duplicated_keys 2"),
        pytest.param(["foo=1", "foo=2"], "foo=1,foo=2", id="duplicated_keys 3"),
        pytest.param([f"{_KEY}=1"], f"{_KEY}=1", id="all_allowed_characters key"),
        pytest.param([f"a={_VALUE}"], f"a={_VALUE}", id="all_allowed_characters value"),
        pytest.param(["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3", id="ows_handling 1"),
        pytest.param(["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3", id="ows_handling 2"),
        pytest.param([" foo=1"], "foo=1", id="ows_handling 3"),
        pytest.param(["\tfoo=1\t"], "foo=1", id="ows_handling 4"),
        pytest.param(["foo =1"], "", id="key_illegal_characters 1"),
        pytest.param(["FOO=1"], "", id="key_illegal_characters 2"),
        pytest.param(["foo.bar=1"], "", id="key_illegal_characters 3"),
        pytest.param(["foo@=1,bar=2"], "foo@=1,bar=2", id="key_illegal_vendor_format 1, legal since level 2"),
        pytest.param(["@foo=1,bar=2"], "", id="key_illegal_vendor_format 2"),
        pytest.param([f"bar{number:02}={number:02}" for number in range(1, 34)], "", id="member_count_limit"),
        pytest.param(["foo=1", "z" * 257 + "=1"], "", id="key_length_limit 1"),
        pytest.param(["z" * 256 + "=1"], "z" * 256 + "=1", id="key_length_limit 2"),
        pytest.param(["t" * 241 + "@" + "v" * 14 + "=1"], "t" * 241 + "@" + "v" * 14 + "=1", id="key_length_limit 3"),
        pytest.param(["foo=bar=baz"], "", id="value_illegal_characters 1"),
        pytest.param(["foo=,bar=3"], "", id="value_illegal_characters 2"),
    ],
)
def test_w3c_tracestate(states: list[str], passed_on: str) -> None:
    assert _state(*states) == passed_on


@pytest.mark.parametrize(
    ("state", "passed_on"),
    [
        ("a=1 \t, \tb=2,,  ,c=3", "a=1,b=2,c=3"),
        ("a=1,dd=s:2;o:rum,b=2", "a=1,b=2"),
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("tenant@vendor=1,0ab_-*/@x=a b;c:d~e", "tenant@vendor=1,0ab_-*/@x=a b;c:d~e"),
        ("foo", ""),
        ("foo=1,bar", ""),
        ("=1", ""),
        ("foo=", ""),
        ("é=1", ""),
        ("foo=é", ""),
        ("foo=1\r\nset-cookie: x", ""),
        ("foo=\x00", ""),
        ("a=" + "1" * 257, ""),
    ],
)
def test_other_vendors(state: str, passed_on: str) -> None:
    assert _state(state) == passed_on


def test_limits() -> None:
    full = [f"bar{number:02}=1" for number in range(32)]
    assert _state(*full).split(",") == full[:31]  # the last one for ours
    fits = [f"a{number}=" + "x" * 96 for number in range(5)]
    assert _state(*fits) == ",".join(fits)
    assert _state(fits[0], "long=" + "y" * 130, *fits[1:]) == ",".join(fits)
    assert _state(*fits, "z=" + "x" * 60) == ",".join(fits)


def test_what_is_too_long_to_read_is_cut_between_members() -> None:
    members = [f"a{number}=" + "x" * 246 for number in range(10)]
    assert _state(*members[:2], "x" * 10_000 + "=1") == ",".join(members[:2])
    assert _state("short=1", "x" * 3000, "not valid") == "short=1"


@pytest.mark.parametrize(
    ("flags", "state", "priority"),
    [
        ("01", "dd=s:2", 2),
        ("01", "dd=s:1", 1),
        ("01", "dd=s:0", 1),
        ("01", "dd=s:-1", 1),
        ("01", "dd=o:synthetics", 1),
        ("01", "dd=o:rum", None),
        ("00", "dd=o:rum", None),
        ("00", "dd=o:rum;s:1", 0),
        ("00", "dd=s:-1", -1),
        ("00", "dd=s:0", 0),
        ("00", "dd=s:2", 0),
        ("00", "dd=s:garbage", 0),
    ],
)
def test_the_flag_and_our_priority_are_reconciled(flags: str, state: str, priority: int | None) -> None:
    context = extract({"traceparent": f"00-{PARENT}-{flags}", "tracestate": state})
    assert context is not None
    assert context.sampling_priority == priority


def test_our_own_member() -> None:
    state = "dd=p:0123456789abcdef;s:2;o:synthetics~web;t.usr.id:YQ~~;t.x:1;t.dm:-4;t.tid:ff;unknown:x"
    context = extract({"traceparent": f"00-{PARENT}-01", "tracestate": state})
    tags = {"_dd.parent_id": "0123456789abcdef", "_dd.p.dm": "-4", "_dd.p.usr.id": "YQ==", "_dd.p.x": "1"}
    assert context == Context(TRACE, SPAN, "synthetics=web", 2, tags)
    passed_on = "dd=p:0123456789abcdef;s:2;o:synthetics~web;t.dm:-4;t.usr.id:YQ~~;t.x:1"
    assert inject(context)["tracestate"] == passed_on


@pytest.mark.parametrize(
    ("member", "tags"),
    [
        ("p:0", {}),
        ("p:0000000000000000", {}),
        ("p:0123456789ABCDEF", {}),
        ("t.dm:-255", {"_dd.p.dm": "-255"}),
        ("t.dm:-256", {}),
        ("t.dm:4", {}),
        ("t.upstream_services:x", {}),
        ("t.a b:x", {}),
        ("t.a:x ;t.b: y", {"_dd.p.a": "x", "_dd.p.b": "y"}),
        ("t.a:", {}),
        ("t.a:b:c", {"_dd.p.a": "b:c"}),
        ("s:1;t.a:1,dd=t.b:2", {"_dd.p.a": "1"}),
    ],
)
def test_items_of_our_member(member: str, tags: dict[str, str]) -> None:
    context = extract({"traceparent": f"00-{PARENT}-01", "tracestate": f"dd={member}"})
    assert context == Context(TRACE, SPAN, sampling_priority=1, meta=tags)


def test_a_decision_that_was_overruled_has_no_maker() -> None:
    context = extract({"traceparent": f"00-{PARENT}-00", "tracestate": "dd=s:2;t.dm:-4;t.a:1"})
    assert context == Context(TRACE, SPAN, sampling_priority=0, meta={"_dd.p.a": "1"})


def test_our_member_has_256_characters_and_what_matters_comes_first() -> None:
    tags = {**{f"_dd.p.{letter}": "x" * 50 for letter in "abcdef"}, "_dd.p.usr.id": "YQ==", "_dd.p.dm": "-4"}
    ours = inject(Context(TRACE, SPAN, "rum", 1, tags))["tracestate"]
    assert ours == f"dd=p:{SPAN:016x};s:1;o:rum;t.dm:-4;t.usr.id:YQ~~" + "".join(
        f";t.{letter}:" + "x" * 50 for letter in "abc"
    )
    assert len(inject(Context(TRACE, SPAN, "o" * 5000, 1, tags))["tracestate"]) <= 256


def test_an_invalid_state_is_not_half_applied() -> None:
    context = extract({"traceparent": f"00-{PARENT}-01", "tracestate": "dd=s:2;o:rum;t.dm:-4,not valid"})
    assert context == Context(TRACE, SPAN, sampling_priority=1)
