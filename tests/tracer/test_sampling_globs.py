"""The patterns of sampling rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddmiddleware.tracing.glob import Glob

LONG = 100_000


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("?", "", False),
        ("abc", "ABC", True),
        ("ABC", "abc", True),
        ("abc", "abcd", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a*c", "ac", True),
        ("a*c", "abcabc", True),
        ("a*c", "abcab", False),
        ("*b*", "abc", True),
        ("ab*ba", "aba", False),
        ("*a?c*", "xabbabc", True),
        ("*??", "a", False),
        ("[a]+.$", "[a]+.$", True),
        ("a.c", "abc", False),
        ("*", "line\nline", True),
        ("GET /users/*/orders", "GET /users/{id}/orders", True),
    ],
)
def test_a_pattern(pattern: str, value: str, matches: bool) -> None:
    assert Glob(pattern).matches(value) is matches


def _expected(pattern: str, value: str) -> bool:
    """Match by the book: which beginnings of the value fit the pattern's characters so far."""
    fitting = {0}
    for character in pattern:
        if character == "*":
            fitting = set(range(min(fitting), len(value) + 1)) if fitting else fitting
        else:
            fitting = {at + 1 for at in fitting if at < len(value) and character in ("?", value[at])}
    return len(value) in fitting


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_patterns_over_few_characters(pattern: str, value: str) -> None:
    assert Glob(pattern).matches(value) == _expected(pattern, value)


@given(st.text(), st.text())
def test_any_text(pattern: str, value: str) -> None:
    assert Glob(pattern).matches(value) == _expected(pattern.lower(), value.lower())
    assert Glob("*" + value.replace("*", "?") + "*").matches(f"x{value}x")


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("a*" * (LONG // 2), "a" * LONG, True),
        ("a*" * (LONG // 2) + "b", "a" * LONG, False),
        ("*" * LONG + "b", "a" * LONG, False),
        ("*a" * 50 + "b", "a" * LONG, False),
        ("*?a" * 1000 + "*b", "a" * LONG, False),
        ("*" + "ab" * (LONG // 2) + "*", "ab" * (LONG // 2 - 1) + "c", False),
        ("*" + "ab?" * 3000 + "*", "ab" * (LONG // 2), False),
        ("*" + "?" * LONG, "a" * LONG, True),
        ("*" + "a?" * 5000 + "b*", "a" * LONG, False),
    ],
    ids=range(9),
)
def test_no_pattern_steps_back(pattern: str, value: str, matches: bool) -> None:
    """Each of these takes for ever where a star is tried at every place."""
    assert Glob(pattern).matches(value) is matches
