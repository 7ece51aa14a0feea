/* Items found by their key: a hash table that grows up to its cap, and whose items are numbered in the order they came. */

#include "_tick.h"
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 256

uint64_t
mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ull; /* 2^64 over the golden ratio: spreads what differs in few bits */
    return hash ^ (hash >> 29);
}

void *
pool_item(struct pool *pool, uint32_t index)
{
    return pool->items + (size_t)index * pool->item_bytes;
}

static uint64_t
hash_of(const void *item)
{
    return *(const uint64_t *)item;
}

static int
grow_slots(struct pool *pool)
{
    uint32_t count = pool->slot_count == 0 ? SLOTS_FIRST : pool->slot_count * 2;
    uint32_t *slots = calloc(count, sizeof(*slots));
    if (slots == NULL) {
        return -1;
    }
    for (uint32_t index = 1; index < pool->used; index++) {
        uint32_t slot = (uint32_t)hash_of(pool_item(pool, index)) & (count - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (count - 1);
        }
        slots[slot] = index;
    }
    free(pool->slots);
    pool->slots = slots;
    pool->slot_count = count;
    return 0;
}

static int
grow_items(struct pool *pool)
{
    uint32_t capacity = pool->capacity * 2;
    char *items = realloc(pool->items, (size_t)capacity * pool->item_bytes);
    if (items == NULL) {
        return -1;
    }
    pool->items = items;
    pool->capacity = capacity;
    return 0;
}

int
pool_make(struct pool *pool, size_t item_bytes, size_t key_bytes, uint32_t most)
{
    memset(pool, 0, sizeof(*pool));
    pool->item_bytes = (uint32_t)item_bytes;
    pool->key_bytes = (uint32_t)key_bytes;
    pool->most = most;
    pool->capacity = SLOTS_FIRST / 2;
    pool->items = calloc(pool->capacity, item_bytes);
    pool->used = 1; /* item 0 is NONE */
    return pool->items == NULL ? -1 : grow_slots(pool);
}

uint32_t
pool_find(struct pool *pool, const void *item, int *fresh)
{
    uint64_t hash = hash_of(item);
    uint32_t mask = pool->slot_count - 1, slot = (uint32_t)hash & mask;
    *fresh = 0;
    for (; pool->slots[slot] != 0; slot = (slot + 1) & mask) {
        const char *found = pool_item(pool, pool->slots[slot]);
        if (hash_of(found) == hash && memcmp(found + sizeof(hash), (const char *)item + sizeof(hash), pool->key_bytes) == 0) {
            return pool->slots[slot];
        }
    }
    if (pool->used >= pool->most || (pool->used == pool->capacity && grow_items(pool) < 0)) {
        return NONE;
    }
    if (pool->used * 2 >= pool->slot_count) {
        if (grow_slots(pool) < 0) {
            return NONE;
        }
        mask = pool->slot_count - 1;
        for (slot = (uint32_t)hash & mask; pool->slots[slot] != 0; slot = (slot + 1) & mask) {
        }
    }
    *fresh = 1;
    memcpy(pool_item(pool, pool->used), item, pool->item_bytes);
    pool->slots[slot] = pool->used;
    return pool->used++;
}

void
pool_free(struct pool *pool)
{
    free(pool->items);
    free(pool->slots);
    memset(pool, 0, sizeof(*pool));
}
