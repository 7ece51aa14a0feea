"""``import ddmiddleware.auto`` does what ``ddmiddleware-run`` does: it traces every supported library.

With ``DD_PROFILING_ENABLED=true`` it profiles the process too.
"""

from ddmiddleware.integrations import patch_all
from ddmiddleware.tracing import default_settings

patch_all()
if default_settings["DD_PROFILING_ENABLED"]:
    from ddmiddleware.profiling import auto  # noqa: F401  # it starts
