/* base: status and error text, log, the caller's allocator, checked arithmetic.  Knows nothing above it; every other
 * folder includes this header. */
#ifndef COVER_BASE_H
#define COVER_BASE_H

#include "shown.h"

#include <libcover/context.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* ---- errors: `return fail(COVER_ERROR_FORMAT, "%s: ...", path)`; TRY passes an error on.  What is given for a %s may come from
 * anywhere: it is shown as shown.h says, here and in log_line(); line breaks are the format's alone. */
cover_status fail(cover_status status, const char *format, ...) PRINTF_LIKE(2, 3);
/* Raise with a text that was put together by text_say(), or that an error had before: its line breaks are ours. */
cover_status fail_text(cover_status status, const char *text);
enum { ERROR_TEXT_BYTES = 4096 };
char *error_slot(void); /* of this thread: what cover_error_text() shows */
/* Put "prefix: " before the text of the error just raised; returns status. */
cover_status fail_in(cover_status status, const char *format, ...) PRINTF_LIKE(2, 3);
/* For the compiler, which must know that what fails does not return COVER_OK. */
static inline cover_status as_given(cover_status given, cover_status returned) {
    (void)returned;
    return given;
}
#define fail(status, ...) as_given(status, fail(status, __VA_ARGS__))
#define fail_text(status, text) as_given(status, fail_text(status, text))
#define fail_in(status, ...) as_given(status, fail_in(status, __VA_ARGS__))
#define TRY(call)                                                                                                                  \
    do {                                                                                                                           \
        cover_status try_status = (call);                                                                                          \
        if (try_status != COVER_OK) return try_status;                                                                             \
    } while (0)
/* The same where things must be released first: needs `cover_status status` and a label `done`. */
#define GO(call)                                                                                                                   \
    do {                                                                                                                           \
        status = (call);                                                                                                           \
        if (status != COVER_OK) goto done;                                                                                         \
    } while (0)

/* ---- option structs: known fields copied, unknown non-zero tails refused. */
cover_status options_read(void *known, size_t known_bytes, const void *given, const char *what);
/* The start of an option struct of the caller's size: what is known, zero behind it. */
void options_init(void *given, size_t given_bytes, const void *known, size_t known_bytes);
/* Report structs: copy as much as the caller's struct_size holds. */
void report_write(void *given, const void *known, size_t known_bytes);

/* ---- memory; alignment is 64 bytes.  memory_alloc returns NULL with the error set. */
void *memory_alloc(cover_context *context, size_t bytes);
void *memory_zero(cover_context *context, size_t bytes);
void *memory_copy(cover_context *context, const void *source, size_t bytes);
char *memory_text(cover_context *context, const char *text); /* strdup */
void memory_free(cover_context *context, void *memory);      /* takes NULL */
/* What a user holds: zeroed memory that keeps the context until it is freed, so that the context may be destroyed first. */
void *handle_make(cover_context *context, size_t bytes);
void handle_free(cover_context *context, void *handle);
/* Room for `need` elements in an array of *capacity, which at least doubles as it grows; `array` is the address of its pointer.
 * False with the error set, and the array as it was. */
bool array_grow(cover_context *context, void *array, int64_t *capacity, int64_t need, size_t element);
/* a * b, false when it does not fit (or a factor is negative). */
static inline bool multiply(int64_t a, int64_t b, int64_t *product) {
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, product);
}

/* The next multiple; that of what memory_alloc() aligns to, for pieces of one block. */
static inline size_t round_up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }
static inline size_t line_up(size_t bytes) { return round_up(bytes, 64); }

/* ---- a text that grows: for JSON, HTML, messages.  A failed growth is remembered; text_take reports it. */
struct text {
    cover_context *context;
    char *data; /* NUL-terminated once anything was added */
    size_t length, capacity;
    bool failed;
};
void text_add(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
void text_say(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3); /* for people: each %s as in fail() */
void text_add_bytes(struct text *text, const void *bytes, size_t count);
void text_add_json(struct text *text, const char *string); /* quoted and escaped */
void text_free(struct text *text);
/* fail() with lines of text_say() behind what the format says. */
cover_status fail_list(cover_status status, const struct text *lines, const char *format, ...) PRINTF_LIKE(3, 4);
#define fail_list(status, lines, ...) as_given(status, fail_list(status, lines, __VA_ARGS__))
/* Names for a message, with commas between; what does not fit becomes "...".  Starts from zeros. */
struct names {
    char text[512];
    size_t length;
    bool full;
};
void names_add(struct names *names, const char *name);
/* Hand the characters over (release with memory_free); *out untouched on error. */
cover_status text_take(struct text *text, char **out);

/* ---- log and progress.  Callbacks of the user come one at a time: enter before one, leave behind it.  A callback may call the
 * library, which may call back: a thread that is inside of one does not wait for itself. */
struct callback_turn {
    bool nested;
};
struct callback_turn callback_enter(cover_context *context);
void callback_leave(cover_context *context, struct callback_turn turn);
/* What is logged from within the log callback is dropped. */
void log_line(cover_context *context, cover_log_level level, const char *format, ...) PRINTF_LIKE(3, 4);
cover_status progress_call(cover_context *context, cover_progress_fn *progress, void *user, int64_t done, int64_t total,
                           const char *what);
bool cancelled(const cover_context *context);
double seconds_now(void); /* monotonic */

/* A child of fork() has the context's memory, but none of its threads: it may destroy what it has, and nothing else. */
bool in_another_process(const cover_context *context);
cover_status context_check_process(const cover_context *context); /* COVER_ERROR_UNSUPPORTED there */
/* One holder less; the last one ends the context. */
void context_let_go(cover_context *context);

/* This context's threads (threads.h), started at the first call. */
struct pool;
cover_status context_pool(cover_context *context, struct pool **pool);

struct communicator; /* communicator.h */
struct added_row;    /* added.h */

struct cover_context {                   /* made in src/context.c */
    atomic_long holders;                 /* the user, until cover_context_destroy(), and each handle */
    void (*end)(cover_context *context); /* when nobody holds it any more */
    pid_t process;
    cover_allocator allocator;
    cover_log_fn *log;
    void *log_user;
    pthread_mutex_t callback_lock;
    atomic_int callback_owner; /* thread number of who is inside of a callback, 0 = nobody */
    bool logging;              /* inside of the log callback */
    atomic_int cancel_requested;
    atomic_bool told_unsynced; /* that a result cannot be synced; said once */
    int threads;
    uint64_t memory_limit_bytes;
    _Atomic uint64_t memory_now, memory_most; /* bytes in use, and the most so far: memory.h */
    unsigned cpu_features;                    /* enum cpu_feature of cpu/features.h, capped by options.isa */
    char cpu_features_text[64];               /* the same in words */
    pthread_mutex_t pool_lock;
    const struct executor *executor; /* graph/executor.h */
    struct device *device;           /* of that executor, NULL on the CPU */
    void *module;                    /* that the executor comes from, or NULL */
    struct pool *pool;               /* this context's own threads, made when first needed: context_pool() */
    char *info;
    const struct added_row *added;     /* to the library's tables (added.h), NULL = none */
    struct communicator *communicator; /* with the other ranks, NULL = alone: cover_context_join() */
};

#endif
