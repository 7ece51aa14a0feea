"""Our few log lines, on the logger ``ddmiddleware``.

``logging`` is imported with the first of them: at import it would cost a quarter of our start-up budget.
"""

import os


def warn(message: str, *args: object) -> None:
    """Log one warning."""
    import logging

    logging.getLogger("ddmiddleware").warning("ddmiddleware: " + message, *args)


def info(message: str, *args: object) -> None:
    """Log one line at INFO."""
    import logging

    logging.getLogger("ddmiddleware").info("ddmiddleware: " + message, *args)


def debug(message: str, *args: object) -> None:
    """Log one line at DEBUG where ``DD_TRACE_DEBUG`` is on: to stderr, if nobody else takes our lines."""
    from ddmiddleware.tracing.settings import settings  # which log themselves

    if not settings["DD_TRACE_DEBUG"]:
        return
    import logging

    logger = logging.getLogger("ddmiddleware")
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.DEBUG)
    logger.debug("ddmiddleware[%d]: " + message, os.getpid(), *args)
