"""A small shop on Flask."""
