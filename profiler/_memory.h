/* What the two files of the memory sampler share: _memory_hook.c stands in the allocators and remembers the blocks that
   were sampled, _memory.c is the module. Stacks, requests and sums are kept as the stack sampler's are: _tick.h. */

#ifndef DDMIDDLEWARE_MEMORY_H
#define DDMIDDLEWARE_MEMORY_H

#include "_tick.h"

/* A sample's numbers, by the fields that they stand in: what was allocated, and what of it lives. */
#define ALLOCATED(sample) ((sample)->count)
#define ALLOCATED_BYTES(sample) ((sample)->wall_ns)
#define LIVE(sample) ((sample)->cpu_count)
#define LIVE_BYTES(sample) ((sample)->cpu_ns)

/* All of these with the GIL held. */

/* Sample one allocation per *mean* bytes, with *depth* frames; *heap*: remember the blocks until they are freed. Returns
   -1 without memory. */
int hook_start(double mean, int depth, int heap);
/* Look at no more allocations; what was seen is kept. The hook leaves the allocators if none was put above it. */
void hook_stop(void);
/* Return what was seen and begin anew; what lives is carried over while it runs. NULL without memory. */
struct table *hook_swap(void);
/* Drop what was seen and be stopped, in a forked child. */
void hook_forget(void);

struct hook_counts {
    uint64_t samples, live, lost, skipped, installed;
};

struct hook_counts hook_counts(void);

#endif
