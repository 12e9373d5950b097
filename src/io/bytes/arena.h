/* Memory of one owner, released in one go: blocks from the context's allocator, pieces handed out in turn.
 * Called by readers that build many small things from a file: tensor tables, pickles. */
#ifndef COVER_ARENA_H
#define COVER_ARENA_H

#include "core/base/base.h"

struct arena_block;
struct arena {
    cover_context *context;
    struct arena_block *blocks;
};

/* Zeroed, 16-byte aligned; NULL with the error set. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* The first `length` characters, NUL-terminated. */
char *arena_text(struct arena *arena, const char *text, size_t length);
char *arena_print(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
void arena_free(struct arena *arena);

#endif
