/* Where samples add up. A tick looks its stack up by its hash and adds to numbers; memory is taken only for what is new,
   and never more than the caps allow. What a table holds (code, names, requests) it owns until it is freed. */

#include "_tick.h"
#include <stdlib.h>

#define STACKS_MAX 20000
#define FRAMES_MAX 1000000
#define SAMPLES_MAX 65536
#define REQUESTS_MAX 20000
#define TASKS_MAX 20000
#define THREADS_MAX 20000

struct stack {
    uint64_t hash, other_hash; /* two hashes of 64 bits are the key: the frames themselves need no comparing */
    uint32_t first, depth;
};

struct table *
table_new(void)
{
    static uint64_t number;
    struct table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return NULL;
    }
    table->number = ++number;
    if (pool_make(&table->stacks, sizeof(struct stack), sizeof(uint64_t), STACKS_MAX) < 0 ||
        pool_make(&table->samples, sizeof(struct sample), sizeof(struct sample_key), SAMPLES_MAX) < 0 ||
        pool_make(&table->requests, sizeof(struct request), sizeof(uint64_t), REQUESTS_MAX) < 0 ||
        pool_make(&table->tasks, sizeof(struct task), sizeof(uint64_t) + sizeof(PyObject *), TASKS_MAX) < 0 ||
        pool_make(&table->threads, sizeof(struct thread_row), sizeof(uint64_t), THREADS_MAX) < 0) {
        table_free(table);
        return NULL;
    }
    return table;
}

void
table_free(struct table *table)
{
    for (uint32_t index = 0; index < table->frames_used; index++) {
        Py_DECREF(table->frames[index].code);
    }
    for (uint32_t index = 1; index < table->requests.used; index++) {
        struct request *request = request_at(table, index);
        Py_XDECREF(request->span);
        Py_XDECREF(request->resource);
        Py_XDECREF(request->type);
    }
    for (uint32_t index = 1; index < table->tasks.used; index++) {
        Py_XDECREF(((struct task *)pool_item(&table->tasks, index))->name);
    }
    for (uint32_t index = 1; index < table->threads.used; index++) {
        Py_XDECREF(((struct thread_row *)pool_item(&table->threads, index))->name);
    }
    pool_free(&table->stacks);
    pool_free(&table->samples);
    pool_free(&table->requests);
    pool_free(&table->tasks);
    pool_free(&table->threads);
    free(table->frames);
    free(table);
}

static int
keep_frames(struct table *table, const struct frame *frames, uint32_t depth)
{
    uint32_t needed = table->frames_used + depth;
    if (needed > FRAMES_MAX) {
        return -1;
    }
    if (needed > table->frames_capacity) {
        uint32_t capacity = table->frames_capacity == 0 ? 4096 : table->frames_capacity * 2;
        struct frame *grown = realloc(table->frames, capacity * sizeof(*grown));
        if (grown == NULL) {
            return -1;
        }
        table->frames = grown;
        table->frames_capacity = capacity;
    }
    for (uint32_t index = 0; index < depth; index++) {
        table->frames[table->frames_used++] = frames[index];
        Py_INCREF(frames[index].code); /* or its memory could become another function's */
    }
    return 0;
}

uint32_t
table_stack(struct table *table, const struct frame *frames, int depth)
{
    struct stack stack = {(uint64_t)depth, 0x1B873593u, 0, (uint32_t)depth};
    for (int index = 0; index < depth; index++) {
        uint64_t where = ((uint64_t)(uintptr_t)frames[index].code >> 4) ^ ((uint64_t)frames[index].offset << 44);
        stack.hash = mix(stack.hash, where);
        stack.other_hash = (stack.other_hash ^ where) * 0xC2B2AE3D27D4EB4Full;
    }
    stack.other_hash ^= stack.other_hash >> 32;
    int fresh;
    uint32_t index = pool_find(&table->stacks, &stack, &fresh);
    if (fresh) {
        struct stack *kept = pool_item(&table->stacks, index);
        kept->first = table->frames_used;
        if (keep_frames(table, frames, (uint32_t)depth) < 0) {
            kept->depth = 0;
        }
    }
    return index;
}

uint32_t
stack_frames(struct table *table, uint32_t index, struct frame **frames)
{
    if (index >= table->stacks.used) {
        return 0;
    }
    struct stack *stack = pool_item(&table->stacks, index);
    *frames = table->frames + stack->first;
    return stack->depth;
}

uint32_t
table_request(struct table *table, uint64_t root_id, PyObject *span)
{
    struct request request = {mix(0, root_id), root_id, span, NULL, NULL};
    int fresh;
    uint32_t index = pool_find(&table->requests, &request, &fresh);
    if (fresh) {
        Py_INCREF(span);
    }
    return index;
}

struct request *
request_at(struct table *table, uint32_t index)
{
    return pool_item(&table->requests, index);
}

void
table_settle(struct table *table)
{
    for (uint32_t index = 1; index < table->requests.used; index++) {
        struct request *request = request_at(table, index);
        if (request->span != NULL && span_is_over(request->span)) {
            PyObject *span = request->span;
            span_names(span, &request->resource, &request->type);
            request->span = NULL;
            Py_DECREF(span);
        }
    }
}

uint32_t
table_task(struct table *table, uint64_t id, PyObject *name)
{
    struct task task = {mix(id, (uint64_t)(uintptr_t)name), id, name};
    int fresh;
    uint32_t index = pool_find(&table->tasks, &task, &fresh);
    if (fresh) {
        Py_XINCREF(name);
    }
    return index;
}

uint32_t
table_thread(struct table *table, uint64_t state_id, unsigned long ident, unsigned long native_id, PyObject *name)
{
    struct thread_row thread = {mix(0, state_id), state_id, ident, native_id, name};
    int fresh;
    uint32_t index = pool_find(&table->threads, &thread, &fresh);
    struct thread_row *kept = pool_item(&table->threads, index);
    if (fresh || (index != NONE && kept->name == NULL)) { /* a name may come late */
        Py_XINCREF(name);
        kept->name = name;
    }
    return index;
}

uint32_t
table_sample(struct table *table, const struct sample_key *key)
{
    struct sample sample = {0};
    sample.hash = mix(mix(mix(key->stack, key->thread), ((uint64_t)key->request << 32) | key->task),
                      key->span_id ^ key->suspended);
    sample.key = *key;
    int fresh;
    uint32_t index = pool_find(&table->samples, &sample, &fresh);
    if (index == NONE) {
        table->lost++;
    }
    return index;
}

struct sample *
sample_at(struct table *table, uint32_t index)
{
    return pool_item(&table->samples, index);
}
