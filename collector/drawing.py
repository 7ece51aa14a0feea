"""The boxes of a flame graph as SVG: thousands of them, for which a template would take too long.

Each is a link to itself looked at closer, so that a page without scripts can do that too. Its title is what a pointer
and a screen reader get to know of it.
"""

from typing import Any
from zlib import crc32

from markupsafe import Markup, escape

from ddmiddleware.collector.flame import short_file
from ddmiddleware.collector.formatting import clip, link, percent
from ddmiddleware.collector.values import written

ROW = 20
# Of the whole: there is no room for a letter in less.
MIN_TEXT = 0.012
_SHADES = 3


def boxes(items: list[dict[str, Any]], data: dict[str, Any], query: dict[str, str]) -> Markup:
    """Return the boxes of `flame.draw` as SVG elements."""
    above = len(data["path"])
    address = link("/profiles", {**query, "at": ""})
    head = escape(f"{address}{'&' if '?' in address else '?'}at=")
    home = escape(address)
    texts: dict[tuple[str, str, int], tuple[Markup, Markup, int]] = {}
    found = []
    for item in items:
        key = (item["name"], item["file"], item["line"])
        known = texts.get(key)
        if known is None:
            where = f", {clip(short_file(item['file']), 200)}:{item['line']}" if item["file"] else ""
            shade = crc32(item["name"].encode("utf-8", "replace")) % _SHADES
            name = item["name"] or ("?" if item["id"] else "all")
            known = texts[key] = (escape(clip(name, 200)), escape(where), shade)
        label, place, shade = known
        row = item["row"] + above
        mark = " found" if item["found"] else ""
        text = f'<text x="5" y="14">{label}</text>' if item["width"] >= MIN_TEXT else ""
        own = f", {written(item['own'], data['unit'])} of it itself" if item["own"] != item["total"] else ", all itself"
        found.append(
            f'<a href="{head if item["id"] else home}{item["id"]}" data-row="{row}">'
            f'<svg class="{item["group"]} s{shade}{mark}" x="{100 * item["left"]:.3f}%" y="{row * ROW}"'
            f' width="{100 * item["width"]:.3f}%" height="{ROW - 1}">'
            f"<title>{label}{place}: {written(item['total'], data['unit'])}, {percent(item['share'])}{own}</title>"
            f'<rect width="100%" height="100%"/>{text}</svg></a>'
        )
    return Markup("\n".join(found))
