/* Memory of one owner, released in one go.  See arena.h. */
#include "arena.h"

#include "core/base/number.h"

#include <stdio.h>
#include <string.h>

enum { PIECE_ALIGNMENT = 16 };
#if defined __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
enum { BLOCK_BYTES = PIECE_ALIGNMENT }; /* a block a piece: the sanitizer sees a step over its end */
#else
enum { BLOCK_BYTES = 64 * 1024 };
#endif

struct arena_block {
    struct arena_block *next;
    size_t used, capacity;
    _Alignas(PIECE_ALIGNMENT) unsigned char data[];
};

void *arena_alloc(struct arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX / 2) {
        fail(COVER_ERROR_MEMORY, "out of memory: %zu bytes were asked for", bytes);
        return NULL;
    }
    size_t need = round_up(bytes, PIECE_ALIGNMENT);
    struct arena_block *block = arena->blocks;
    if (!block || block->capacity - block->used < need) {
        size_t capacity = need > BLOCK_BYTES / 4 ? need : BLOCK_BYTES;
        struct arena_block *fresh = memory_alloc(arena->context, sizeof *fresh + capacity);
        if (!fresh) return NULL;
        *fresh = (struct arena_block){.capacity = capacity};
        if (block && capacity == need) { /* a large piece goes behind the block in use, which still has room */
            fresh->next = block->next;
            block->next = fresh;
        } else {
            fresh->next = block;
            arena->blocks = fresh;
        }
        block = fresh;
    }
    void *piece = block->data + block->used;
    block->used += need;
    return memset(piece, 0, need);
}

char *arena_text(struct arena *arena, const char *text, size_t length) {
    char *copy = arena_alloc(arena, length + 1);
    if (copy) memcpy(copy, text, length);
    return copy;
}

char *arena_print(struct arena *arena, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = number_print_list(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
    if (text) number_print_list(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void arena_free(struct arena *arena) {
    for (struct arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        memory_free(arena->context, block);
    }
    arena->blocks = NULL;
}
