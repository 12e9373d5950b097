/* What the tests of image files share: files built in memory, decoding them from exactly their bytes, and the three
 * attacks that every reader must stand: each length, each byte, each allocation.  Included by each tests/io/image/test_*.c.
 */
#ifndef COVER_IO_TEST_H
#define COVER_IO_TEST_H

#include "../../check_main.h"
#include "core/base/base.h"
#include "core/base/files.h"
#include "io/image/image.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- a context that counts what is alive, can refuse call number `fail_at` (1-based, 0 = none), and refuses pieces
 * above `largest`: a header that lies must be found out before memory is asked for */
struct watched {
    long calls, fail_at, alive;
    size_t largest;
};
static struct watched watched;
static cover_context *context;

static inline void *watched_allocate(void *user, size_t bytes, size_t alignment) {
    struct watched *state = user;
    ck_assert_msg(!state->largest || bytes <= state->largest, "%zu bytes asked for", bytes);
    if (++state->calls == state->fail_at) return NULL;
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, bytes) != 0) return NULL;
    state->alive++;
    return memory;
}
static inline void watched_release(void *user, void *memory) {
    ((struct watched *)user)->alive--;
    free(memory);
}

static char test_folder[64];

static inline void setup(void) {
    static cover_allocator allocator = {watched_allocate, watched_release, &watched};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    watched = (struct watched){0};
    options.allocator = &allocator;
    options.threads = 1;
    ck_assert_ok(cover_context_create(&context, &options));
    strcpy(test_folder, "/tmp/cover-io-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(test_folder));
}

static inline int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    return remove(path);
}
static inline void teardown(void) {
    cover_context_destroy(context);
    ck_assert_int_eq(watched.alive, 0);
    nftw(test_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- files in memory and in the test's folder */
struct bytes {
    uint8_t *data;
    size_t count, capacity;
};
static inline void bytes_put(struct bytes *file, size_t at, const void *from, size_t count) {
    if (at + count > file->capacity) {
        file->capacity = 2 * (at + count);
        file->data = realloc(file->data, file->capacity);
        ck_assert_ptr_nonnull(file->data);
    }
    if (at > file->count) memset(file->data + file->count, 0, at - file->count);
    if (count) memcpy(file->data + at, from, count);
    if (at + count > file->count) file->count = at + count;
}
static inline void bytes_add(struct bytes *file, const void *from, size_t count) { bytes_put(file, file->count, from, count); }
static inline void bytes_free(struct bytes *file) {
    free(file->data);
    *file = (struct bytes){0};
}

/* A path in the test's folder; valid until the next call. */
static inline const char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", test_folder, name);
    return path;
}
static inline const char *file_of(const char *name, const void *data, size_t count) {
    const char *path = in_folder(name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, count, file), count);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

/* ---- decoding: from a copy of exactly `count` bytes, so that a sanitizer sees a read behind the end */
static inline cover_status decode_exactly(struct image *image, const void *data, size_t count) {
    uint8_t *copy = malloc(count ? count : 1);
    memcpy(copy, data, count);
    cover_status status = image_decode(image, context, "a/file", copy, count, (uint64_t)1 << 28);
    free(copy);
    if (status != COVER_OK)
        ck_assert_msg(strncmp(cover_error_text(), "a/file: ", 8) == 0, "the error names no file: %s", cover_error_text());
    return status;
}
static inline struct image decoded(const struct bytes *file) {
    struct image image;
    ck_assert_ok(decode_exactly(&image, file->data, file->count));
    return image;
}
static inline void ck_assert_shape(const struct image *image, cover_dtype dtype, int dims, int channels, int64_t depth,
                                   int64_t height, int64_t width) {
    ck_assert_str_eq(cover_dtype_name(image->dtype), cover_dtype_name(dtype));
    ck_assert_int_eq(image->dims, dims);
    ck_assert_int_eq(image->channels, channels);
    ck_assert_int_eq(image->size[0], depth);
    ck_assert_int_eq(image->size[1], height);
    ck_assert_int_eq(image->size[2], width);
}

/* Decoding must fail with this status and a text that holds `words`. */
static inline void ck_assert_refused(const struct bytes *file, cover_status expected, const char *words) {
    struct image image;
    watched.largest = 1 << 20;
    cover_status status = decode_exactly(&image, file->data, file->count);
    watched.largest = 0;
    ck_assert_msg(status != COVER_OK, "decoded, but should have been refused with: %s", words);
    ck_assert_msg(strstr(cover_error_text(), words) != NULL, "'%s' should say '%s'", cover_error_text(), words);
    ck_assert_str_eq(cover_status_name(status), cover_status_name(expected));
}

/* ---- the three attacks */
static inline void every_shorter_file_is_refused(const struct bytes *file) {
    struct image image;
    long before = watched.alive;
    for (size_t count = 0; count < file->count; count++) {
        cover_status status = decode_exactly(&image, file->data, count);
        ck_assert_msg(status != COVER_OK, "the first %zu of %zu bytes were taken for the whole file", count, file->count);
        ck_assert_int_eq(watched.alive, before);
    }
}

/* Each of the first `most` bytes set to 0, to 255, to its complement, and with its lowest bit turned: an image or an
 * error, no piece of memory beyond the limit that decode_exactly() gives, and nothing left behind. */
static inline void every_changed_byte_is_survived(const struct bytes *file, size_t most) {
    long before = watched.alive;
    watched.largest = (size_t)1 << 28;
    for (size_t i = 0; i < file->count && i < most; i++) {
        const uint8_t honest = file->data[i], changes[4] = {0, 255, (uint8_t)~honest, honest ^ 1};
        for (int change = 0; change < 4; change++) {
            struct image image;
            file->data[i] = changes[change];
            if (decode_exactly(&image, file->data, file->count) == COVER_OK) image_free(&image, context);
            ck_assert_int_eq(watched.alive, before);
        }
        file->data[i] = honest;
    }
    watched.largest = 0;
}

static inline void every_refused_allocation_is_survived(const struct bytes *file) {
    long before = watched.alive;
    for (long call = 1;; call++) {
        struct image image;
        watched.calls = 0, watched.fail_at = call;
        cover_status status = decode_exactly(&image, file->data, file->count);
        watched.fail_at = 0;
        if (status == COVER_OK) image_free(&image, context);
        ck_assert_int_eq(watched.alive, before);
        if (watched.calls < call) {
            ck_assert_msg(status == COVER_OK, "%s", cover_error_text());
            ck_assert_msg(call > 1, "the reader takes no memory from the context");
            return;
        }
        ck_assert_msg(status == COVER_ERROR_MEMORY, "refusing allocation %ld gave %s: %s", call, cover_status_name(status),
                      cover_error_text());
    }
}

/* One suite of one case with setup and teardown. */
static inline int run_io_tests(const char *name, const TTest *const tests[], int count) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (int i = 0; i < count; i++) tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
#define RUN_IO_TESTS(name, ...)                                                                                                    \
    int main(void) {                                                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                                                \
        return run_io_tests(name, tests, (int)(sizeof tests / sizeof *tests));                                                     \
    }

#endif
