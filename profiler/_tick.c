/* The stack sampler's module: one tick, and what Python calls to start it and to fetch what was seen. PythonSampler
   (python_sampler.py) is the readable twin. See _tick.h for the other files. */

#include "_tick.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define THREADS_PER_TICK 64 /* with more than these, each tick looks at so many of them on average */
#define SWEEP_TICKS 100

static struct {
    struct table *table;
    int depth, ignore_ours;
    uint64_t number, last_ns;
} sampler;

/* Find the sample that stands for where a thread is; NONE where it runs no Python code. */
static uint32_t
look_at(PyThreadState *state, struct thread *thread)
{
    static struct frame frames[DEPTH_MAX];
    int count = walk_thread(state, frames, sampler.depth);
    if (count == 0) {
        return NONE;
    }
    struct sample_key key = {.stack = table_stack(sampler.table, frames, count)};
    key.thread = table_thread(sampler.table, thread->state_id, thread->ident, thread->native_id, thread->name);
    struct work work;
    if (work_of(state->context, &work)) {
        key.request = table_request(sampler.table, work.root_id, work.root);
        key.span_id = work.span_id;
    }
    PyObject *name, *task = running_task(state, &name);
    key.task = task != NULL ? table_task(sampler.table, (uint64_t)(uintptr_t)task, name) : running_greenlet(sampler.table, state);
    Py_XDECREF(name);
    return table_sample(sampler.table, &key);
}

static void
sample_thread(PyThreadState *state, int runs, uint64_t due_ns, uint64_t late_ns, uint64_t period_ns)
{
    int fresh;
    struct frame leaf;
    if (walk_thread(state, &leaf, 1) == 0) { /* until it runs Python code, ids may be those of who made it (3.10, 3.11) */
        return;
    }
    struct thread *thread = thread_entry(state, &fresh);
    if (thread == NULL) {
        return;
    }
    uint64_t used_ns = 0, wall_ns = period_ns;
    if (!fresh) {
        uint64_t cpu_ns = thread_cpu_ns(thread);
        used_ns = cpu_ns - thread->cpu_ns;
        wall_ns = due_ns - thread->seen_ns;
        thread->cpu_ns = cpu_ns;
    }
    else if (sampler.number > 1) {
        /* It began since the last tick. One that runs is charged a whole period, for one that ends is not charged what it
           used after its last tick: on average this is right, however short threads live. A late tick stands for more
           time than the thread can have had. */
        uint64_t interval_ns = timer_counts.interval_ns;
        used_ns = !runs ? thread->cpu_ns : period_ns < interval_ns ? period_ns : interval_ns;
    }
    thread->seen_ns = due_ns;
    thread->tick = sampler.number;
    if (thread->ours && sampler.ignore_ours) {
        return;
    }
    /* A thread whose CPU clock stands still has not moved: it is where it was. */
    if (fresh || used_ns > 0 || runs || thread->native_id == 0 || thread->table_number != sampler.table->number) {
        thread->last_sample = look_at(state, thread);
        thread->table_number = sampler.table->number;
    }
    thread->carry_ns += used_ns;
    if (thread->last_sample == NONE) {
        return;
    }
    struct sample *sample = sample_at(sampler.table, thread->last_sample);
    sample->count++;
    sample->wall_ns += wall_ns;
    if (thread->carry_ns > 0 && (runs || (used_ns > 0 && thread_is_runnable(thread)))) {
        uint64_t since_ns = !runs ? 0 : late_ns < used_ns ? late_ns : used_ns;
        sample->cpu_count++;
        sample->cpu_ns += thread->carry_ns - since_ns;
        thread->carry_ns = since_ns;
    }
}

void
tick(PyThreadState *holder, uint64_t due_ns, uint64_t late_ns)
{
    if (sampler.table == NULL || PyErr_Occurred()) {
        return;
    }
    PyInterpreterState *interpreter = PyInterpreterState_Main();
    uint64_t period_ns = due_ns - sampler.last_ns, count = 0;
    sampler.last_ns = due_ns;
    sampler.number++;
    for (PyThreadState *state = PyInterpreterState_ThreadHead(interpreter); state != NULL;
         state = PyThreadState_Next(state)) {
        count++;
    }
    for (PyThreadState *state = PyInterpreterState_ThreadHead(interpreter); state != NULL;
         state = PyThreadState_Next(state)) {
        /* One that is passed over is charged with its whole time when its turn comes. The first tick sees all. */
        if (count <= THREADS_PER_TICK || state == holder || sampler.number == 1 ||
            random_bits32() % count < THREADS_PER_TICK) {
            sample_thread(state, state == holder, due_ns, late_ns, period_ns);
        }
    }
    sample_suspended(sampler.table, sampler.depth, sampler.number, due_ns, period_ns);
    if (sampler.number % SWEEP_TICKS == 0) {
        /* With many threads the sweep spares those that chance has passed over. */
        uint64_t rounds = 1 + 20 * (count / THREADS_PER_TICK);
        threads_sweep(sampler.table, sampler.number > rounds ? sampler.number - rounds : 0);
        table_settle(sampler.table);
        work_look_around();
    }
}

static PyObject *
prepare(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *span_type, *variable;
    if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &span_type, &PyContextVar_Type, &variable)) {
        return NULL;
    }
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "only the main interpreter is sampled");
        return NULL;
    }
    if (work_prepare(span_type, variable) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
start(PyObject *Py_UNUSED(module), PyObject *args)
{
    int depth, ignore_ours;
    unsigned long long fastest_ns, slowest_ns;
    double budget;
    if (!PyArg_ParseTuple(args, "iKKdp", &depth, &fastest_ns, &slowest_ns, &budget, &ignore_ours)) {
        return NULL;
    }
    if (timer_is_alive()) { /* as where one thread forks while another one starts the profiler */
        Py_RETURN_NONE;
    }
    if (sampler.table == NULL && (sampler.table = table_new()) == NULL) {
        return PyErr_NoMemory();
    }
    sampler.depth = depth < 1 ? 1 : depth > DEPTH_MAX ? DEPTH_MAX : depth;
    sampler.ignore_ours = ignore_ours;
    sampler.number = 0;
    sampler.last_ns = clock_ns(CLOCK_MONOTONIC);
    work_look_around();
    threads_forget();
    int error = timer_start(fastest_ns, slowest_ns, budget);
    if (error != 0) {
        return PyErr_Format(PyExc_RuntimeError, "the timer's thread cannot be started: %s", strerror(error));
    }
    Py_RETURN_NONE;
}

static PyObject *
stop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    timer_stop();
    Py_RETURN_NONE;
}

static PyObject *
forget(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    timer_forget();
    threads_forget();
    struct table *table = sampler.table;
    sampler.table = NULL;
    if (table != NULL) {
        table_free(table);
    }
    Py_RETURN_NONE;
}

/* Return what was seen as a handle for rows() and stack(), and begin anew. */
static PyObject *
swap(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    struct table *fresh = table_new(), *full = sampler.table;
    if (fresh == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *handle = table_handle(full == NULL ? fresh : full);
    if (handle == NULL) {
        table_free(fresh);
        return NULL;
    }
    if (full != NULL) {
        threads_sweep(full, 0); /* what those that ended used still belongs here */
        sampler.table = fresh;
        table_settle(full);
    }
    return handle;
}

static PyObject *
counts(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    struct timer_counts *now = &timer_counts;
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsK}", "ticks", now->ticks, "by_holder", now->by_holder, "late", now->late,
                         "interval_ns", now->interval_ns, "timer_cpu_ns", now->timer_cpu_ns, "tick_cpu_ns",
                         now->tick_cpu_ns, "latency_ns", now->latency_ns, "lost",
                         sampler.table == NULL ? 0 : sampler.table->lost, "stacks",
                         sampler.table == NULL ? 0 : (uint64_t)sampler.table->stacks.used - 1);
}

static PyMethodDef methods[] = {
    {"prepare", prepare, METH_VARARGS, PyDoc_STR("prepare(Span, active): learn the tracer's spans.")},
    {"start", start, METH_VARARGS, PyDoc_STR("start(depth, fastest_ns, slowest_ns, budget, ignore_ours)")},
    {"stop", stop, METH_NOARGS, PyDoc_STR("stop(): what was seen is kept.")},
    {"forget", forget, METH_NOARGS, PyDoc_STR("forget(): in a forked child, where the timer is not.")},
    {"swap", swap, METH_NOARGS, PyDoc_STR("swap(): return a handle to what was seen, and begin anew.")},
    {"rows", rows, METH_VARARGS, PyDoc_STR("rows(handle, first, count): samples of a handle.")},
    {"stack", stack, METH_VARARGS, PyDoc_STR("stack(handle, index): code objects and offsets, in turn.")},
    {"counts", counts, METH_NOARGS, PyDoc_STR("counts(): what the timer did.")},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "ddmiddleware.profiling._tick", "The stack sampler; see _tick.h.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__tick(void)
{
    return PyModule_Create(&definition);
}
