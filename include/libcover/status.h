/* Status codes, error text and the export macro: what every other header of libcover includes.
 *
 * Owner:      nothing is handed over
 * Lifetime:   names, texts and the version: as long as the library is loaded; cover_error_text(): until the next failing call
 *             on the same thread
 * Threads:    all at once; the error text is a thread's own
 * Callbacks:  none
 * NULL:       no call takes a pointer
 * Errors:     none; unknown statuses have texts, too
 * Stability:  stable */
#ifndef LIBCOVER_STATUS_H
#define LIBCOVER_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What marks an exported function.  A program may define it beforehand: to nothing when libcover is linked in statically. */
#ifndef COVER_API
#if defined(_WIN32) && defined(COVER_BUILDING)
#define COVER_API __declspec(dllexport)
#elif defined(_WIN32)
#define COVER_API __declspec(dllimport)
#elif defined(__GNUC__) || defined(__clang__)
#define COVER_API __attribute__((visibility("default")))
#else
#define COVER_API /* every function is visible; src/libcover.map keeps the others in */
#endif
#endif

/** The version of these headers; cover_version_number() is that of the library which runs. */
#define COVER_VERSION_MAJOR 0
#define COVER_VERSION_MINOR 1
#define COVER_VERSION_PATCH 0
#define COVER_VERSION_NUMBER (COVER_VERSION_MAJOR * 10000 + COVER_VERSION_MINOR * 100 + COVER_VERSION_PATCH)

/* The value of each COVER_..._INIT macro: a struct that knows its size, everything else zero.  C++ before 2020 cannot name the
 * members of an initialiser, so there it is a function's result. */
#ifdef __cplusplus
extern "C++" {
template <class Struct> inline Struct cover_sized() {
    Struct made = Struct();
    made.struct_size = sizeof made;
    return made;
}
template <class Struct> inline Struct cover_initialised(void (*init)(Struct *, size_t)) {
    Struct made = Struct();
    init(&made, sizeof made);
    return made;
}
}
#define COVER_SIZED(type) cover_sized<type>()
#else
#define COVER_SIZED(type)                                                                                                          \
    { .struct_size = sizeof(type) }
#endif

/** What a call came to.  Anything but COVER_OK leaves its out-parameters untouched and sets cover_error_text().
 *  The list grows at its end: treat a value that you do not know as an error like any other. */
typedef enum cover_status {
    COVER_OK = 0,
    COVER_ERROR_ARGUMENT = 1,    /**< a value that the call does not take: NULL, out of range, unknown name */
    COVER_ERROR_SHAPE = 2,       /**< sizes, channels or dims that do not fit each other */
    COVER_ERROR_MEMORY = 3,      /**< the allocator refused, or the memory limit would be passed */
    COVER_ERROR_IO = 4,          /**< the operating system refused: missing, unreadable, unwritable, disk full */
    COVER_ERROR_FORMAT = 5,      /**< a file that is not what it says: truncated, damaged, lying header */
    COVER_ERROR_UNSUPPORTED = 6, /**< a valid request that this build or version cannot serve */
    COVER_ERROR_MISMATCH = 7,    /**< parts that belong to different runs: config, dataset, weights */
    COVER_ERROR_NUMERIC = 8,     /**< NaN or Inf appeared */
    COVER_ERROR_CANCELLED = 9,   /**< a callback or cover_context_cancel() asked to stop; the work done is kept */
    COVER_ERROR_INTERNAL = 10,   /**< a broken promise inside libcover; please report it */
    COVER_ERROR_DEVICE = 11,     /**< a GPU, its driver or a library of it is missing, does not fit, or was lost */
    COVER_ERROR_RANK = 12        /**< another rank failed, does not answer, or runs something else */
} cover_status;

/** The name of a status, "COVER_ERROR_SHAPE" for example; never NULL. */
COVER_API const char *cover_status_name(cover_status status);
/** What a status means, in one sentence without the case at hand; never NULL. */
COVER_API const char *cover_status_text(cover_status status);
/** How many there are in the library that runs: 0 .. count - 1. */
COVER_API int cover_status_count(void);

/** Text of the last error on this thread: which value, where, what to do.  "" when there was none.
 *  Valid until the next failing call on the same thread. */
COVER_API const char *cover_error_text(void);

/** The version of the library that is running, "0.1.0". */
COVER_API const char *cover_version(void);
/** The same as a number to compare with COVER_VERSION_NUMBER: 0.1.0 is 100. */
COVER_API int cover_version_number(void);

#ifdef __cplusplus
}
#endif
#endif
