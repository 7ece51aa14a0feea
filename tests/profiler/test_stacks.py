"""Stacks are what the program is in, with names that tell the class."""

import sys

from ddmiddleware.profiling import stacks
from ddmiddleware.profiling.samples import Frame

SHORT = sys.version_info < (3, 11)


class Shop:
    def order(self) -> stacks.Stack:
        return stacks.capture(2)

    @classmethod
    def close(cls) -> stacks.Stack:
        def inner() -> stacks.Stack:
            return stacks.capture(depth=2, skip=1)

        return inner()

    @property
    def stock(self) -> stacks.Stack:
        return stacks.capture(1)


def names(stack: stacks.Stack) -> list[str]:
    return [name for name, _, _ in stacks.symbolise(stack)]


def test_a_stack_has_the_leaf_first_and_says_the_class() -> None:
    stack = stacks.symbolise(Shop().order())
    line = Shop.order.__code__.co_firstlineno + 1
    assert stack[0] == ("Shop.order", __file__, line)
    assert stack[1][0] == "test_a_stack_has_the_leaf_first_and_says_the_class"
    assert len(stack) == 2


def test_what_is_skipped_and_what_is_nested() -> None:
    assert names(Shop.close()) == ["Shop.close", "test_what_is_skipped_and_what_is_nested"]
    assert names(Shop().stock) == ["Shop.stock"]


def test_a_frame_is_found_again_by_its_code_and_offset() -> None:
    frame = sys._getframe()
    line: Frame = stacks.frame_at(frame.f_code, frame.f_lasti)
    assert line[2] == frame.f_code.co_firstlineno + 2
    assert line[:2] == (frame.f_code.co_name, __file__)


def test_the_class_of_a_name() -> None:
    assert stacks.class_of("Shop.order") == "Shop"
    assert stacks.class_of("order") == ""
    assert stacks.class_of("test.<locals>.Shop.order") == "Shop"
    assert stacks.class_of("Shop.order.<locals>.inner") == ""
