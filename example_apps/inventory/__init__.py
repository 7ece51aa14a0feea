"""A small inventory on Starlette."""
