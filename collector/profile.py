"""A profile as the store keeps it: for each endpoint a tree of calls with the values that were measured in each.

What samples of one stack have in common is kept once, whatever span they belong to; which span it was is kept beside.
"""

from dataclasses import dataclass, field

from ddmiddleware.collector.calls import pack, pack_measured, pack_structure
from ddmiddleware.collector.pprof import Pprof, PprofError, Sample

# Services that put raw paths into resources must not fill the store with endpoints.
MAX_ENDPOINTS = 200
OTHERS = "(other endpoints)"
MAX_NODES = 400_000
# Nanoseconds of a hundred days, or eight pebibytes: sums of sums stay within what JSON and SQLite count exactly.
MAX_SUM = 2**53
MAX_RESOURCE = 1_000

# What a sample is about, which no frame says: shown as the innermost frame.
_SUBJECTS = ("exception type", "lock name")


@dataclass(slots=True)
class Part:
    """The samples of one endpoint. By the value's name: *sums*, and *measured* as `calls.Calls` reads it.

    nodes: how many different calls there are. structure, spans: as `calls` reads them too.
    """

    endpoint: str
    nodes: int
    structure: bytes
    sums: dict[str, int]
    measured: dict[str, bytes]
    spans: bytes | None


@dataclass(slots=True)
class Profile:
    """One upload. Times are nanoseconds since the Unix epoch.

    process: tells the processes of a service apart. sampler: how it was made, where the profile says so. units: by the
    value's name. requests: how many of each endpoint ended meanwhile.
    """

    service: str
    env: str
    process: str
    sampler: str
    start_ns: int
    end_ns: int
    units: dict[str, str]
    requests: dict[str, int]
    parts: list[Part]

    @property
    def size(self) -> int:
        """Roughly the bytes of memory that this takes."""
        return 2_000 + sum(part_size(part) for part in self.parts)


def part_size(part: Part) -> int:
    """Return roughly the bytes of memory that a part takes."""
    return 3_000 + len(part.structure) + len(part.spans or b"") + sum(map(len, part.measured.values()))


@dataclass(slots=True)
class _Tree:
    """Calls of one endpoint: node 0 is the root, and a node a function as its caller called it, in whatever line."""

    index: dict[tuple[int, int], int] = field(default_factory=dict)
    parents: list[int] = field(default_factory=lambda: [0])
    functions: list[int] = field(default_factory=lambda: [0])
    # The line that was met first, how often the node was met, and how often each line was, where there are more.
    lines: list[int] = field(default_factory=lambda: [0])
    met: list[int] = field(default_factory=lambda: [0])
    other_lines: dict[int, dict[int, int]] = field(default_factory=dict)
    values: dict[str, dict[tuple[int, int], int]] = field(default_factory=dict)
    spans: dict[tuple[int, int, int, int], dict[str, int]] = field(default_factory=dict)

    def node(self, stack: list[tuple[int, int]]) -> int:
        """Return the node of a stack of functions and lines, which is made where it is not there."""
        node = 0
        index, lines, met = self.index, self.lines, self.met
        for function, line in stack:
            key = (node, function)
            found = index.get(key)
            if found is None:
                found = index[key] = len(lines)
                self.parents.append(node)
                self.functions.append(function)
                lines.append(line)
                met.append(0)
            elif line != lines[found]:
                others = self.other_lines.setdefault(found, {})
                others[line] = others.get(line, 0) + 1
            met[found] += 1
            node = found
        return node

    def line(self, node: int) -> int:
        """Return the line of a node that was met most."""
        others = self.other_lines.get(node)
        if others is None:
            return self.lines[node]
        counts = {self.lines[node]: self.met[node] - sum(others.values()), **others}
        return max(counts, key=counts.__getitem__)


def parts_of(profiles: list[Pprof]) -> tuple[list[Part], dict[str, str]]:
    """Return the parts of the profiles of one upload, and the units of their values; raise PprofError."""
    # The first is the root's.
    known: dict[tuple[str, str], int] = {("", ""): 0}
    trees: dict[str, _Tree] = {}
    units: dict[str, str] = {}
    left = MAX_NODES
    for profile in profiles:
        for name, unit in profile.types:
            if units.setdefault(name, unit) != unit:
                raise PprofError(f"profile: {name!r} has two units")
        names = [name for name, _ in profile.types]
        own = [(known.setdefault((frame.name, frame.file), len(known)), frame.line) for frame in profile.frames]
        for number, sample in enumerate(profile.samples):
            tree = _tree(trees, sample)
            before = len(tree.functions)
            stack = [own[frame] for frame in sample.stack]
            for key in _SUBJECTS:
                if subject := sample.labels.get(key):
                    stack.append((known.setdefault((str(subject)[:MAX_RESOURCE], ""), len(known)), 0))
            node = tree.node(stack)
            left -= len(tree.functions) - before
            if left < 0:
                raise PprofError(f"sample {number}: the stacks have more than {MAX_NODES} different calls")
            _add(tree, node, stack[-1][1] if stack else 0, names, sample)
    functions = list(known)
    return [_part(endpoint, tree, functions) for endpoint, tree in trees.items()], units


def _tree(trees: dict[str, _Tree], sample: Sample) -> _Tree:
    endpoint = str(sample.labels.get("trace endpoint", ""))[:MAX_RESOURCE]
    if endpoint not in trees and len(trees) >= MAX_ENDPOINTS:
        endpoint = OTHERS
    return trees.setdefault(endpoint, _Tree())


def _add(tree: _Tree, node: int, line: int, names: list[str], sample: Sample) -> None:
    root, span = _id(sample.labels.get("local root span id")), _id(sample.labels.get("span id"))
    of_span = tree.spans.setdefault((node, line, root, span), {}) if root or span else None
    for name, value in zip(names, sample.values, strict=True):
        if value:
            measured = tree.values.setdefault(name, {})
            measured[node, line] = measured.get((node, line), 0) + value
            if of_span is not None:
                of_span[name] = of_span.get(name, 0) + value


def _id(label: str | int | None) -> int:
    """Return a span id, which old tracers write as text; 0 for none."""
    if isinstance(label, str):
        label = int(label) if label.isascii() and label.isdigit() and len(label) <= 20 else 0
    return (label or 0) & (2**64 - 1)


def _part(endpoint: str, tree: _Tree, functions: list[tuple[str, str]]) -> Part:
    sums = {name: sum(rows.values()) for name, rows in tree.values.items()}
    for name, total in sums.items():
        if total > MAX_SUM:
            raise PprofError(f"profile: the values of {name!r} add up to more than 2**53")
    order, sizes = _preorder(tree.parents)
    place = {node: number for number, node in enumerate(order)}
    own: dict[int, int] = {0: 0}
    numbers = [own.setdefault(tree.functions[node], len(own)) for node in order]
    structure = pack_structure(
        [functions[function] for function in own],
        numbers,
        sizes,
        [tree.line(node) for node in order],
    )
    measured = {
        name: pack_measured([(place[node], line, value) for (node, line), value in rows.items()])
        for name, rows in tree.values.items()
    }
    spans = [(place[node], line, root, span, values) for (node, line, root, span), values in tree.spans.items()]
    return Part(endpoint, len(order), structure, sums, measured, pack(spans) if spans else None)


def _preorder(parents: list[int]) -> tuple[list[int], list[int]]:
    """Return the nodes, callers right before what they called, and by that order how many each is with all below it."""
    counts = [1] * len(parents)
    for node in range(len(parents) - 1, 0, -1):
        counts[parents[node]] += counts[node]
    # Where the next child's subtree begins.
    free = [0] * len(parents)
    free[0] = 1
    order = [0] * len(parents)
    sizes = [counts[0]] * len(parents)
    for node in range(1, len(parents)):
        parent = parents[node]
        at = free[parent]
        free[parent] = at + counts[node]
        free[node] = at + 1
        order[at] = node
        sizes[at] = counts[node]
    return order, sizes
