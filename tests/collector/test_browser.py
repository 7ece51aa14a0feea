"""The pages in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.collector.conftest import Collector
from tests.collector.payloads import new_trace_id, span


@pytest.fixture(scope="module")
def trace_id(collector: Collector) -> str:
    low = new_trace_id()
    root = span(low, resource="POST /orders", error=1, meta={"error.message": "out of stock"})
    collector.send([root, span(low, parent_id=root["span_id"], resource="SELECT 1", meta={"db.name": "shop"})])
    collector.trace(low, spans=2)
    return f"{low:032x}"


def test_from_endpoint_to_span_with_the_keyboard(collector: Collector, trace_id: str, page: Any) -> None:
    page.goto(collector.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.get_by_role("link", name="POST /orders").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/traces?*")
    page.get_by_role("link", name="POST /orders").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/traces/{trace_id}#span-*")
    # The linked span is open; the other one opens with the keyboard.
    page.get_by_text("out of stock").first.wait_for(state="visible")
    assert not page.get_by_text("db.name").is_visible()
    page.locator("summary").nth(0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_text("db.name").wait_for(state="visible")
    page.keyboard.press("Space")
    page.get_by_text("db.name").wait_for(state="hidden")


def test_without_scripts(collector: Collector, trace_id: str, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(f"{collector.url}/traces/{trace_id}")
    opened.locator("summary").nth(1).focus()
    opened.keyboard.press("Enter")
    opened.get_by_text("db.name").wait_for(state="visible")
    opened.goto(f"{collector.url}/traces")
    opened.get_by_label("Failed only").check()
    opened.get_by_role("button", name="Apply").click()
    opened.get_by_role("link", name="POST /orders").wait_for(state="visible")
    context.close()


def test_filters_apply_at_once(collector: Collector, trace_id: str, page: Any) -> None:
    page.goto(f"{collector.url}/traces")
    page.get_by_label("Failed only").check()
    page.wait_for_url("**error=1*")
    page.get_by_label("Search").fill(trace_id)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**q={trace_id}*")
    assert page.get_by_role("row").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
def test_nothing_is_wider_than_the_window(
    collector: Collector, trace_id: str, page: Any, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", "/traces", f"/traces/{trace_id}"):
        page.goto(collector.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
