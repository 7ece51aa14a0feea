"""A flame graph: the calls of many profiles added up, which of them are drawn, and where."""

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ddmiddleware.collector import paths
from ddmiddleware.collector.calls import Calls

# A call with less than this part of what is shown would be narrower than a pixel.
SHOWN_PARTS = 1_200
# In one of several profiles a call counts that is so much smaller, unless these are too many: what is left out is of no
# consequence to any box.
COUNTED_PARTS = 4
MAX_COUNTED = 40_000
MAX_BOXES = 4_000
MAX_ROWS = 200
HOTTEST = 40

_REST = {"name": "(smaller calls)", "file": "", "line": 0, "group": "rest"}

_LIBRARY = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_STANDARD = re.compile(r"[/\\]lib[/\\]python\d|^<frozen |[/\\]Lib[/\\]|^<built-in>")


@dataclass(slots=True)
class _Node:
    """A path of functions, in all profiles.

    lines: how much of its total each line had. is_rest: it stands for what the path's last function called and what is
    too small to be drawn.
    """

    path: int
    function: paths.Function
    total: int = 0
    own: int = 0
    lines: dict[int, int] = field(default_factory=dict)
    children: list[int] = field(default_factory=list)
    is_rest: bool = False

    def add(self, total: int, own: int, line: int) -> None:
        self.total += total
        self.own += own
        self.lines[line] = self.lines.get(line, 0) + total

    def described(self, whole: int) -> dict[str, Any]:
        function = paths.number_of(self.function)
        return {
            "id": paths.text_of(self.path, function) if self.path else "",
            **(
                _REST if self.is_rest else _named(self.function, max(self.lines, key=self.lines.__getitem__, default=0))
            ),
            "own": self.own,
            "total": self.total,
            "share": self.total / max(whole, 1),
        }


class Flame:
    """Adds profiles up. at: the text of a path (`paths`) to look at; search: what to look for in names and files."""

    def __init__(self, at: str, search: str) -> None:
        self._at = at
        self._search = search.casefold()
        self.amount = 0
        self.found = 0
        self._above: list[_Node] = []
        self._without: list[Calls] = []
        self._nodes: dict[int, _Node] = {}
        self._top: int | None = None
        self._hot: dict[paths.Function, _Node] = {}
        self._added: list[tuple[Calls, int]] = []

    def add(self, calls: Calls, of: int) -> None:
        """Add the calls of one of *of* parts of profiles."""
        self.amount += calls.total(0)
        chain = paths.find(calls, self._at)
        if chain is None:
            self._without.append(calls)
            return
        self._add_above(calls, chain[:-1])
        top = chain[-1]
        self._add_below(calls, top, of)
        self._add_hot(calls, top)
        if self._search:
            wanted = {number for number, function in enumerate(calls.functions) if number and self.matches(function)}
            self.found += sum(map(calls.total, calls.outermost(wanted, top)))

    def matches(self, function: paths.Function) -> bool:
        """Say whether the search finds a function."""
        return bool(self._search) and any(self._search in text.casefold() for text in function)

    def _add_above(self, calls: Calls, chain: list[int]) -> None:
        path = 0
        for row, node in enumerate(chain):
            function = calls.functions[calls.numbers[node]]
            path = paths.below(path, paths.number_of(function)) if row else 0
            if row == len(self._above):
                self._above.append(_Node(path, function))
            self._above[row].add(calls.total(node), calls.own.get(node, 0), calls.lines[node])

    def _add_below(self, calls: Calls, top: int, of: int) -> None:
        numbers = [paths.number_of(function) for function in calls.functions]
        self._top = paths.number_in(self._at)
        trail = [self._top]
        self._node(None, self._top, calls, top)
        for node, depth in _counted(calls, top, of):
            del trail[depth:]
            path = paths.below(trail[-1], numbers[calls.numbers[node]])
            self._node(trail[-1], path, calls, node)
            trail.append(path)

    def _node(self, parent: int | None, path: int, calls: Calls, node: int) -> None:
        found = self._nodes.get(path)
        if found is None:
            found = self._nodes[path] = _Node(path, calls.functions[calls.numbers[node]])
            if parent is not None:
                self._nodes[parent].children.append(path)
        found.add(calls.total(node), calls.own.get(node, 0), calls.lines[node])

    def _add_hot(self, calls: Calls, top: int) -> None:
        """Add what each function had itself below the top."""
        self._added.append((calls, top))
        last = top + calls.sizes[top]
        for node, line, amount in calls.rows:
            if top <= node < last and node:
                function = calls.functions[calls.numbers[node]]
                hot = self._hot.get(function)
                if hot is None:
                    hot = self._hot[function] = _Node(0, function)
                hot.own += amount
                hot.lines[line] = hot.lines.get(line, 0) + amount

    def _hottest(self) -> list[_Node]:
        """Return the functions that had most themselves, with totals, in which one that calls itself counts once."""
        hottest = sorted(self._hot.values(), key=lambda hot: (-hot.own, hot.function))[:HOTTEST]
        by_function = {hot.function: hot for hot in hottest}
        for calls, top in self._added:
            for number, function in enumerate(calls.functions):
                if number and function in by_function:
                    nodes = calls.outermost({number}, top)
                    by_function[function].total += sum(map(calls.total, nodes))
        return hottest

    def draw(self) -> dict[str, Any]:
        """Return what a page shows.

        `boxes`, the callers first, are where they stand (row, left and width from 0 to 1) and what they are::

            {"id": "0a...", "name": "pay", "file": "shop/app.py", "line": 12, "group": "application", "own": 5,
             "total": 10, "share": 0.1, "row": 3, "left": 0.5, "width": 0.25, "found": false}

        `share` is of all, whatever is looked at. `path` holds the callers of what is looked at, the root first;
        `functions`, by what they had themselves, are without a place, and their shares are of what is looked at.
        `lost` says that there is no such path. `hidden` counts the calls in rows too deep.
        """
        # The callers of what is looked at may be where that is not.
        above = [node.function for node in self._above[1:]]
        for calls in self._without if self._above else ():
            self._add_above(calls, paths.follow(calls, above))
        top = None if self._top is None else self._nodes[self._top]
        shown = top.total if top else 0
        boxes, hidden = self._boxes(shown) if top else ([], 0)
        return {
            "lost": top is None and self.amount > 0,
            "path": [node.described(self.amount) for node in self._above],
            "boxes": boxes,
            "rows": max((box["row"] for box in boxes), default=0) + 1,
            "shown": shown,
            "found": self.found if self._search else None,
            "hidden": hidden,
            "functions": [{**hot.described(shown), "own_share": hot.own / max(shown, 1)} for hot in self._hottest()],
        }

    def _boxes(self, shown: int) -> tuple[list[dict[str, Any]], int]:
        parts = SHOWN_PARTS
        while True:
            least = max(shown // parts, 1)
            places, hidden = self._places(least)
            if len(places) <= MAX_BOXES:
                break
            parts //= 2
        return [
            {
                **node.described(self.amount),
                "row": row,
                "left": begin / shown,
                "width": node.total / shown,
                "found": not node.is_rest and self.matches(node.function),
            }
            for node, row, begin in places
        ], hidden

    def _places(self, least: int) -> tuple[list[tuple[_Node, int, int]], int]:
        assert self._top is not None
        places = []
        hidden = 0
        waiting = [(self._nodes[self._top], 0, 0)]
        while waiting:
            node, row, begin = waiting.pop()
            places.append((node, row, begin))
            children = [child for path in node.children if (child := self._nodes[path]).total >= least]
            if row + 1 >= MAX_ROWS:
                hidden += len(children)
                continue
            # By name, so that two pictures of a service look alike.
            children.sort(key=lambda child: child.function)
            rest = node.total - node.own - sum(child.total for child in children)
            if rest >= least and node.path and not node.is_rest:
                children.append(_Node(node.path, node.function, rest, is_rest=True))
            below = []
            for child in children:
                below.append((child, row + 1, begin))
                begin += child.total
            waiting += reversed(below)
        return places, hidden


def _counted(calls: Calls, top: int, of: int) -> list[tuple[int, int]]:
    """Return what is worth adding up of one of *of* parts, as `Calls.walk` yields it."""
    counted = list(calls.walk(top, max(calls.total(top) // SHOWN_PARTS, 1)))
    if of > 1:
        most = MAX_COUNTED // of
        more = list(islice(calls.walk(top, max(calls.total(top) // (SHOWN_PARTS * COUNTED_PARTS), 1)), most + 1))
        if len(more) <= most:
            return more
    return counted


def _named(function: paths.Function, line: int) -> dict[str, Any]:
    name, file = function
    return {"name": name, "file": file, "line": line, "group": group(function)}


def group(function: paths.Function) -> str:
    """Say whose code a function is: the application's, a library's, Python's own, not known, or that it is the root."""
    name, file = function
    if _LIBRARY.search(file):
        return "library"
    if _STANDARD.search(file):
        return "standard"
    if file:
        return "application"
    return "unknown" if name else "all"


def short_file(file: str) -> str:
    """Leave out of a file's path where libraries or Python are installed, which says nothing."""
    for mark in ("site-packages/", "dist-packages/"):
        if mark in file:
            return file.rpartition(mark)[2]
    return re.sub(r"^.*/lib/(python\d[^/]*/)", r"\1", file)
