"""Figures over rounds, and what a benchmark hands back: tables, verdicts and what could not be measured."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """A budget of docs and design against what was measured; `measured` is NaN where nothing could be."""

    what: str
    budget: float
    measured: float
    unit: str

    @property
    def word(self) -> str:
        if math.isnan(self.measured):
            return "not measured"
        return "ok" if self.measured <= self.budget else "over"


@dataclass
class Outcome:
    """What one benchmark found; *taken* says when, at which load and in how many rounds."""

    tables: list[Table] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    taken: str = ""

    @classmethod
    def kept(cls, raw: dict[str, Any]) -> "Outcome":
        """Return what ``dataclasses.asdict`` made of one."""
        tables, verdicts = [Table(**one) for one in raw["tables"]], [Verdict(**one) for one in raw["verdicts"]]
        return cls(tables, verdicts, raw["problems"], raw["raw"], raw["taken"])


@dataclass
class Series:
    """The figures of one cell, one a round; NaN for a round that is missing, with the reasons beside it."""

    values: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, value: float, problem: str = "") -> None:
        self.values.append(math.nan if problem else value)
        if problem and problem not in self.problems:
            self.problems.append(problem)

    @property
    def valid(self) -> bool:
        """A row with one bad round is bad: a peer that loses data sometimes is not cheap the other times."""
        return bool(self.values) and not self.problems

    @property
    def median(self) -> float:
        return statistics.median(self.values) if self.valid else math.nan

    @property
    def least(self) -> float:
        return min(self.values) if self.valid else math.nan

    def text(self, digits: int = 1) -> str:
        if not self.valid:
            return "not measured"
        return f"{number(self.median, digits)} ({number(min(self.values), digits)}-{number(max(self.values), digits)})"


def ratios(ours: Series, theirs: Series) -> Series:
    """Ours over theirs, round by round: both met the same load then."""
    series = Series(problems=[*ours.problems, *theirs.problems])
    if series.problems:
        return series
    for our_value, their_value in zip(ours.values, theirs.values, strict=True):
        series.add(our_value / their_value if their_value > 0 else math.nan, "" if their_value > 0 else "no cost seen")
    return series


def differences(series: Series, baseline: Series) -> Series:
    """What was added to the baseline, round by round."""
    result = Series(problems=[*series.problems, *baseline.problems])
    for value, base in zip(series.values, baseline.values, strict=True):
        result.add(value - base)
    return result


def number(value: float, digits: int = 1) -> str:
    if math.isnan(value):
        return "not measured"
    return "over the limit" if math.isinf(value) else f"{value:.{digits}f}"


def worst(values: Iterable[float]) -> float:
    """The largest; NaN when there is none, or one of them is NaN: a missing peer must not flatter us."""
    known = list(values)
    return math.nan if not known or any(math.isnan(value) for value in known) else max(known)
