"""Where a process comes from: the commit that it runs, and the command that it was started by."""

from __future__ import annotations

import os
import sys

from ddmiddleware.tracing.settings_values import repository

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.settings import Settings


def commit_tags(settings: Settings) -> dict[str, str]:
    """Return the tags of the commit, its repository and the main package, as far as they are known.

    They stand in the settings, in ``DD_TAGS``, or in the main package's metadata: its project URL ``source_code_link``
    is ``REPOSITORY#COMMIT``.
    """
    package: str = settings["DD_MAIN_PACKAGE"]
    address: str = settings["DD_GIT_REPOSITORY_URL"] or repository(settings["DD_TAGS"].get("git.repository_url", ""))
    commit: str = settings["DD_GIT_COMMIT_SHA"] or settings["DD_TAGS"].get("git.commit.sha", "")
    if package and not (address and commit):
        built_from = _built_from(package)
        if built_from and not (address or commit):
            address, commit = built_from
    tags = {"_dd.git.commit.sha": commit, "_dd.git.repository_url": address, "_dd.python_main_package": package}
    return {key: value for key, value in tags.items() if value}


def _built_from(package: str) -> tuple[str, str] | None:
    from importlib import metadata

    try:
        links = metadata.metadata(package).get_all("Project-URL") or []
    except (metadata.PackageNotFoundError, ValueError, OSError):
        return None
    for link in links:
        label, _, address = str(link).partition(",")
        address, sign, commit = address.strip().rpartition("#")
        if label.strip() == "source_code_link" and sign:
            return repository(address), commit
    return None


def process_tags() -> str:
    """Return ``key:value`` pairs of what this process runs: script or module, its folder, the working directory."""
    program = sys.argv[0] if sys.argv else ""
    name = os.path.basename(program)
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    tags = {
        "entrypoint.basedir": os.path.basename(os.path.dirname(os.path.abspath(program))) if program else "",
        "entrypoint.name": main.name.removesuffix(".__main__") if main is not None else name.removesuffix(".py"),
        "entrypoint.type": "script" if main is None else "module",
        "entrypoint.workdir": os.path.basename(_working_directory()),
    }
    return ",".join(f"{key}:{_plain(value)}" for key, value in tags.items() if value)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it is gone
        return ""


def _plain(value: str) -> str:
    """Return *value* in lower case, with an underscore for what would not read as one value."""
    return "".join(character if character.isalnum() or character in "-._/" else "_" for character in value.lower())
