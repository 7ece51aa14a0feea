/* When a tick is due, and how it gets the GIL without waiting in the queue for it, which takes 5 ms and more while the
   program computes, and would show it only where it lets go of the GIL by itself.

   Python 3.12 and later: the timer's thread leaves a call that whichever thread holds the GIL makes at its next check of
   the eval breaker, some 20 us later. Before 3.12 such calls are made by the main thread only: there the timer asks for
   the GIL to be dropped, as a waiting thread does after its 5 ms, and takes it at once. If nobody holds it, the timer takes
   it in any version. */

#include "_tick.h"
#include <errno.h>
#include <internal/pycore_ceval.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_runtime.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define JITTER_PER_MILLE 300    /* or loops that take as long as a period would always be seen at the same place */
#define RATED_EVERY_NS 500000000u
#define REARM_TICKS 100         /* a call that was lost, as by a fork, is not waited for longer */
#define PATIENCE_NS 50000000u   /* for a C function that keeps the GIL */
#define SPINS 120 /* more would keep the processor from the thread that is to drop the GIL, if there is but one */
#define NAP_NS 20000u
#define NAP_MAX_NS 1000000u

struct timer_counts timer_counts;

static struct {
    pthread_t thread;
    pthread_mutex_t mutex; /* held by the thread but around its sleep */
    pthread_cond_t wake;
    PyInterpreterState *interpreter;
    uint64_t generation; /* of the thread that may go on */
    int alive;
    uint64_t due, served, armed; /* the numbers of the tick that is due, the last one done, and that the call was left for */
    uint64_t due_ns;
    uint64_t fastest_ns, slowest_ns;
    double budget;
} timer = {.mutex = PTHREAD_MUTEX_INITIALIZER};

#define LOAD(what) __atomic_load_n(&(what), __ATOMIC_ACQUIRE)
#define STORE(what, value) __atomic_store_n(&(what), (value), __ATOMIC_RELEASE)

static uint64_t
next_due_ns(uint64_t due_ns)
{
    static uint32_t state = 2463534242u; /* of this thread alone, unlike random_bits32 */
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return due_ns + timer_counts.interval_ns * (1000 - JITTER_PER_MILLE + state % (2 * JITTER_PER_MILLE + 1)) / 1000;
}

static inline int
gil_is_held(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return __atomic_load_n(&timer.interpreter->ceval.gil->locked, __ATOMIC_ACQUIRE) == 1;
#elif PY_VERSION_HEX >= 0x030C0000
    return __atomic_load_n((int *)&timer.interpreter->ceval.gil->locked, __ATOMIC_ACQUIRE) == 1;
#else
    return __atomic_load_n((int *)&_PyRuntime.ceval.gil.locked, __ATOMIC_ACQUIRE) == 1;
#endif
}

/* With the GIL held: do the tick that is due, unless somebody did. */
static void
serve(PyThreadState *holder)
{
    uint64_t due = LOAD(timer.due);
    if (due != timer.served && timer.alive) {
        uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), due_ns = LOAD(timer.due_ns);
        STORE(timer.served, due);
        uint64_t late_ns = now_ns > due_ns ? now_ns - due_ns : 0;
        timer_counts.latency_ns += late_ns;
        tick(holder, due_ns, late_ns);
        timer_counts.ticks++;
    }
}

#if PY_VERSION_HEX >= 0x030C0000

static int
serve_call(void *generation)
{
    STORE(timer.armed, 0);
    if ((uint64_t)(uintptr_t)generation == timer.generation) { /* else it was left before a stop, or in a parent process */
        uint64_t before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID), ticks = timer_counts.ticks;
        serve(PyThreadState_Get());
        timer_counts.by_holder += timer_counts.ticks - ticks;
        timer_counts.tick_cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
    }
    return 0;
}

static void
take_turn(PyThreadState *state, uint64_t generation)
{
    uint64_t due = LOAD(timer.due), armed = LOAD(timer.armed);
    int held = gil_is_held();
    if (armed == 0 || due - armed > REARM_TICKS) {
        STORE(timer.armed, due);
        if (_PyEval_AddPendingCall(timer.interpreter, serve_call, (void *)(uintptr_t)generation, 0) != 0) {
            STORE(timer.armed, 0); /* the queue is full */
        }
    }
    if (!held) { /* whoever comes first does it: another thread may take the GIL just now */
        PyEval_RestoreThread(state);
        serve(NULL);
        PyEval_SaveThread();
    }
}

#else

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* What a thread does that has waited for the GIL in vain (SET_GIL_DROP_REQUEST of ceval.c). */
static void
request_drop(int wanted)
{
    _Py_atomic_store_relaxed(&timer.interpreter->ceval.gil_drop_request, wanted);
    if (wanted) {
        _Py_atomic_store_relaxed(&timer.interpreter->ceval.eval_breaker, 1);
    }
}

static int
wait_for_drop(uint64_t generation)
{
    uint64_t nap_ns = NAP_NS, deadline_ns = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
    while (LOAD(timer.generation) == generation && clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
        request_drop(1);
        for (int spin = 0; spin < SPINS; spin++) {
            if (!gil_is_held()) {
                return 1;
            }
            relax();
        }
        struct timespec nap = {0, (long)nap_ns};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        nap_ns = nap_ns * 3 / 2 < NAP_MAX_NS ? nap_ns * 3 / 2 : NAP_MAX_NS;
        if (!gil_is_held()) {
            return 1;
        }
    }
    /* A thread that drops the GIL on request waits until another one has taken it. So the request is taken back, and who
       had read it before is freed: by taking the GIL after all. */
    request_drop(0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !gil_is_held();
}

static void
take_turn(PyThreadState *state, uint64_t generation)
{
    PyThreadState *holder = NULL;
    if (gil_is_held()) {
        if (!wait_for_drop(generation)) {
            return;
        }
        holder = (PyThreadState *)_Py_atomic_load_relaxed(&_PyRuntime.ceval.gil.last_holder);
    }
    uint64_t before_ns = clock_ns(CLOCK_MONOTONIC);
    PyEval_RestoreThread(state);
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    if (now_ns - before_ns > NAP_MAX_NS) {
        holder = NULL; /* another thread was quicker, and it is not known any more who it was */
    }
    /* What came due while a C function kept the GIL finds that function, too. */
    for (uint64_t due_ns = next_due_ns(timer.due_ns); due_ns < now_ns; due_ns = next_due_ns(due_ns)) {
        STORE(timer.due_ns, due_ns);
    }
    uint64_t ticks = timer_counts.ticks;
    serve(holder);
    timer_counts.by_holder += holder != NULL ? timer_counts.ticks - ticks : 0;
    PyEval_SaveThread();
}

#endif

/* Sleep; returns whether to go on. */
static int
sleep_until(uint64_t due_ns, uint64_t generation)
{
    struct timespec due = {(time_t)(due_ns / 1000000000u), (long)(due_ns % 1000000000u)};
    int error = 0;
    pthread_mutex_lock(&timer.mutex);
    while (timer.generation == generation && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&timer.wake, &timer.mutex, &due);
    }
    int go_on = timer.generation == generation;
    pthread_mutex_unlock(&timer.mutex);
    return go_on;
}

/* Keep the cost of sampling within its share of the CPU time that the process uses. */
static void
adapt(void)
{
    static uint64_t last_process_ns, last_cost_ns, last_ticks;
    uint64_t process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID), ticks = timer_counts.ticks;
    timer_counts.timer_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t cost_ns = timer_counts.timer_cpu_ns + timer_counts.tick_cpu_ns;
    double interval_ns = (double)timer_counts.interval_ns;
    if (ticks > last_ticks && cost_ns > last_cost_ns && process_ns > last_process_ns) {
        double allowed_ns = timer.budget * (double)(process_ns - last_process_ns);
        double wanted_ns = interval_ns * (double)(cost_ns - last_cost_ns) / allowed_ns;
        interval_ns = (interval_ns + wanted_ns) / 2; /* half of the way: one expensive moment is no reason */
    }
    last_process_ns = process_ns, last_cost_ns = cost_ns, last_ticks = ticks;
    if (interval_ns > (double)timer.slowest_ns) {
        interval_ns = (double)timer.slowest_ns;
    }
    timer_counts.interval_ns = interval_ns < (double)timer.fastest_ns ? timer.fastest_ns : (uint64_t)interval_ns;
}

static void *
run(void *argument)
{
    uint64_t generation = (uint64_t)(uintptr_t)argument;
    PyThreadState *state = PyThreadState_New(timer.interpreter); /* kept: making one for each tick costs more than a tick */
    uint64_t due_ns = clock_ns(CLOCK_MONOTONIC), rated_ns = due_ns;
    while (state != NULL && sleep_until(due_ns, generation)) {
        uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        timer_counts.late += timer.due != LOAD(timer.served);
        STORE(timer.due_ns, now_ns);
        STORE(timer.due, timer.due + 1);
        take_turn(state, generation);
        now_ns = clock_ns(CLOCK_MONOTONIC);
        if (now_ns - rated_ns > RATED_EVERY_NS) {
            rated_ns = now_ns;
            adapt();
        }
        /* The next one does not depend on when this one was served, or what follows a long call would be seen too often. */
        do {
            due_ns = next_due_ns(due_ns);
        } while (due_ns < now_ns);
    }
    if (state != NULL) {
        PyEval_RestoreThread(state);
        PyThreadState_Clear(state);
        PyThreadState_DeleteCurrent();
    }
    return NULL;
}

static void
make_condition(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&timer.wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

int
timer_start(uint64_t fastest_ns, uint64_t slowest_ns, double budget)
{
    if (timer.interpreter == NULL) {
        make_condition();
        timer.interpreter = PyInterpreterState_Main();
    }
    timer.fastest_ns = fastest_ns, timer.slowest_ns = slowest_ns, timer.budget = budget;
    timer_counts = (struct timer_counts){.interval_ns = fastest_ns};
    STORE(timer.generation, timer.generation + 1);
    STORE(timer.served, timer.due);
    /* Signals are for the program's threads: one that is delivered here would interrupt no system call of theirs. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&timer.thread, NULL, run, (void *)(uintptr_t)timer.generation);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    timer.alive = error == 0;
    if (error == 0) {
        pthread_setname_np(timer.thread, "ddmiddleware");
    }
    return error;
}

int
timer_is_alive(void)
{
    return timer.alive;
}

void
timer_stop(void)
{
    if (!timer.alive) {
        return;
    }
    pthread_t thread = timer.thread;
    timer.alive = 0;
    pthread_mutex_lock(&timer.mutex);
    STORE(timer.generation, timer.generation + 1);
    pthread_cond_signal(&timer.wake);
    pthread_mutex_unlock(&timer.mutex);
    Py_BEGIN_ALLOW_THREADS
    pthread_join(thread, NULL); /* it needs the GIL once more, to give its state back */
    Py_END_ALLOW_THREADS
}

void
timer_forget(void)
{
    timer.alive = 0;
    timer.generation++;
    timer.armed = 0;
    pthread_mutex_init(&timer.mutex, NULL); /* the parent's thread may have held it */
    if (timer.interpreter != NULL) {
        make_condition();
    }
}
