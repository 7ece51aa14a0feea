"""An agent that records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recording_agent import RecordingAgent


@pytest.fixture
def agent() -> Iterator[RecordingAgent]:
    """An agent on a free TCP port; it does not bear anything the protocol does not allow."""
    with RecordingAgent() as agent:
        yield agent
