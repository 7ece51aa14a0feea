/* The threads: the CPU clock of each, and the CPU time that is not charged yet.

   CPU time used since the last tick was not used where the thread is seen now, if it is seen asleep: then it is carried
   to the next tick that finds the thread running. So a function that sleeps is charged nothing for the one before it. */

#include "_tick.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 4096
#define STATS_OPEN_MAX 128 /* file descriptors are scarce: threads beyond are asked by opening theirs each time */

static struct pool threads;
static int stats_open;

uint64_t
clock_ns(int clock)
{
    struct timespec now;
    return clock_gettime(clock, &now) < 0 ? 0 : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* xorshift (Marsaglia 2003): good enough to choose with, and nobody else's state is touched. */
uint32_t
random_bits32(void)
{
    static uint64_t state;
    if (state == 0) {
        state = clock_ns(CLOCK_MONOTONIC) | 1;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static unsigned long
native_id_of(PyThreadState *state)
{
#if PY_VERSION_HEX >= 0x030B0000
    return state->native_thread_id;
#else
    /* 3.10 does not keep it. The clock's id has it inside (see thread_cpu_ns); that of a thread that is dead may crash,
       but one whose state is in the interpreter's list and has a frame is not. */
    clockid_t clock;
    return pthread_getcpuclockid((pthread_t)state->thread_id, &clock) == 0 ? (unsigned long)~(clock >> 3) : 0;
#endif
}

/* The name that threading has for a thread, so that it is known after its end; NULL where there is none yet. */
static PyObject *
name_of(unsigned long ident)
{
    static PyObject *active; /* threading._active: Thread objects by ident */
    if (active == NULL) {
        PyObject *threading = PyDict_GetItemString(PyImport_GetModuleDict(), "threading");
        active = threading == NULL ? NULL : PyObject_GetAttrString(threading, "_active");
        if (active == NULL || !PyDict_CheckExact(active)) {
            PyErr_Clear();
            Py_CLEAR(active);
            return NULL;
        }
    }
    PyObject *key = PyLong_FromUnsignedLong(ident), *name = NULL;
    PyObject *thread = key == NULL ? NULL : PyDict_GetItemWithError(active, key);
    Py_XDECREF(key);
    /* A subclass may find its attributes by Python code, which must not run here. */
    if (thread != NULL && Py_TYPE(thread)->tp_getattro == PyObject_GenericGetAttr) {
        name = PyObject_GetAttrString(thread, "_name");
    }
    PyErr_Clear();
    if (name != NULL && !PyUnicode_CheckExact(name)) {
        Py_CLEAR(name);
    }
    return name;
}

static uint64_t
raw_cpu_ns(struct thread *thread)
{
    /* The id of a thread's CPU clock by its kernel id (Linux: MAKE_THREAD_CPUCLOCK in kernel/time/posix-timers.h): once
       the thread is dead this is an error and no more. */
    clockid_t clock = (clockid_t)((~(unsigned int)thread->native_id << 3) | 6);
    return thread->native_id == 0 ? 0 : clock_ns(clock);
}

uint64_t
thread_cpu_ns(struct thread *thread)
{
    uint64_t now = raw_cpu_ns(thread);
    return now > thread->cpu_ns ? now : thread->cpu_ns;
}

int
thread_is_runnable(struct thread *thread)
{
    char text[512];
    int file = thread->stat;
    if (file < 0) {
        snprintf(text, sizeof(text), "/proc/self/task/%lu/stat", thread->native_id);
        file = open(text, O_RDONLY | O_CLOEXEC);
        if (file < 0) {
            return 0;
        }
        if (stats_open < STATS_OPEN_MAX) {
            thread->stat = file;
            stats_open++;
        }
    }
    ssize_t length = pread(file, text, sizeof(text) - 1, 0);
    if (file != thread->stat) {
        close(file);
    }
    if (length <= 0) {
        return 0;
    }
    text[length] = '\0';
    char *end = strrchr(text, ')'); /* of the command's name, which may hold anything; the state follows: proc(5) */
    return end != NULL && end[1] == ' ' && end[2] == 'R';
}

struct thread *
thread_entry(PyThreadState *state, int *fresh)
{
    if (threads.items == NULL && pool_make(&threads, sizeof(struct thread), sizeof(uint64_t), THREADS_MAX) < 0) {
        pool_free(&threads);
        return NULL;
    }
    struct thread thread = {.hash = mix(0, state->id), .state_id = state->id, .stat = -1};
    uint32_t index = pool_find(&threads, &thread, fresh);
    if (index == NONE) {
        return NULL;
    }
    struct thread *found = pool_item(&threads, index);
    if (*fresh) {
        found->ident = state->thread_id;
        found->native_id = native_id_of(state);
        found->cpu_ns = thread_cpu_ns(found);
    }
    if (found->name == NULL) { /* a thread gets into threading's list only after it began */
        found->name = name_of(found->ident);
        const char *text = found->name == NULL ? NULL : PyUnicode_AsUTF8(found->name);
        found->ours = text != NULL && strncmp(text, "ddmiddleware", 12) == 0;
        PyErr_Clear();
    }
    return found;
}

static void
drop(struct table *table, struct thread *thread)
{
    if (thread->carry_ns != 0 && thread->table_number == table->number && thread->last_sample != NONE) {
        sample_at(table, thread->last_sample)->cpu_ns += thread->carry_ns; /* nothing better will come */
    }
    if (thread->stat >= 0) {
        close(thread->stat);
        stats_open--;
    }
    Py_XDECREF(thread->name);
}

void
threads_sweep(struct table *table, uint64_t tick)
{
    struct pool kept;
    int fresh;
    if (threads.items == NULL || pool_make(&kept, sizeof(struct thread), sizeof(uint64_t), THREADS_MAX) < 0) {
        return;
    }
    for (uint32_t index = 1; index < threads.used; index++) {
        struct thread *thread = pool_item(&threads, index);
        if (thread->tick < tick || raw_cpu_ns(thread) == 0 || pool_find(&kept, thread, &fresh) == NONE) {
            drop(table, thread);
        }
    }
    pool_free(&threads);
    threads = kept;
}

void
threads_forget(void)
{
    for (uint32_t index = 1; index < threads.used; index++) {
        struct thread *thread = pool_item(&threads, index);
        if (thread->stat >= 0) {
            close(thread->stat);
        }
        Py_XDECREF(thread->name);
    }
    stats_open = 0;
    pool_free(&threads);
}
