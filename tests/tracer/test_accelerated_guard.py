"""The C functions of the guard and of secrets against their Python twins."""

from __future__ import annotations

import inspect
import re

import pytest

from ddmiddleware.tracing.accelerator import accelerator, guards_in_python
from ddmiddleware.tracing.guard import Guard
from ddmiddleware.tracing.secrets import holds_in_python

pytestmark = pytest.mark.usefixtures("accelerated")


def test_guards_look_as_before() -> None:
    for name, function in guards_in_python.items():
        method = getattr(Guard, name)
        assert method is not function
        assert inspect.getdoc(method) == inspect.getdoc(function)
        assert list(inspect.signature(method).parameters) == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("error", [None, LookupError("ours"), KeyboardInterrupt()])
@pytest.mark.parametrize("raises", [False, True])
def test_guards_are_left_alike(error: BaseException | None, raises: bool) -> None:
    found = []
    for leave in (Guard.__exit__, guards_in_python["__exit__"]):
        guard = Guard()
        guard.raises = raises
        swallowed = leave(guard, type(error) if error else None, error, None)
        found.append((swallowed, guard.errors))
        with pytest.raises(TypeError):
            leave(guard, None)
    assert found[0] == found[1]


@pytest.mark.parametrize("text", ["", "token", "a secret token", "tökén", "nothing", "\ud800 key"])
def test_words_are_found_alike(text: str) -> None:
    for words in (
        (),
        ("key",),
        ("secret", "token"),
        ("sect", "to", "token", "tot"),
        ("é",),
        ("",),
        ("q",) * 100 + ("key",),
    ):
        assert accelerator.holds(text, words) is holds_in_python(text, words)


def test_what_is_no_text_holds_nothing_alike() -> None:
    for holds in (accelerator.holds, holds_in_python):
        with pytest.raises(TypeError):
            holds(5, ("a",))
        with pytest.raises(TypeError):
            holds("text", (5,))
    with pytest.raises(TypeError):
        accelerator.holds("text", ["a"])


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("1", 0), ("a12b3", 3), ("a12b", 3), ("é1²", 1), ("é²", 1), ("\u0661", 1), ("\u0661", 9)],
)
def test_digits_are_counted(text: str, count: int) -> None:
    """Of texts beyond Latin-1 no more is said than that they may be there."""
    assert accelerator.has_digits(text, count) is (len(re.findall(r"\d", text)) >= count or not text < "\u0100")
    for wrong in (("1",), ("1", "1")):
        with pytest.raises(TypeError):
            accelerator.has_digits(*wrong)
