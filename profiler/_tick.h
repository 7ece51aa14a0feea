/* What the files of the stack sampler share: _walk.c reads stacks, _work.c, _tasks.c and _greenlets.c what they work for,
   _suspended.c chooses among what waits, _accounting.c knows the threads and their clocks, _table.c (over _pool.c) adds up
   and _rows.c hands that to Python, _timer.c decides when, _tick.c does one tick and is the module.

   Everything here but the timer's own sleep runs with the GIL held: it is the only lock, and no memory is read that
   Python does not keep valid under it. */

#ifndef DDMIDDLEWARE_TICK_H
#define DDMIDDLEWARE_TICK_H

#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE 1 /* frames, the GIL's state and the running loop stand in internal headers */
#include <Python.h>
#include <stdint.h>

#if !defined(__linux__) || defined(Py_GIL_DISABLED) || PY_VERSION_HEX < 0x030A0000 || PY_VERSION_HEX >= 0x030E0000
#error "the sampler in C is written for CPython 3.10 to 3.13 with the GIL, on Linux; elsewhere that in Python runs"
#endif

#define DEPTH_MAX 512
#define NONE 0 /* the first item of every pool stands for "there is none", or "no room was left" */

/* ---- _walk.c ---- */

struct frame {
    PyCodeObject *code; /* borrowed until it is in a table */
    int offset;         /* of the instruction, in bytes */
};

/* The stack of a thread, leaf first; returns how many frames. */
int walk_thread(PyThreadState *thread, struct frame *frames, int depth);
/* The stack from a frame on whose thread or greenlet is known not to run. */
int walk_frames(PyFrameObject *frame, struct frame *frames, int depth);
/* Where a suspended coroutine, generator or async generator waits, leaf first. */
int walk_awaits(PyObject *awaitable, struct frame *frames, int depth);

/* ---- _pool.c ---- */

/* Items of one kind by their key: the hash, then key_bytes to compare, then what is not compared. */
struct pool {
    char *items;
    uint32_t *slots; /* open addressing: index of the item, 0 where free */
    uint32_t used, capacity, slot_count, most;
    uint32_t item_bytes, key_bytes;
};

void *pool_item(struct pool *pool, uint32_t index);
int pool_make(struct pool *pool, size_t item_bytes, size_t key_bytes, uint32_t most);
/* Find or add; *fresh says which. Returns NONE where no room is left. */
uint32_t pool_find(struct pool *pool, const void *item, int *fresh);
void pool_free(struct pool *pool);
uint64_t mix(uint64_t hash, uint64_t value);

/* ---- _table.c ---- */

struct request { /* a local root */
    uint64_t hash, root_id;
    PyObject *span, *resource, *type; /* span until it is over, the others from then on */
};

struct task {
    uint64_t hash;
    uint64_t id;
    PyObject *name; /* compared as an object, which the table keeps alive */
};

struct thread_row {
    uint64_t hash;
    uint64_t state_id; /* PyThreadState.id is never used twice */
    unsigned long ident, native_id;
    PyObject *name;
};

struct sample_key {
    uint32_t stack, thread, request, task;
    uint64_t span_id;
    uint64_t suspended;
};

struct sample {
    uint64_t hash;
    struct sample_key key;
    uint64_t count, wall_ns, cpu_count, cpu_ns;
};

struct table {
    struct pool stacks, samples, requests, tasks, threads;
    struct frame *frames; /* of all stacks, one after the other; the code is owned */
    uint32_t frames_used, frames_capacity;
    uint64_t number; /* no two tables have the same: an index is remembered with it */
    uint64_t lost;   /* samples for which no room was left */
};

struct table *table_new(void);
void table_free(struct table *table);
uint32_t table_stack(struct table *table, const struct frame *frames, int depth);
uint32_t table_request(struct table *table, uint64_t root_id, PyObject *span);
uint32_t table_task(struct table *table, uint64_t id, PyObject *name);
uint32_t table_thread(struct table *table, uint64_t state_id, unsigned long ident, unsigned long native_id,
                      PyObject *name);
/* The frames of a stack; returns how many. */
uint32_t stack_frames(struct table *table, uint32_t index, struct frame **frames);
/* Returns the sample's index, NONE where there is no room. */
uint32_t table_sample(struct table *table, const struct sample_key *key);
struct sample *sample_at(struct table *table, uint32_t index);
struct request *request_at(struct table *table, uint32_t index);
/* Let go of spans that are over. */
void table_settle(struct table *table);

/* ---- _rows.c ---- */

PyObject *table_handle(struct table *table);
PyObject *rows(PyObject *module, PyObject *args);
PyObject *stack(PyObject *module, PyObject *args);

/* ---- _work.c ---- */

struct work {
    PyObject *root; /* borrowed: it is kept by the context it was read from */
    uint64_t root_id, span_id;
};

/* Learn the types and slots of the tracer's spans; -1 with an exception where they do not fit. */
int work_prepare(PyObject *span_type, PyObject *variable);
/* What a context works for; 0 where no request is open in it. */
int work_of(PyObject *context, struct work *work);
/* The same of the calling thread's own context: calls nothing and allocates nothing. */
int work_here(struct work *work);
int span_is_over(PyObject *span);
void span_names(PyObject *span, PyObject **resource, PyObject **type);
/* ---- _tasks.c ---- */

/* The task that a thread runs, borrowed, or NULL; *name* is new. */
PyObject *running_task(PyThreadState *thread, PyObject **name);
PyObject *task_name(PyObject *task);
void look_for_tasks(void);

/* ---- _greenlets.c ---- */

/* gevent runs greenlets inside of one thread, which alone knows its current one; from 3.12 on, a tick runs there. */
uint32_t running_greenlet(struct table *table, PyThreadState *thread);
void look_for_greenlets(void);

/* ---- _suspended.c ---- */

struct crowd { /* all tasks, or all greenlets */
    PyTypeObject *type;
    PyObject *members; /* a WeakSet; NULL while there are none */
    void (*sample)(struct table *table, PyObject *member, int depth, uint64_t wall_ns);
    uint64_t last_ns, last_tick;
};

extern struct crowd all_tasks, all_greenlets;
/* Add those that are suspended, at most 50 of each kind, each with its share of the time. */
void sample_suspended(struct table *table, int depth, uint64_t tick, uint64_t now_ns, uint64_t period_ns);
/* Add one: where it waits, for how long, what it is and what it works for. */
void add_suspended(struct table *table, uint32_t stack, uint32_t task, PyObject *context, uint64_t wall_ns);
/* An attribute of a module, new, or NULL where the module is not loaded, or not that far. */
PyObject *loaded(const char *module, const char *name);
/* See whether the program has loaded asyncio or gevent meanwhile. */
void work_look_around(void);

/* ---- _accounting.c ---- */

struct thread {
    uint64_t hash;
    uint64_t state_id;
    unsigned long ident, native_id;
    PyObject *name;
    int stat; /* file descriptor of its /proc/self/task/<native id>/stat, -1 until it is needed */
    uint64_t cpu_ns, carry_ns, seen_ns, tick;
    uint64_t table_number; /* of the table that last_sample stands in */
    uint32_t last_sample;
    int ours; /* a thread of this suite's */
};

uint64_t clock_ns(int clock);
/* The thread's entry, made where it is new; NULL where there is no room. */
struct thread *thread_entry(PyThreadState *state, int *fresh);
/* Its CPU time so far, or what was known last where it has ended. */
uint64_t thread_cpu_ns(struct thread *thread);
/* Whether the kernel says that it runs, or could. */
int thread_is_runnable(struct thread *thread);
/* Drop those that were not seen since *tick*. */
void threads_sweep(struct table *table, uint64_t tick);
void threads_forget(void);
uint32_t random_bits32(void);

/* ---- _timer.c ---- */

struct timer_counts {
    uint64_t ticks, by_holder, late, interval_ns, timer_cpu_ns, tick_cpu_ns, latency_ns;
};

extern struct timer_counts timer_counts;
int timer_is_alive(void);
/* Start the thread, where none is; returns an errno. */
int timer_start(uint64_t fastest_ns, uint64_t slowest_ns, double budget);
/* End it; releases the GIL meanwhile. */
void timer_stop(void);
/* In a forked child, where the thread is not. */
void timer_forget(void);

/* ---- _tick.c ---- */

/* One look at all threads. *holder* is the one that computes: it held the GIL when the tick was due, and for *late_ns* from
   then on. Time is charged up to when the tick was due: else a call that keeps the GIL would be charged its own rest each
   time that it is seen, and long ones too much. */
void tick(PyThreadState *holder, uint64_t due_ns, uint64_t late_ns);

#endif
