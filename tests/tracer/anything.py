"""Every object that a user may hand us."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def _fail(self: object, *_: object) -> Any:
    raise ValueError("not today")


class _Hostile:
    """Fails whatever it is asked."""

    __str__ = __repr__ = __hash__ = __eq__ = __len__ = __iter__ = __int__ = __float__ = __format__ = _fail


class _HostileText(str):
    __str__ = __repr__ = __hash__ = __eq__ = __len__ = encode = __getitem__ = _fail  # type: ignore[assignment]


class _HostileNumber(float):
    __str__ = __repr__ = __hash__ = __eq__ = __bool__ = __abs__ = _fail


_recursive: list[object] = []
_recursive.append(_recursive)
HOSTILE: list[Callable[[], object]] = [_Hostile, _HostileText, _HostileNumber, lambda: _recursive, object]
Anything = st.one_of(
    st.text(st.characters()),  # lone surrogates and NUL too
    st.binary(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.decimals(),
    st.lists(st.integers(), max_size=3),
    st.sampled_from(["x" * 30_000, 10**6000, ValueError]),
    # Made when drawn: hypothesis itself would stumble over them.
    st.sampled_from(HOSTILE).map(lambda make: make()),
)
# noxfile.py asks for fewer examples on all Pythons but one.
quick = settings(
    max_examples=int(os.environ.get("EXAMPLES", "300")), deadline=None, suppress_health_check=list(HealthCheck)
)
