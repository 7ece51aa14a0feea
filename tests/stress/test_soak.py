"""A million spans made to grow whatever can grow: every cap holds and the memory is flat."""

from __future__ import annotations

import json

import pytest

from ddmiddleware.testing import HostileAgent
from tests.tracer.processes import start

SCRIPT = """
import contextvars, gc, json, sys, threading
import ddmiddleware
from ddmiddleware import tracer
from ddmiddleware.propagation.http import HTTPPropagator

HUGE = "x" * 100_000
PHASES, SPANS = 20, 50_000

def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

def unique(phase):
    for number in range(SPANS // 5):
        name = f"{phase}-{number}"
        with tracer.trace(name, service=name, resource=name, span_type=name) as span:
            span.set_tag(name, name)
            span.set_metric(name, number)

last = None

def abandoned(phase):
    global last
    tracer.context_provider.activate(last)
    for number in range(SPANS // 5):
        last = tracer.trace(f"abandoned {number}")

def huge(phase):
    for number in range(SPANS // 5):
        with tracer.trace("huge") as span:
            if number % 100 == 0:
                span.set_tag("huge", HUGE + str(number))
                span.resource = "select '" + HUGE + str(number)
                for _ in range(200):
                    span.add_event("e", {"a": number})
                    span.set_link(number + 1, 1)

def threads(phase):
    def work():
        for _ in range(SPANS // 500):
            with tracer.trace("threaded"):
                pass
    for number in range(100):
        thread = threading.Thread(target=work, name=f"thread {phase} {number}")
        thread.start()
        thread.join()

def headers(phase):
    for number in range(SPANS // 5):
        if number % 10 == 0:
            header = {"x-datadog-trace-id": str(number + 1), "x-datadog-parent-id": "1", "baggage": f"k{number}=v",
                      "x-datadog-tags": f"_dd.p.k{phase}x{number}=1", "tracestate": f"v{number}=1"}
            tracer.context_provider.activate(HTTPPropagator.extract(header))
        with tracer.trace("remote"):
            pass
    tracer.context_provider.activate(None)

readings = []
for phase in range(PHASES):
    for part in (unique, abandoned, huge, threads, headers):
        contextvars.Context().run(part, phase)
    tracer.flush()
    gc.collect()
    readings.append(resident_kib())

def containers():
    seen, found = set(), {}
    def look(path, value, depth):
        if id(value) in seen or depth > 5:
            return
        seen.add(id(value))
        if isinstance(value, (dict, list, set, tuple, frozenset)) or type(value).__name__ == "deque":
            found[path] = len(value)
            for key in list(value)[:50]:
                look(f"{path}[]", value[key] if isinstance(value, dict) else key, depth + 1)
        elif type(value).__module__.startswith("ddmiddleware"):
            names = getattr(value, "__dict__", {})
            slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
            for name in [*names, *slots]:
                look(f"{path}.{name}", getattr(value, name, None), depth + 1)
    for name, module in list(sys.modules.items()):
        if name.startswith("ddmiddleware"):
            for key, value in list(vars(module).items()):
                if not key.startswith("__"):
                    look(f"{name}.{key}", value, 0)
    return found

print(json.dumps({"readings": readings, "stats": tracer.stats(), "containers": containers()}))
"""


@pytest.mark.timeout(600)
def test_a_million_spans() -> None:
    with HostileAgent("refused") as agent:
        process = start(SCRIPT, agent.url, DD_TRACE_WRITER_MAX_SPANS="20000")
        out, err = process.communicate(timeout=550)
    assert process.returncode == 0, err
    away_or_unfinished, lost = err.splitlines()[:-1], err.splitlines()[-1]
    assert len(away_or_unfinished) <= 2, err
    assert " spans are lost: " in lost, err
    found = json.loads(out)
    readings = found["readings"]
    half = len(readings) // 2
    assert max(readings[half:]) - max(readings[:half]) < 4_000, readings
    assert found["stats"]["dropped"] > 500_000
    longest = {path: size for path, size in found["containers"].items() if size > 5_000}
    assert not longest
