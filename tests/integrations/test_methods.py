"""Functions that ``DD_TRACE_METHODS`` names."""

from __future__ import annotations

from pathlib import Path

from tests.recording_agent import RecordingAgent, plain
from tests.tracer.expected import child, root
from tests.tracer.processes import run

MODULE = """
import asyncio

def total(price):
    return Cart().add(price) + Cart.tax()

class Cart:
    def add(self, price):
        return asyncio.run(fetch(price))

    @staticmethod
    def tax():
        return sum(each())

async def fetch(price):
    return price

def each():
    yield 1
"""

SCRIPT = """
import sys
sys.path.append(sys.argv[1])
sys.stderr = sys.stdout
from ddmiddleware import patch_all, tracer, unpatch
if sys.argv[2] == "late":
    from basket import total
patch_all()
patch_all()
import basket
if sys.argv[2] != "late":
    from basket import total
with tracer.trace("main"):
    print(total(2))
tracer.flush()
unpatch()
print(hasattr(basket.total, "__wrapped__"), hasattr(total, "__wrapped__"))
"""


def test_named_functions(tmp_path: Path) -> None:
    (tmp_path / "basket.py").write_text(MODULE)
    names = {"DD_TRACE_METHODS": "basket:total,Cart.add,Cart.tax,fetch,each; basket:none_such"}
    for when in ("early", "late"):
        with RecordingAgent() as agent:
            out = run(SCRIPT, agent.url, str(tmp_path), when, **names).splitlines()
            assert out == [
                "ddmiddleware: DD_TRACE_METHODS: there is no basket:none_such; it is not traced",
                "3",
                "False False",
            ]
            assert plain(agent.spans) == [
                root("main"),
                child("basket.total", 2),
                child("basket.Cart.add", 3, 2),
                child("basket.fetch", 4, 3),
                child("basket.Cart.tax", 5, 2),
                child("basket.each", 6, 5),
            ]
