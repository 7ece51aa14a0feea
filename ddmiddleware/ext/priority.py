"""Sampling priorities, under the older names."""

from ddmiddleware.constants import AUTO_KEEP, AUTO_REJECT, USER_KEEP, USER_REJECT

__all__ = ["AUTO_KEEP", "AUTO_REJECT", "USER_KEEP", "USER_REJECT"]
