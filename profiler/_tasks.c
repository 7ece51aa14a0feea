/* asyncio's tasks and gevent's greenlets: which one a thread runs, and what suspended tasks wait in. No Python code runs
   here: what is called are functions and methods in C alone, and of a subclass those of asyncio's own class. */

#include "_tick.h"
#include <string.h>
#if PY_VERSION_HEX >= 0x030D0000
#include <internal/pycore_setobject.h>
#include <internal/pycore_tstate.h>
#endif

#define SUSPENDED_MAX 50
#define SUSPENDED_EVERY 10
#define MANY_TASKS 5000 /* above which walking the set of all tasks takes so long that it is done less often */

static struct {
    PyTypeObject *task; /* _asyncio.Task, once it is loaded */
    PyObject *get_name, *get_coro, *get_context, *current_tasks, *all_tasks, *loop_key;
    PyObject *current_greenlet; /* greenlet.getcurrent, a function in C, once gevent is loaded */
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

static void
sample_task(struct table *table, PyObject *task, int depth, uint64_t wall_ns)
{
    static struct frame frames[DEPTH_MAX];
    PyObject *coroutine = PyObject_Vectorcall(known.get_coro, &task, 1, NULL), *context = NULL, *name;
    int count = coroutine == NULL ? 0 : walk_awaits(coroutine, frames, depth);
    if (count > 0) { /* none: it is over, it runs, or it has not begun */
        struct sample_key key = {table_stack(table, frames, count), NONE, NONE, NONE, 0, 1};
        struct work work;
        if (known.get_context != NULL) {
            context = context_of(task);
        }
        else { /* until 3.11 only the garbage collector is shown a task's context, first of all */
            Py_TYPE(task)->tp_traverse(task, visit_context, &context);
        }
        if (work_of(context, &work)) {
            key.request = table_request(table, work.root_id, work.root);
            key.span_id = work.span_id;
        }
        name = task_name(task);
        key.task = table_task(table, (uint64_t)(uintptr_t)task, name);
        Py_XDECREF(name);
        uint32_t index = table_sample(table, &key);
        if (index != NONE) {
            sample_at(table, index)->count++;
            sample_at(table, index)->wall_ns += wall_ns;
        }
    }
    PyErr_Clear();
    Py_XDECREF(coroutine);
}

/* The task of a weak reference, borrowed; NULL where it is gone or no task. */
static PyObject *
task_of(PyObject *reference)
{
    PyObject *task = NULL;
    if (!PyWeakref_CheckRefExact(reference)) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030D0000
    PyWeakref_GetRef(reference, &task);
    Py_XDECREF(task); /* the GIL keeps it alive until sample_suspended has a reference */
#else
    task = PyWeakref_GET_OBJECT(reference);
#endif
    return task != NULL && PyObject_TypeCheck(task, known.task) ? task : NULL;
}

static PyObject *
every_task(void)
{
    PyObject *tasks = known.all_tasks == NULL ? NULL : PyObject_GetAttrString(known.all_tasks, "data"); /* of a WeakSet */
    if (tasks == NULL) {
        PyErr_Clear();
    }
    else if (!PySet_Check(tasks)) {
        Py_CLEAR(tasks);
    }
    return tasks;
}

void
sample_suspended(struct table *table, int depth, uint64_t tick, uint64_t now_ns, uint64_t period_ns)
{
    static uint64_t last_ns, last_tick;
    PyObject *tasks = every_task(), *reference, *chosen[SUSPENDED_MAX];
    Py_ssize_t seen = 0, position = 0;
    Py_hash_t hash;
    uint64_t every = tasks != NULL && PySet_GET_SIZE(tasks) > MANY_TASKS ? 10 * SUSPENDED_EVERY : SUSPENDED_EVERY;
    if (tasks == NULL || (tick >= last_tick && tick < last_tick + every)) {
        Py_XDECREF(tasks);
        return;
    }
    uint64_t wall_ns = tick > last_tick && last_tick > 0 ? now_ns - last_ns : period_ns;
    last_ns = now_ns, last_tick = tick;
    while (_PySet_NextEntry(tasks, &position, &reference, &hash)) {
        PyObject *task = task_of(reference);
        if (task == NULL) {
            continue;
        }
        /* Each of those seen so far is among the chosen with the same probability. */
        Py_ssize_t place = seen < SUSPENDED_MAX ? seen : (Py_ssize_t)(random_bits32() % (uint64_t)(seen + 1));
        seen++;
        if (place < SUSPENDED_MAX) {
            chosen[place] = task;
        }
    }
    Py_ssize_t count = seen < SUSPENDED_MAX ? seen : SUSPENDED_MAX;
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_INCREF(chosen[index]);
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        sample_task(table, chosen[index], depth, wall_ns * (uint64_t)seen / (uint64_t)count);
        Py_DECREF(chosen[index]);
    }
    Py_DECREF(tasks);
}

/* An attribute of a module, new, or NULL where the module is not loaded, or not that far. */
static PyObject *
loaded(const char *module, const char *name)
{
    PyObject *found = PyDict_GetItemString(PyImport_GetModuleDict(), module);
    found = found != NULL && PyModule_CheckExact(found) ? PyObject_GetAttrString(found, name) : NULL;
    PyErr_Clear();
    return found;
}

static void
look_for_tasks(void)
{
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
            known.all_tasks = all;
            known.task = (PyTypeObject *)task;
            return;
        }
    }
    Py_XDECREF(task);
    Py_XDECREF(current);
    Py_XDECREF(all);
}

void
work_look_around(void)
{
    if (known.task == NULL) {
        look_for_tasks();
    }
    PyObject *gevent = PyDict_GetItemString(PyImport_GetModuleDict(), "gevent");
    if (known.current_greenlet == NULL && gevent != NULL) {
        known.current_greenlet = loaded("greenlet", "getcurrent");
        if (known.current_greenlet != NULL && !PyCFunction_Check(known.current_greenlet)) {
            Py_CLEAR(known.current_greenlet);
        }
    }
}

uint32_t
running_greenlet(struct table *table, PyThreadState *thread)
{
    if (known.current_greenlet == NULL || thread != PyThreadState_Get()) {
        return NONE;
    }
    uint32_t index = NONE;
    PyObject *greenlet = PyObject_CallNoArgs(known.current_greenlet);
    PyObject *name = greenlet == NULL ? NULL : PyUnicode_FromString(Py_TYPE(greenlet)->tp_name);
    if (name != NULL) { /* its own name is made by Python code */
        PyUnicode_InternInPlace(&name);
        index = table_task(table, (uint64_t)(uintptr_t)greenlet, name);
    }
    PyErr_Clear();
    Py_XDECREF(name);
    Py_XDECREF(greenlet);
    return index;
}
