"""The comment before a statement that tells the database who asks (``DD_DBM_PROPAGATION_MODE``).

Datadog's database monitoring reads it: keys in their order, values quoted as in URLs (sqlcommenter), a space behind.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from ddmiddleware.tracing import Span, default_settings, default_tracer, traceparent


def comment(span: Span, doubled: bool) -> str:
    """Return the comment for the statement of *span*, which is marked to have it; empty where comments are off.

    *doubled* says that the driver will read percent signs, as it does in statements with parameters.
    """
    mode = default_settings["DD_DBM_PROPAGATION_MODE"]
    if mode == "disabled":
        return ""
    meta = span._meta
    words = _quoted(
        dddb=meta.get("db.name"),
        dddbs=span.service or default_tracer.service,
        dde=default_settings.env,
        ddh=meta.get("out.host"),
        ddprs=meta.get("peer.service"),
        ddps=default_tracer.service,
        ddpv=default_settings.version,
    )
    if mode == "full":
        meta["_dd.dbm_trace_injected"] = "true"
        words = f"{words},traceparent='{traceparent(span.context)}'"
    return f"/*{words.replace('%', '%%') if doubled else words}*/ "


@lru_cache(maxsize=100)  # they are few, and of one database mostly the same
def _quoted(**words: str | None) -> str:
    return ",".join(f"{key}='{quote(text, errors='replace')}'" for key, text in words.items() if text)
