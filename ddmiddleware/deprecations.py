"""What is about names that will go."""


class DDTraceDeprecationWarning(DeprecationWarning):
    """ddtrace's warning, for programs that filter it; this suite warns of no name of ddtrace's."""
