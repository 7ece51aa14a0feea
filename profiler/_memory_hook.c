/* Allocations and live memory, by a hook in Python's allocators of objects and of memory (PYMEM_DOMAIN_OBJ and _MEM).

   Points lie on the stream of allocated bytes at random, one per *mean* bytes on average: an allocation that holds one
   is sampled, and stands for the bytes and the number that its chance to be so makes of it. Between two points the hook
   subtracts and compares, no more.

   Inside the hook nothing is allocated from Python, nothing is released that could run a destructor, no Python code is
   called and no exception is touched: what is malloc to us may be the middle of anything to the caller. Stacks are read
   without making frame objects. */

#include "_memory.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_MAX 65536 /* blocks remembered: 32 GiB at one per 512 KiB */
#define BLOCKS_FIRST 1024
#define INSTALLS_MAX 16
#define FILTER_BITS 16
#define PAGE_BITS 12 /* what is freed together often shares a page, and so what the filter has of it in the cache */

/* ---- The state. ---- */

struct hook { /* one per domain, and a new one where it was put in again: others may hold its address for ever */
    PyMemAllocatorEx below;
    int used;
};

struct block {
    void *address; /* NULL where free */
    uint32_t sample, count;
    uint64_t bytes;
};

static const PyMemAllocatorDomain domains[] = {PYMEM_DOMAIN_OBJ, PYMEM_DOMAIN_MEM};
#define DOMAINS (sizeof(domains) / sizeof(domains[0]))

static int64_t until_next = INT64_MAX; /* bytes to the next point */
/* How many remembered blocks lie in pages of this number, modulo its size, 255 for ever more: a free looks here, and mostly no further. */
static uint8_t filter[1 << FILTER_BITS];

static struct {
    struct hook *hooks[DOMAINS];
    struct hook every[INSTALLS_MAX];
    int running, heap, depth;
    double mean;
    struct table *table;
    struct block *blocks; /* open addressing */
    uint32_t block_slots, live;
    uint64_t samples, lost, skipped;
    /* Whoever frees without the GIL, against the rules, or with the GIL of another interpreter, does no harm. It is held
       for moments only, by no thread that calls anything of Python's. */
    atomic_flag busy;
} state = {.busy = ATOMIC_FLAG_INIT};

static void
lock(void)
{
    while (atomic_flag_test_and_set_explicit(&state.busy, memory_order_acquire)) {
    }
}

static void
unlock(void)
{
    atomic_flag_clear_explicit(&state.busy, memory_order_release);
}

/* ---- The blocks. ---- */

static inline uint32_t
page_of(const void *address)
{
    return (uint32_t)((uintptr_t)address >> PAGE_BITS) & ((1u << FILTER_BITS) - 1);
}

static inline uint32_t
slot_of(const void *address)
{
    return (uint32_t)mix(0, (uint64_t)(uintptr_t)address >> 4) & (state.block_slots - 1);
}

static void
put(struct block block)
{
    uint32_t slot = slot_of(block.address);
    while (state.blocks[slot].address != NULL) {
        slot = (slot + 1) & (state.block_slots - 1);
    }
    state.blocks[slot] = block;
}

static int
grow_blocks(uint32_t slots)
{
    struct block *old = state.blocks, *grown = calloc(slots, sizeof(*grown));
    uint32_t old_slots = state.block_slots;
    if (grown == NULL) {
        return -1;
    }
    state.blocks = grown;
    state.block_slots = slots;
    for (uint32_t slot = 0; slot < old_slots; slot++) {
        if (old[slot].address != NULL) {
            put(old[slot]);
        }
    }
    free(old);
    return 0;
}

static void
remember(struct block block)
{
    if (state.live >= LIVE_MAX || (state.live * 2 >= state.block_slots && grow_blocks(state.block_slots * 2) < 0)) {
        state.lost++;
        return;
    }
    put(block);
    state.live++;
    uint8_t *known = &filter[page_of(block.address)];
    *known += *known < UINT8_MAX;
    struct sample *sample = sample_at(state.table, block.sample);
    LIVE(sample) += block.count;
    LIVE_BYTES(sample) += block.bytes;
}

static void
remove_at(uint32_t slot)
{
    uint32_t mask = state.block_slots - 1, next = slot;
    for (;;) { /* what follows moves up, so that no gap ends a search too early */
        next = (next + 1) & mask;
        if (state.blocks[next].address == NULL) {
            break;
        }
        if (((next - slot_of(state.blocks[next].address)) & mask) >= ((next - slot) & mask)) {
            state.blocks[slot] = state.blocks[next];
            slot = next;
        }
    }
    state.blocks[slot].address = NULL;
    state.live--;
}

static __attribute__((noinline)) void
forget_block(void *address)
{
    lock();
    if (state.live > 0) {
        uint32_t slot = slot_of(address);
        while (state.blocks[slot].address != NULL && state.blocks[slot].address != address) {
            slot = (slot + 1) & (state.block_slots - 1);
        }
        struct block block = state.blocks[slot];
        if (block.address != NULL && address != NULL) {
            uint8_t *known = &filter[page_of(address)];
            *known -= *known < UINT8_MAX;
            struct sample *sample = sample_at(state.table, block.sample);
            LIVE(sample) -= block.count;
            LIVE_BYTES(sample) -= block.bytes;
            remove_at(slot);
        }
    }
    unlock();
}

static void
forget_blocks(void)
{
    free(state.blocks);
    state.blocks = NULL;
    state.block_slots = state.live = 0;
    memset(filter, 0, sizeof(filter));
}

/* ---- Taking a sample. ---- */

static void
next_point(void)
{
    double uniform = ((double)random_bits32() + 1) / 4294967296.0; /* never 0 */
    until_next = state.running ? (int64_t)(-log(uniform) * state.mean) + 1 : INT64_MAX;
}

static uint32_t
sample_of(PyThreadState *thread)
{
    static struct frame frames[DEPTH_MAX];
    int count = walk_thread(thread, frames, state.depth);
    if (count == 0) {
        return NONE;
    }
    unsigned long native_id = 0;
#if PY_VERSION_HEX >= 0x030B0000
    native_id = thread->native_thread_id;
#endif
    struct sample_key key = {.stack = table_stack(state.table, frames, count)};
    key.thread = table_thread(state.table, thread->id, thread->thread_id, native_id, NULL);
    struct work work;
    if (work_here(&work)) {
        key.request = table_request(state.table, work.root_id, work.root);
        key.span_id = work.span_id;
    }
    return table_sample(state.table, &key);
}

/* The thread that may be looked at: it holds the GIL of the main interpreter. Some code allocates without. */
static PyThreadState *
this_thread(void)
{
    PyThreadState *thread = PyGILState_GetThisThreadState();
    if (thread == NULL || thread != _PyThreadState_UncheckedGet() || thread->interp != PyInterpreterState_Main()) {
        return NULL;
    }
    return thread;
}

static __attribute__((noinline)) void
take(void *address, size_t size)
{
    PyThreadState *thread = this_thread();
    lock();
    next_point();
    if (!state.running || address == NULL || thread == NULL) {
        state.skipped++;
        unlock();
        return;
    }
    uint32_t index = sample_of(thread);
    if (index == NONE) {
        state.lost++;
    }
    else {
        double chance = -expm1(-(double)size / state.mean);
        struct block block = {address, index, (uint32_t)(1 / chance + 0.5), (uint64_t)((double)size / chance + 0.5)};
        struct sample *sample = sample_at(state.table, index);
        state.samples++;
        ALLOCATED(sample) += block.count;
        ALLOCATED_BYTES(sample) += block.bytes;
        if (state.heap) {
            remember(block);
        }
    }
    unlock();
}

/* ---- The hook. ---- */

#define LIKELY(condition) __builtin_expect(!!(condition), 1)

static void *
hook_malloc(void *context, size_t size)
{
    PyMemAllocatorEx *below = &((struct hook *)context)->below;
    if (LIKELY((until_next -= (int64_t)size) > 0)) {
        return below->malloc(below->ctx, size);
    }
    void *address = below->malloc(below->ctx, size);
    take(address, size);
    return address;
}

static void *
hook_calloc(void *context, size_t count, size_t size)
{
    PyMemAllocatorEx *below = &((struct hook *)context)->below;
    if (LIKELY((until_next -= (int64_t)(count * size)) > 0)) {
        return below->calloc(below->ctx, count, size);
    }
    void *address = below->calloc(below->ctx, count, size);
    take(address, count * size);
    return address;
}

static void *
hook_realloc(void *context, void *old, size_t size)
{
    PyMemAllocatorEx *below = &((struct hook *)context)->below;
    int due = (until_next -= (int64_t)size) <= 0;
    if (LIKELY(!due && filter[page_of(old)] == 0)) {
        return below->realloc(below->ctx, old, size);
    }
    void *address = below->realloc(below->ctx, old, size);
    if (address != NULL) { /* else the old block lives on */
        forget_block(old);
    }
    if (due) {
        take(address, size);
    }
    return address;
}

static void
hook_free(void *context, void *address)
{
    PyMemAllocatorEx *below = &((struct hook *)context)->below;
    if (!LIKELY(filter[page_of(address)] == 0)) {
        forget_block(address);
    }
    below->free(below->ctx, address);
}

/* Whether allocations of a domain reach the hook: who was there before it may have left and taken it along, as
   tracemalloc does. */
static int
is_reached(size_t index)
{
    if (state.hooks[index] == NULL) {
        return 0;
    }
    int64_t before = until_next = INT64_MAX;
    void *block = domains[index] == PYMEM_DOMAIN_OBJ ? PyObject_Malloc(64) : PyMem_Malloc(64);
    int reached = until_next != before;
    if (domains[index] == PYMEM_DOMAIN_OBJ) {
        PyObject_Free(block);
    }
    else {
        PyMem_Free(block);
    }
    return reached;
}

static void
install(size_t index)
{
    for (int place = 0; place < INSTALLS_MAX; place++) {
        struct hook *hook = &state.every[place];
        if (!hook->used) {
            PyMemAllocatorEx ours = {hook, hook_malloc, hook_calloc, hook_realloc, hook_free};
            PyMem_GetAllocator(domains[index], &hook->below);
            PyMem_SetAllocator(domains[index], &ours);
            hook->used = 1;
            state.hooks[index] = hook;
            return;
        }
    }
}

static void
leave(size_t index)
{
    PyMemAllocatorEx top;
    struct hook *hook = state.hooks[index];
    PyMem_GetAllocator(domains[index], &top);
    if (hook != NULL && top.ctx == hook) { /* else somebody above calls it, for as long as the process lives */
        PyMem_SetAllocator(domains[index], &hook->below);
        state.hooks[index] = NULL;
        hook->used = 0;
    }
}

/* Be in both allocators; whether it was so before. */
static int
reach(void)
{
    int reached = 1;
    for (size_t index = 0; index < DOMAINS; index++) {
        if (!is_reached(index)) {
            reached = 0;
            install(index);
        }
    }
    return reached;
}

int
hook_start(double mean, int depth, int heap)
{
    if (state.running) {
        return 0;
    }
    hook_forget();
    state.table = table_new();
    if (state.table == NULL || grow_blocks(BLOCKS_FIRST) < 0) {
        hook_forget();
        return -1;
    }
    state.mean = mean < 1 ? 1 : mean;
    state.depth = depth < 1 ? 1 : depth > DEPTH_MAX ? DEPTH_MAX : depth;
    state.heap = heap;
    state.samples = state.lost = state.skipped = 0;
    reach();
    state.running = 1;
    next_point();
    return 0;
}

void
hook_stop(void)
{
    state.running = 0;
    until_next = INT64_MAX;
    for (size_t index = 0; index < DOMAINS; index++) {
        leave(index);
    }
    /* Blocks are freed unseen from now on, or are not: no address means anything any more. */
    lock();
    forget_blocks();
    unlock();
}

void
hook_forget(void)
{
    atomic_flag_clear(&state.busy); /* its holder may be a thread of the parent's */
    hook_stop();
    struct table *table = state.table;
    state.table = NULL;
    if (table != NULL) {
        table_free(table);
    }
}

/* ---- Handing over. ---- */

static uint32_t
carry_request(struct table *from, struct table *to, uint32_t index)
{
    if (index == NONE) {
        return NONE;
    }
    struct request *request = request_at(from, index);
    int fresh;
    uint32_t found = pool_find(&to->requests, request, &fresh);
    if (fresh) {
        Py_XINCREF(request->span);
        Py_XINCREF(request->resource);
        Py_XINCREF(request->type);
    }
    return found;
}

static uint32_t
carry_sample(struct table *from, struct table *to, uint32_t index)
{
    struct sample_key key = sample_at(from, index)->key;
    struct thread_row *thread = pool_item(&from->threads, key.thread);
    struct frame *frames;
    uint32_t depth = stack_frames(from, key.stack, &frames);
    if (key.stack != NONE) {
        key.stack = table_stack(to, frames, (int)depth);
    }
    if (key.thread != NONE) {
        key.thread = table_thread(to, thread->state_id, thread->ident, thread->native_id, NULL);
    }
    key.request = carry_request(from, to, key.request);
    return table_sample(to, &key);
}

static void
carry_blocks(struct table *from, struct table *to, uint32_t *places)
{
    for (uint32_t slot = 0; slot < state.block_slots; slot++) {
        struct block *block = &state.blocks[slot];
        if (block->address == NULL) {
            continue;
        }
        if (places[block->sample] == NONE) {
            places[block->sample] = carry_sample(from, to, block->sample);
        }
        block->sample = places[block->sample];
        struct sample *sample = sample_at(to, block->sample); /* that at NONE, without room: it is never shown */
        LIVE(sample) += block->count;
        LIVE_BYTES(sample) += block->bytes;
    }
}

struct table *
hook_swap(void)
{
    struct table *full = state.table, *fresh = table_new();
    uint32_t *places = full == NULL ? NULL : calloc(full->samples.used, sizeof(*places));
    if (fresh == NULL || (full != NULL && places == NULL)) {
        if (fresh != NULL) {
            table_free(fresh);
        }
        free(places);
        return NULL;
    }
    if (full == NULL) {
        return fresh;
    }
    if (state.running && !reach()) { /* nobody knows what was freed meanwhile */
        for (uint32_t index = 1; index < full->samples.used; index++) {
            LIVE(sample_at(full, index)) = LIVE_BYTES(sample_at(full, index)) = 0;
        }
        lock();
        forget_blocks();
        unlock();
        if (grow_blocks(BLOCKS_FIRST) < 0) {
            state.heap = 0;
        }
    }
    table_settle(full);
    lock();
    carry_blocks(full, fresh, places);
    state.table = fresh;
    next_point();
    unlock();
    free(places);
    return full;
}

struct hook_counts
hook_counts(void)
{
    struct hook_counts counts = {state.samples, state.live, state.lost, state.skipped, 0};
    for (size_t index = 0; index < DOMAINS; index++) {
        counts.installed += state.hooks[index] != NULL;
    }
    return counts;
}
