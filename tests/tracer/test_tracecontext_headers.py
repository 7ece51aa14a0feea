"""``traceparent`` and ``tracestate``: the cases of the W3C's own test suite, and the limits."""

from __future__ import annotations

import time

import pytest

from ddmiddleware.tracing import Context
from ddmiddleware.tracing.propagation import extract, inject

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
PARENT = f"{TRACE:032x}-{SPAN:016x}"


@pytest.mark.parametrize(
    ("header", "priority"),
    [
        (f"00-{PARENT}-01", 1),
        (f"00-{PARENT}-00", 0),
        (f"00-{PARENT}-ff", 1),
        (f"00-{PARENT}-02", 0),
        (f" \t00-{PARENT}-01 \t", 1),
        (f"cc-{PARENT}-01", 1),
        (f"cc-{PARENT}-01-what-the-future-will-be-like", 1),
        (f"01-{PARENT}-00-", 0),
    ],
)
def test_valid(header: str, priority: int) -> None:
    assert extract({"traceparent": header}) == Context(TRACE, SPAN, sampling_priority=priority)


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


@pytest.mark.parametrize(
    ("state", "passed_on"),
    [
        ("a=1,b=2,c=3", "a=1,b=2,c=3"),
        ("a=1 \t, \tb=2,,  ,c=3", "a=1,b=2,c=3"),
        ("a=1,dd=s:2;o:rum,b=2", "a=1,b=2"),
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("tenant@vendor=1,0ab_-*/@x=a b;c:d~e", "tenant@vendor=1,0ab_-*/@x=a b;c:d~e"),
        ("a" * 256 + "=1", "a" * 256 + "=1"),
        ("foo", ""),
        ("foo=1,bar", ""),
        ("=1", ""),
        ("foo =1", ""),
        ("FOO=1", ""),
        ("foo=bar=baz", ""),
        ("foo=", ""),
        ("é=1", ""),
        ("foo=é", ""),
        ("foo=1\r\nset-cookie: x", ""),
        ("foo=\x00", ""),
        ("a" * 257 + "=1", ""),
        ("a=" + "1" * 257, ""),
    ],
)
def test_other_vendors(state: str, passed_on: str) -> None:
    assert _state(state) == passed_on


def test_limits() -> None:
    many = [f"bar{number:02}=1" for number in range(40)]
    assert _state(*many).split(",") == many[:31]
    fits = [f"a{number}=" + "x" * 96 for number in range(5)]
    assert _state(*fits) == ",".join(fits)
    assert _state(fits[0], "long=" + "y" * 130, *fits[1:]) == ",".join(fits)
    assert _state(*fits, "z=" + "x" * 60) == ",".join(fits)


def test_a_huge_header_is_cut_between_members_and_costs_nothing() -> None:
    start = time.process_time()
    for _ in range(20):
        assert _state("short=1", "x" * 1_000_000 + "=1") == "short=1"
        assert _state("short=1", *["cut=123456789"] * 100_000).startswith("short=1,cut=123456789,")
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("flags", "state", "priority"),
    [
        ("01", "dd=s:2", 2),
        ("01", "dd=s:1", 1),
        ("01", "dd=s:0", 1),
        ("01", "dd=s:-1", 1),
        ("01", "dd=o:rum", 1),
        ("00", "dd=s:-1", -1),
        ("00", "dd=s:0", 0),
        ("00", "dd=s:2", 0),
        ("00", "dd=s:garbage", 0),
    ],
)
def test_the_flag_and_our_priority_are_reconciled(flags: str, state: str, priority: int) -> None:
    context = extract({"traceparent": f"00-{PARENT}-{flags}", "tracestate": state})
    assert context is not None
    assert context.sampling_priority == priority


def test_our_own_member() -> None:
    state = "dd=p:0123456789abcdef;s:2;o:synthetics~web;t.dm:-4;t.usr.id:YQ~~;t.tid:ff;unknown:x"
    context = extract({"traceparent": f"00-{PARENT}-01", "tracestate": state})
    assert context == Context(TRACE, SPAN, "synthetics=web", 2, {"_dd.p.dm": "-4", "_dd.p.usr.id": "YQ=="})
    assert inject(context)["tracestate"] == f"dd=p:{SPAN:016x};s:2;o:synthetics~web;t.dm:-4;t.usr.id:YQ~~"


def test_an_invalid_state_is_not_half_applied() -> None:
    context = extract({"traceparent": f"00-{PARENT}-01", "tracestate": "dd=s:2;o:rum;t.dm:-4,not valid"})
    assert context == Context(TRACE, SPAN, sampling_priority=1)
