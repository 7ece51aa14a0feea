"""The flame graph in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.collector.conftest import Collector
from tests.collector.test_profiles import shop, shown, upload
from tests.collector.uploads import body


@pytest.fixture(scope="module")
def address(collector: Collector) -> str:
    assert upload(collector, body(shop(), tags={"service": "browsed", "sampler": "python"})).status == 200
    shown(collector, service="browsed")
    return f"{collector.url}/profiles?service=browsed"


def texts(page: Any) -> list[str]:
    return page.locator(".graph text").all_text_contents()


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.querySelector('title')?.textContent.split(',')[0] || ''")


def test_look_closer_and_back_without_a_new_page(address: str, page: Any) -> None:
    page.goto(address)
    page.evaluate("window.same = true")
    assert texts(page) == ["all", "main", "Cart.pay", "dumps", "send"]
    page.locator(".graph a", has_text="Cart.pay").hover()
    details = page.locator(".details")
    assert details.text_content() == "Cart.pay, /srv/shop/cart.py:12: 90.0 ms, 90.0%, 20.0 ms of it itself"
    page.locator(".graph a", has_text="Cart.pay").click()
    page.wait_for_url("**at=*")
    page.get_by_text("within Cart.pay").wait_for(state="visible")
    assert texts(page) == ["all", "main", "Cart.pay", "dumps", "send"]
    assert page.locator(".graph .above").count() == 2
    assert page.evaluate("window.same")
    page.go_back()
    page.get_by_text("within Cart.pay").wait_for(state="hidden")
    # What was looked at can be linked to.
    page.go_forward()
    page.get_by_text("within Cart.pay").wait_for(state="visible")


def test_the_keyboard_walks(address: str, page: Any) -> None:
    page.goto(address)
    page.locator(".graph a").first.focus()
    for key, name in [
        ("ArrowDown", "main"),
        ("ArrowDown", "Cart.pay"),
        ("ArrowDown", "dumps"),
        ("ArrowRight", "send"),
        ("ArrowRight", "send"),
        ("ArrowLeft", "dumps"),
        ("ArrowUp", "Cart.pay"),
    ]:
        page.keyboard.press(key)
        assert focused(page) == name
    assert "Cart.pay" in page.locator(".details").text_content()
    assert page.locator('.graph a[tabindex="0"]').count() == 1
    page.keyboard.press("Enter")
    page.get_by_text("within Cart.pay").wait_for(state="visible")
    page.locator(".graph a:focus", has_text="Cart.pay").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.get_by_text("within main").wait_for(state="visible")


def test_the_search_follows_what_is_typed(address: str, page: Any) -> None:
    page.goto(address)
    page.get_by_label("Search").press_sequentially("requests")
    page.get_by_role("status").get_by_text("10.0 ms, 10.0%").wait_for(state="visible")
    assert page.locator(".graph .found").count() == 1
    page.wait_for_url("**q=requests*")
    page.locator(".graph a", has_text="Cart.pay").click()
    page.get_by_text("within Cart.pay").wait_for(state="visible")
    assert page.get_by_role("status").text_content() == "10.0 ms, 11.1% of what is shown"
    # Another choice keeps what is looked at.
    page.locator("[name=endpoint]").select_option("GET /cart")
    page.wait_for_url("**endpoint=GET*")
    assert "at=" in page.url
    page.get_by_text("within Cart.pay, 10.0 ms").wait_for(state="visible")


def test_without_scripts(address: str, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert texts(page) == ["all", "main", "Cart.pay", "dumps", "send"]
    page.locator(".graph a", has_text="Cart.pay").click()
    page.get_by_text("within Cart.pay").wait_for(state="visible")
    page.get_by_label("Search").fill("requests")
    page.get_by_role("button", name="Apply").click()
    page.locator(".graph .found").wait_for(state="visible")
    assert "at=" in page.url
    context.close()


def test_for_a_screen_reader(address: str, page: Any) -> None:
    page.goto(address)
    assert page.get_by_role("link", name="dumps, ").count() == 1
    page.get_by_role("link", name="Skip to the hottest functions").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**#functions")
    page.locator("#functions:target").wait_for(state="visible")
    table = page.get_by_role("table", name="Functions by what was measured")
    assert table.get_by_role("row").count() == 5
    assert table.get_by_role("rowheader").first.inner_text().strip() == "dumps"
    assert page.get_by_text("sampler:python").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
def test_nothing_is_wider_than_the_window(address: str, page: Any, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{address}&q=pay")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # WCAG 2.2, 1.4.3: text of normal size has a contrast of 4.5 to what is behind it.
    poor = page.evaluate(
        """() => {
          const light = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
            .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
          return [...document.querySelectorAll(".graph svg")].map((box) => {
            const text = box.querySelector("text");
            if (!text) return 21;
            const [one, two] = [text, box.querySelector("rect")].map((item) => light(getComputedStyle(item).fill));
            return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
          }).filter((contrast) => contrast < 4.5);
        }"""
    )
    assert poor == []
