/* Memory through the caller's allocator, 64-byte aligned, and the account of it (memory.h): in front of each block lies its size.
 * Called by everything that allocates. */
#include "memory.h"

#include "number.h"

#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64, HEAD = ALIGNMENT };

/* ---- the account */

static uint64_t machine_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
}

uint64_t memory_now(const cover_context *context) { return atomic_load(&context->memory_now); }
uint64_t memory_most(const cover_context *context) { return atomic_load(&context->memory_most); }

uint64_t memory_left(const cover_context *context) {
    const uint64_t limit = context->memory_limit_bytes ? context->memory_limit_bytes : machine_bytes(), now = memory_now(context);
    return now < limit ? limit - now : 0;
}

const char *memory_words(char text[MEMORY_WORDS], uint64_t bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1024 && unit < 4; unit++) value /= 1024;
    number_print(text, MEMORY_WORDS, value < 100 && unit ? "%.3g %s" : "%.0f %s", value, units[unit]);
    return text;
}

static cover_status refused(const cover_context *context, uint64_t bytes, uint64_t now) {
    char more[MEMORY_WORDS], used[MEMORY_WORDS], most[MEMORY_WORDS];
    const uint64_t limit = context->memory_limit_bytes ? context->memory_limit_bytes : machine_bytes();
    return fail(COVER_ERROR_MEMORY, "%s more are needed, and %s are in use, but %s %s; %s", memory_words(more, bytes),
                memory_words(used, now), context->memory_limit_bytes ? "the memory limit is" : "the machine has",
                memory_words(most, limit), context->memory_limit_bytes ? "raise option memory_limit" : "make the image smaller");
}

static void note_most(cover_context *context, uint64_t now) {
    uint64_t most = atomic_load(&context->memory_most);
    while (most < now && !atomic_compare_exchange_weak(&context->memory_most, &most, now)) {}
}

static void count(cover_context *context, uint64_t bytes) {
    note_most(context, atomic_fetch_add(&context->memory_now, bytes) + bytes);
}

cover_status memory_reserve(cover_context *context, uint64_t bytes) {
    const uint64_t limit = context->memory_limit_bytes;
    uint64_t now = atomic_load(&context->memory_now);
    do {
        if (limit && (now > limit || bytes > limit - now)) return refused(context, bytes, now);
    } while (!atomic_compare_exchange_weak(&context->memory_now, &now, now + bytes));
    note_most(context, now + bytes);
    return COVER_OK;
}

void memory_unreserve(cover_context *context, uint64_t bytes) { atomic_fetch_sub(&context->memory_now, bytes); }

cover_status memory_room(cover_context *context, uint64_t bytes) {
    return bytes <= memory_left(context) ? COVER_OK : refused(context, bytes, memory_now(context));
}

/* ---- blocks */

/* One that is counted already, or is uncounted again. */
static void *allocate(cover_context *context, size_t bytes) {
    char *block = NULL;
    if (bytes <= SIZE_MAX - HEAD) block = context->allocator.allocate(context->allocator.user, bytes + HEAD, ALIGNMENT);
    if (!block) {
        memory_unreserve(context, bytes);
        fail(COVER_ERROR_MEMORY, "out of memory: %zu bytes were refused", bytes);
        return NULL;
    }
    memcpy(block, &bytes, sizeof bytes);
    return block + HEAD;
}

void *memory_alloc(cover_context *context, size_t bytes) {
    count(context, bytes);
    return allocate(context, bytes);
}

void *memory_within(cover_context *context, size_t bytes) {
    return memory_reserve(context, bytes) == COVER_OK ? allocate(context, bytes) : NULL;
}

void *memory_zero(cover_context *context, size_t bytes) {
    void *memory = memory_alloc(context, bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

void *memory_copy(cover_context *context, const void *source, size_t bytes) {
    void *memory = memory_alloc(context, bytes);
    if (memory) memcpy(memory, source, bytes);
    return memory;
}

char *memory_text(cover_context *context, const char *text) { return memory_copy(context, text, strlen(text) + 1); }

void memory_free(cover_context *context, void *memory) {
    if (!memory) return;
    char *block = (char *)memory - HEAD;
    size_t bytes;
    memcpy(&bytes, block, sizeof bytes);
    context->allocator.release(context->allocator.user, block);
    memory_unreserve(context, bytes);
}

bool array_grow(cover_context *context, void *array, int64_t *capacity, int64_t need, size_t element) {
    if (need <= *capacity) return true;
    const int64_t twice = *capacity < INT64_MAX / 2 ? *capacity * 2 : INT64_MAX, room = twice > need ? twice
                                                                                        : need > 16  ? need
                                                                                                     : 16;
    int64_t bytes;
    if (!multiply(room, (int64_t)element, &bytes)) {
        fail(COVER_ERROR_MEMORY, "out of memory: %lld elements of %zu bytes", (long long)room, element);
        return false;
    }
    void *old, *larger = memory_alloc(context, (size_t)bytes);
    if (!larger) return false;
    memcpy(&old, array, sizeof old);
    if (old) memcpy(larger, old, (size_t)*capacity * element);
    memory_free(context, old);
    memcpy(array, &larger, sizeof larger);
    *capacity = room;
    return true;
}
