/* Memory through the caller's allocator, 64-byte aligned.  Called by everything that allocates. */
#include "base.h"

#include <string.h>

enum { ALIGNMENT = 64 };

void *memory_alloc(cover_context *context, size_t bytes) {
    void *memory = context->allocator.allocate(context->allocator.user, bytes ? bytes : 1, ALIGNMENT);
    if (!memory) fail(COVER_ERROR_MEMORY, "out of memory: %zu bytes were refused", bytes);
    return memory;
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
    if (memory) context->allocator.release(context->allocator.user, memory);
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
