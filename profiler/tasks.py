"""asyncio's tasks: which one runs, what the others wait for. uvloop's loops run the same tasks.

Nothing is patched and no event-loop policy is needed: asyncio keeps the running task of each loop, and all tasks. What
it does not show, which thread uvloop runs in and, from Python 3.14 on, which tasks there are, is asked of those loops
that spans were started in.
"""

from __future__ import annotations

import random
import sys
import threading
from types import CodeType
from typing import Any
from weakref import WeakValueDictionary

from ddmiddleware.profiling.samples import Frame
from ddmiddleware.profiling.stacks import Stack, frame_at

TASKS_MAX = 50  # suspended ones looked at in one go; each stands for its share of the others

Task = tuple[int, str]  # id, name

_IN_SETS = sys.version_info < (3, 14)  # asyncio keeps all tasks in sets
_loops: WeakValueDictionary[int, Any] = WeakValueDictionary()  # by the ident of the thread


def current() -> Task | None:
    """Return the task that the calling thread runs, or None."""
    asyncio = sys.modules.get("asyncio")
    loop = None if asyncio is None else asyncio._get_running_loop()
    if asyncio is None or loop is None:
        return None
    ident = threading.get_ident()
    if _loops.get(ident) is not loop:
        _loops[ident] = loop
    task = asyncio.current_task()
    return None if task is None else (id(task), name_of(task))


def labels(task: Task) -> dict[str, str | int]:
    """Return the labels of *task*."""
    return {"task id": task[0], "task name": task[1]}


def running() -> dict[int, Any]:
    """Return the running task of each thread that runs a loop, by the thread's ident."""
    tasks = sys.modules.get("asyncio.tasks")
    if tasks is None:
        return {}
    found = {}
    for loop, task in list(tasks._current_tasks.items()):
        ident = getattr(loop, "_thread_id", None)  # uvloop's loops do not show theirs
        if ident is not None:
            found[ident] = task
    for ident, loop in list(_loops.items()):
        task = None if ident in found else tasks.current_task(loop)
        if task is not None:
            found[ident] = task
    return found


def suspended() -> tuple[list[tuple[Any, Stack]], float]:
    """Return up to ``TASKS_MAX`` suspended tasks with what they wait in, and how many tasks each stands for."""
    tasks = sys.modules.get("asyncio.tasks")
    if tasks is None:
        return [], 1.0
    every: list[Any] = []
    for name in ("_all_tasks", "_scheduled_tasks"):  # until Python 3.11, and after it
        known = getattr(tasks, name, None)
        if known is not None:
            every += [task for task in (reference() for reference in list(known.data)) if task is not None]
            break
    every += list(getattr(tasks, "_eager_tasks", ()))
    if not _IN_SETS:
        every += [task for loop in list(_loops.values()) for task in tasks.all_tasks(loop)]
    busy = {id(task) for task in running().values()}
    waiting = [task for task in every if id(task) not in busy and not task.done()]
    chosen, weight = some_of(waiting)
    stacks = [(task, await_chain(task.get_coro())) for task in chosen]
    return [(task, stack) for task, stack in stacks if stack], weight  # one that has not begun has none


def some_of(waiting: list[Any]) -> tuple[list[Any], float]:
    """Return up to ``TASKS_MAX`` of those that wait, by chance, and how many each stands for."""
    if len(waiting) <= TASKS_MAX:
        return waiting, 1.0
    return random.sample(waiting, TASKS_MAX), len(waiting) / TASKS_MAX


def await_chain(awaitable: Any, depth: int = 64) -> Stack:
    """Return where a suspended coroutine waits, leaf first."""
    found: list[Frame] = []
    while awaitable is not None and len(found) < depth:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaitable, f"{kind}_frame", None)
            if frame is not None and getattr(awaitable, f"{kind}_suspended", frame.f_lasti >= 0):  # new in 3.11
                code: CodeType = frame.f_code
                found.append(frame_at(code, frame.f_lasti))
                awaitable = getattr(awaitable, "gi_yieldfrom" if kind == "gi" else f"{kind}_await", None)
                break
        else:
            break
    return tuple(reversed(found))


def name_of(task: Any) -> str:
    """Return a task's name; not every class of task has one."""
    get_name = getattr(task, "get_name", None)
    return "" if get_name is None else str(get_name())
