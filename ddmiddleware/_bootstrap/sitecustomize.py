"""What ``ddmiddleware-run`` puts first on PYTHONPATH: patches everything, then runs the sitecustomize that it hides.

Python imports it in every interpreter that the command starts, and in their children. An interpreter that has no
ddmiddleware installed goes on without; the command's own says so.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _next_sitecustomize() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    path = [entry for entry in sys.path if os.path.abspath(entry) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


try:
    import ddmiddleware

    ddmiddleware.patch_all()
    if os.environ.get("_DDMIDDLEWARE_AS_DDTRACE"):
        import ddmiddleware.as_ddtrace
    if ddmiddleware.tracer.settings["DD_PROFILING_ENABLED"]:
        from ddmiddleware import _profiled

        _profiled.profile()
except Exception as error:  # of an interpreter that is too old, say: its program must not notice
    if os.environ.get("_DDMIDDLEWARE_RUN") == str(os.getpid()):
        reason = "is not installed" if isinstance(error, ImportError) else f"fails ({error!r})"
        print(f"ddmiddleware-run: not traced: ddmiddleware {reason} for {sys.executable}", file=sys.stderr)
finally:
    _next_sitecustomize()
