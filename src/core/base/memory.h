/* The account of a context's memory: what is in use now, over all threads, and the most that ever was; and the ways to ask for memory
 * that keep to the context's limit.  Training keeps to it by its plan; images, their decoders and prediction ask as they go.
 * Called by everything that reads images or predicts, and by the planner of sessions. */
#ifndef COVER_MEMORY_H
#define COVER_MEMORY_H

#include "base.h"

enum { MEMORY_WORDS = 32 };

/* memory_alloc() that refuses what would pass the limit, with a text that says so.  Exact: of requests at once none gets what another
 * has. */
void *memory_within(cover_context *context, size_t bytes);
/* Would it, now?  For work of several steps, before the first: COVER_ERROR_MEMORY with the same text. */
cover_status memory_room(cover_context *context, uint64_t bytes);
/* Count what a foreign library allocates, and that it has given it back. */
cover_status memory_reserve(cover_context *context, uint64_t bytes);
void memory_unreserve(cover_context *context, uint64_t bytes);

/* Bytes that are not in use: up to the limit, or without one up to what the machine has. */
uint64_t memory_left(const cover_context *context);
uint64_t memory_now(const cover_context *context);
uint64_t memory_most(const cover_context *context);
/* "1.5 GiB", "300 bytes"; returns text. */
const char *memory_words(char text[MEMORY_WORDS], uint64_t bytes);

#endif
