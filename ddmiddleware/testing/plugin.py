"""The pytest plugin: the fixture ``ddspans``, and nothing that happens by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ddmiddleware.testing import Spans


@pytest.fixture
def ddspans() -> Iterator[Spans]:
    """What was traced in this test: nothing is sent, nothing of another test is active or seen."""
    from ddmiddleware.testing import recorded

    with recorded() as spans:
        yield spans
