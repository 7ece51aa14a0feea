"""In which container this process runs, for an agent outside of it."""

from __future__ import annotations

import os
import re

# The last part of a path in /proc/self/cgroup: Docker, containerd and CRI-O name 64 hexadecimal digits, ECS a task's 32
# and a number, Cloud Foundry and Garden a UUID that may end early.
_ID = re.compile(r"([0-9a-f]{64}|[0-9a-f]{32}-\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){4}[0-9a-f]{0,8})(?:\.scope)?$")
_HOSTS_CGROUP_NAMESPACE = 0xEFFFFFFB  # the kernel's PROC_CGROUP_INIT_INO
_CGROUP_MAX = 1 << 16


def container_headers(external_env: str, root: str = "/") -> dict[str, str]:
    """Return the headers by which an agent finds the container's tags; *root* is where ``/proc`` and ``/sys`` are."""
    headers = {}
    groups = _groups(root)
    found = next((match[1] for path in groups.values() if (match := _ID.search(path))), None)
    if found:
        headers["Datadog-Container-ID"] = found
        headers["Datadog-Entity-ID"] = "ci-" + found
    elif inode := _inode(groups, root):
        headers["Datadog-Entity-ID"] = f"in-{inode}"
    if external_env and external_env.isascii() and external_env.isprintable():
        headers["Datadog-External-Env"] = external_env
    return headers


def _groups(root: str) -> dict[str, str]:
    """Return the path of each controller's group; the key is empty in cgroup v2."""
    try:
        with open(os.path.join(root, "proc/self/cgroup"), encoding="utf-8", errors="replace") as file:
            lines = file.read(_CGROUP_MAX).splitlines()
    except OSError:
        return {}
    parts = [line.split(":", 2) for line in lines]
    return {part[1]: part[2] for part in parts if len(part) == 3}


def _inode(groups: dict[str, str], root: str) -> int:
    """Return the inode of the group's folder, as a container sees it that knows no id of its own; 0 outside of one."""
    try:
        if os.stat(os.path.join(root, "proc/self/ns/cgroup")).st_ino == _HOSTS_CGROUP_NAMESPACE:
            return 0
    except OSError:
        return 0
    for controller in ("memory", ""):
        if controller in groups:
            try:
                path = os.path.join(root, "sys/fs/cgroup", controller, groups[controller].lstrip("/"))
                inode = os.stat(path).st_ino
            except OSError:
                continue
            if inode > 2:  # the smaller ones are roots of whole file systems
                return inode
    return 0
