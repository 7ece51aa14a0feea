"""Headers of a megabyte: only as much of them is looked at as a valid one may have."""

from __future__ import annotations

from typing import Any

import pytest

from ddmiddleware.tracing import Context
from ddmiddleware.tracing.propagation import Propagator
from ddmiddleware.tracing.settings import Settings

READ_MAX = 8192
SIZE = 1_000_000
VALID = {
    "x-datadog-trace-id": "8",
    "x-datadog-parent-id": "9",
    "traceparent": f"00-{8:032x}-{9:016x}-01",
    "x-b3-traceid": "8",
    "x-b3-spanid": "9",
}
environ = {
    "DD_TRACE_PROPAGATION_STYLE": "datadog,tracecontext,b3multi,b3,baggage",
    "DD_TRACE_PROPAGATION_HTTP_BAGGAGE_ENABLED": "true",
}
propagator = Propagator(Settings(environ))


class Watched(str):
    """A text that tells its length and gives its beginning, and lets nothing walk over the whole of it."""

    def __getitem__(self, key: Any) -> str:
        assert isinstance(key, slice)
        assert key.start is None
        assert key.stop is not None
        assert 0 < key.stop <= READ_MAX
        return str.__getitem__(self, key)

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a megabyte")

    def __hash__(self) -> int:
        raise AssertionError("the hash of a megabyte")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a megabyte compared")

    def __contains__(self, part: str) -> bool:
        raise AssertionError("a megabyte searched")

    def __iter__(self) -> Any:
        raise AssertionError("a megabyte walked over")


_FILL = ["x", " ", "0", ",", "a=1,", "=", "%41", ";p", "a=1;p,", "\t,", "-", "é", "dd=t.a:b;", "_dd.p.a=b,"]


@pytest.mark.parametrize("fill", _FILL)
@pytest.mark.parametrize("name", [*sorted(propagator.extracted), "ot-baggage-a"])
def test_it_is_the_same_as_its_beginning(name: str, fill: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddmiddleware.tracing.propagation.propagator._complained", set(propagator.extracted))
    huge = fill * (SIZE // len(fill))
    found = propagator.extract({**VALID, name: Watched(huge)})
    assert found == propagator.extract({**VALID, name: huge[: READ_MAX + 1]})
    assert propagator.extract({name: Watched(huge)}) == propagator.extract({name: huge[: READ_MAX + 1]})


def test_what_goes_out_is_bounded() -> None:
    huge = "x" * SIZE
    context = Context(8, 9, huge, 1, {f"_dd.p.{number}": huge for number in range(3)}, {"a": huge, "b": "1"})
    context.set_baggage_item("é" * 3000, "")
    out = propagator.inject(context)
    assert out["baggage"] == "b=1"
    assert all(len(value) <= 512 for value in out.values())
