"""What a gunicorn worker serves for `benchmarks.served`: hello, and the CPU time of the worker after a flush."""

import importlib
import os
import time

# First of all imports that matter: ddtrace.auto wants to come before what it patches.
PEER = importlib.import_module(os.environ["BENCHMARK_PEER"])
TRACING = PEER.start()
PEER.instrument()

from benchmarks.apps import flask_application  # noqa: E402

application = flask_application()


@application.get("/cpu")
def cpu() -> dict[str, float]:
    TRACING.flush()
    return {"cpu_s": time.process_time()}
