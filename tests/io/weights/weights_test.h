/* What the tests of weight files share: a folder of their own, files from bytes, a context whose allocator fails at the
 * n-th call.  Included by each tests/io/weights/test_*.c. */
#ifndef COVER_WEIGHTS_TEST_H
#define COVER_WEIGHTS_TEST_H

#include "../../check_main.h"
#include "core/base/base.h"
#include "core/base/files.h"

#include <dirent.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char test_folder[64];
static cover_context *test_context;

/* A path in the test's folder; valid until the eighth next call. */
static inline const char *in_folder(const char *name) {
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
    return path;
}

static inline void setup(void) {
    /* in memory where there is such a place: a hundred saves wait for no disk */
    snprintf(test_folder, sizeof test_folder, "%s/cover-weights-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    ck_assert_ptr_nonnull(mkdtemp(test_folder));
    ck_assert_ok(cover_context_create(&test_context, NULL));
}

static inline int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static inline void teardown(void) {
    cover_context_destroy(test_context);
    nftw(test_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int files_in_folder(void) {
    DIR *stream = opendir(test_folder);
    int count = 0;
    for (struct dirent *item; (item = readdir(stream));) count += item->d_name[0] != '.';
    closedir(stream);
    return count;
}

static inline void write_bytes(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
    ck_assert_int_eq(fclose(file), 0);
}

static inline uint8_t *read_bytes(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file, "%s is missing", path);
    fseek(file, 0, SEEK_END);
    *count = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*count + 1);
    ck_assert_uint_eq(fread(bytes, 1, *count, file), *count);
    bytes[*count] = 0;
    fclose(file);
    return bytes;
}

/* ---- an allocator that refuses call number `fail_at` (1-based; 0 = never) and counts what is alive */
struct failing {
    long calls, fail_at, alive;
};
static inline void *failing_allocate(void *user, size_t bytes, size_t alignment) {
    struct failing *state = user;
    if (++state->calls == state->fail_at) return NULL;
    state->alive++;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}
static inline void failing_release(void *user, void *memory) {
    struct failing *state = user;
    state->alive--;
    free(memory);
}
static inline cover_context *failing_context(struct failing *state) {
    static cover_allocator allocator;
    allocator = (cover_allocator){failing_allocate, failing_release, state};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *context = NULL;
    options.allocator = &allocator;
    options.threads = 1;
    ck_assert_ok(cover_context_create(&context, &options));
    return context;
}
/* Run `work` with the first, the second, ... allocation refused until it succeeds untouched; each refusal must be
 * COVER_ERROR_MEMORY and leave nothing behind. */
static inline void survive_refused_memory(cover_status (*work)(cover_context *context)) {
    struct failing state = {0};
    cover_context *context = failing_context(&state);
    long before = state.alive;
    for (long call = 1;; call += call < 300 ? 1 : 7) { /* the later ones are many and alike */
        state.calls = 0, state.fail_at = call;
        cover_status status = work(context);
        ck_assert_msg(state.alive == before, "refused call %ld: %ld pieces leaked", call, state.alive - before);
        if (state.calls < call) {
            state.fail_at = 0;
            ck_assert_msg(status == COVER_OK, "%s", cover_error_text());
            break;
        }
        ck_assert_msg(status == COVER_ERROR_MEMORY, "refused call %ld gave %s: %s", call, cover_status_name(status),
                      cover_error_text());
    }
    state.fail_at = 0;
    cover_context_destroy(context);
}

#endif
