"""A kit for tests: what was traced, as something to ask and to compare; and an agent that misbehaves.

With pytest, take the fixture ``ddspans``; anywhere else, ``with recorded() as spans:``.
"""

from ddmiddleware.testing.hostile import BEHAVIOURS, HostileAgent
from ddmiddleware.testing.recording import recorded
from ddmiddleware.testing.spans import FinishedSpan, Spans

__all__ = ["BEHAVIOURS", "FinishedSpan", "HostileAgent", "Spans", "recorded"]
