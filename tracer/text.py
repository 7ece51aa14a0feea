"""Text of whatever a user gives us."""


def text(value: object) -> str:
    """Return *value* as text; an object whose ``__str__`` fails gives the name of its class."""
    if isinstance(value, str):
        return str.__str__(value)  # of a subclass too, whose own methods never run
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        return str(value)
    except Exception:  # any code of the user's may run in __str__
        return f"<{type(value).__name__}>"
