/* The context owns device, threads, allocator, memory limit and log callback; nothing in libcover is global.
 *
 * Owner:      the caller destroys the context, after everything made with it; options and the allocator's struct are copied,
 *             what their `user` points to stays the caller's
 * Lifetime:   cover_context_info(): until the context is destroyed; texts that calls hand over: until cover_text_release()
 * Threads:    one context serves several threads at once; create, destroy and cover_context_info() by one thread alone
 * Callbacks:  one at a time, under a lock of the context, on the thread of the call or a worker's; cover_context_cancel() may
 *             be called there, cover_log_fn says what else; the allocator is called by any thread, several at once
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; destroy, release,
 *             cancel and resume take NULL; questions answer 0 or NULL
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_CONTEXT_H
#define LIBCOVER_CONTEXT_H

#include <libcover/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cover_context cover_context;

typedef enum cover_log_level { COVER_LOG_DEBUG, COVER_LOG_INFO, COVER_LOG_WARNING } cover_log_level;

/** Receives one finished line without a newline.  Calls are serialised.  A callback may call the library, with this context, too; what
 *  is logged from within the log callback is dropped. */
typedef void cover_log_fn(void *user, cover_log_level level, const char *line);

/** Progress of long work: done of total units ("total" 0 when unknown).  Non-zero cancels: COVER_ERROR_CANCELLED.
 *  Calls are serialised. */
typedef int cover_progress_fn(void *user, int64_t done, int64_t total, const char *what);

/** Memory as the caller wants it.  allocate() returns bytes aligned to `alignment` (a power of two) or NULL. */
typedef struct cover_allocator {
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory);
    void *user;
} cover_allocator;

typedef struct cover_context_options {
    size_t struct_size;
    const char *device;               /**< "cpu" (default when NULL), "cuda" or "cuda:K" for the K-th GPU */
    int threads;                      /**< worker threads, 0 = one a processor that this process may use */
    uint64_t memory_limit_bytes;      /**< plans above this are refused before work starts; 0 = none */
    const char *isa;                  /**< cap on instruction sets: "plain", "avx2", "avx512", "avx512_bf16"; NULL = best found */
    const cover_allocator *allocator; /**< copied; NULL = the C library's */
    cover_log_fn *log;                /**< NULL = silent */
    void *log_user;
    const char *device_module; /**< absolute path of the device's module; NULL = libcover-cuda.so beside libcover.so */
    int deterministic;         /**< GPU: 1 = only algorithms that give the same bits in every run (the CPU always does) */
    int tf32;                  /**< GPU: 1 = float32 convolutions may round their operands to TF32 */
} cover_context_options;
#define COVER_CONTEXT_OPTIONS_INIT COVER_SIZED(cover_context_options)

/** Create a context.  @param options NULL for defaults.
 *  @return COVER_OK; COVER_ERROR_ARGUMENT (unknown device or isa, negative threads); COVER_ERROR_DEVICE (the device, its module,
 *  driver or a library of it is missing or does not fit); COVER_ERROR_MEMORY */
COVER_API cover_status cover_context_create(cover_context **context, const cover_context_options *options);

/** Destroy a context; takes NULL.  Handles that were made with it keep it alive until they are destroyed, texts do not.
 *  In a child of fork() it releases the memory that the child has of it and touches neither the parent's threads nor its files. */
COVER_API void cover_context_destroy(cover_context *context);

/** Ask running work to stop at its next safe point with COVER_ERROR_CANCELLED.  May be called from a signal
 *  handler and from any thread. */
COVER_API void cover_context_cancel(cover_context *context);

/** Forget an earlier cover_context_cancel(). */
COVER_API void cover_context_resume(cover_context *context);

/** Worker threads of this context. */
COVER_API int cover_context_threads(const cover_context *context);

/** Version, backends, CPU features, threads, libraries and what is decoded of DICOM, as one JSON object (the command's `info --json`).
 *  Owned by the context, valid until it is destroyed. */
COVER_API const char *cover_context_info(cover_context *context);

/** Release a text that a call handed over (a summary or report); takes NULL. */
COVER_API void cover_text_release(cover_context *context, char *text);

#ifdef __cplusplus
}
#endif
#endif
