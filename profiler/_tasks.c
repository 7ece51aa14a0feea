/* asyncio's tasks: which one a thread runs, and what suspended ones wait in. No Python code runs here: what is called are
   functions and methods in C alone, and of a subclass those of asyncio's own class. */

#include "_tick.h"
#include <string.h>
#if PY_VERSION_HEX >= 0x030D0000
#include <internal/pycore_tstate.h>
#endif

static struct {
    PyTypeObject *task; /* _asyncio.Task, once it is loaded */
    PyObject *get_name, *get_coro, *get_context, *current_tasks, *loop_key;
} known;

/* Where asyncio notes the loop that a thread runs. uvloop's loops say so there too. */
static PyObject *
running_loop(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030D0000
    return ((_PyThreadStateImpl *)thread)->asyncio_running_loop;
#else
    PyObject *found = thread->dict == NULL ? NULL : PyDict_GetItemWithError(thread->dict, known.loop_key);
#if PY_VERSION_HEX < 0x030C0000
    struct holder { /* PyRunningLoopHolder of _asynciomodule.c, the same in 3.10 and 3.11 */
        PyObject_HEAD
        PyObject *loop;
        pid_t pid;
    };
    if (found != NULL) {
        if (strcmp(Py_TYPE(found)->tp_name, "_RunningLoopHolder") != 0 ||
            Py_TYPE(found)->tp_basicsize != sizeof(struct holder)) {
            return NULL;
        }
        found = ((struct holder *)found)->loop;
    }
#endif
    return found == Py_None ? NULL : found;
#endif
}

PyObject *
task_name(PyObject *task)
{
    PyObject *name = NULL;
    if (known.task != NULL && PyObject_TypeCheck(task, known.task)) { /* a subclass's own get_name is not called */
        name = PyObject_Vectorcall(known.get_name, &task, 1, NULL);
        if (name == NULL) {
            PyErr_Clear();
        }
    }
    return name;
}

PyObject *
running_task(PyThreadState *thread, PyObject **name)
{
    *name = NULL;
    if (known.current_tasks == NULL) {
        return NULL;
    }
    PyObject *loop = running_loop(thread), *key, *task;
    Py_ssize_t position = 0;
    while (loop != NULL && PyDict_Next(known.current_tasks, &position, &key, &task)) { /* one entry per running loop */
        if (key == loop && task != Py_None) {
            *name = task_name(task);
            return task;
        }
    }
    return NULL;
}

static PyObject *
context_of(PyObject *task)
{
    PyObject *context = PyObject_Vectorcall(known.get_context, &task, 1, NULL);
    Py_XDECREF(context); /* the task holds it */
    return context;
}

static int
visit_context(PyObject *found, void *context)
{
    if (found != NULL && PyContext_CheckExact(found)) {
        *(PyObject **)context = found;
        return 1;
    }
    return 0;
}

struct crowd all_tasks;

static void
sample_task(struct table *table, PyObject *task, int depth, uint64_t wall_ns)
{
    static struct frame frames[DEPTH_MAX];
    PyObject *coroutine = PyObject_Vectorcall(known.get_coro, &task, 1, NULL), *context = NULL, *name;
    int count = coroutine == NULL ? 0 : walk_awaits(coroutine, frames, depth);
    if (count > 0) { /* none: it is over, it runs, or it has not begun */
        uint32_t stack = table_stack(table, frames, count);
        if (known.get_context != NULL) {
            context = context_of(task);
        }
        else { /* until 3.11 only the garbage collector is shown a task's context, first of all */
            Py_TYPE(task)->tp_traverse(task, visit_context, &context);
        }
        name = task_name(task);
        add_suspended(table, stack, table_task(table, (uint64_t)(uintptr_t)task, name), context, wall_ns);
        Py_XDECREF(name);
    }
    PyErr_Clear();
    Py_XDECREF(coroutine);
}

void
look_for_tasks(void)
{
    if (known.task != NULL) {
        return;
    }
    PyObject *task = loaded("_asyncio", "Task"), *current = loaded("asyncio.tasks", "_current_tasks");
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *all = loaded("asyncio.tasks", "_scheduled_tasks");
#else
    PyObject *all = loaded("asyncio.tasks", "_all_tasks");
#endif
    known.loop_key = PyUnicode_InternFromString("__asyncio_running_event_loop__");
    if (known.loop_key != NULL && task != NULL && PyType_Check(task) && current != NULL && PyDict_Check(current) && all != NULL) {
        known.get_name = PyObject_GetAttrString(task, "get_name");
        known.get_coro = PyObject_GetAttrString(task, "get_coro");
        known.get_context = PyObject_GetAttrString(task, "get_context"); /* new in 3.12 */
        PyErr_Clear();
        if (known.get_name != NULL && known.get_coro != NULL) {
            known.current_tasks = current;
            known.task = (PyTypeObject *)task;
            all_tasks = (struct crowd){known.task, all, sample_task, 0, 0};
            return;
        }
    }
    Py_XDECREF(task);
    Py_XDECREF(current);
    Py_XDECREF(all);
}
