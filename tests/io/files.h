/* Small files for the tests of pack: PNG, NIfTI of any type, texts, in a folder of their own that goes away again. */
#ifndef TEST_FILES_H
#define TEST_FILES_H

#include "../check_main.h"

#include "core/base/files.h"
#include "io/image/image.h"

#include <ftw.h>
#include <jansson.h>
#include <libcover/dataset.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static cover_context *context;
static char folder[32];
static char logged[1 << 14];

/* "FOLDER/..." of printf; eight of them live at once. */
static inline const char *at(const char *format, ...) {
    static _Thread_local char paths[8][512];
    static _Thread_local int next;
    char *path = paths[next++ % 8];
    va_list arguments;
    int length = snprintf(path, 512, "%s/", folder);
    va_start(arguments, format);
    vsnprintf(path + length, 512 - (size_t)length, format, arguments);
    va_end(arguments);
    return path;
}

static inline void take_log(void *user, cover_log_level level, const char *line) {
    (void)user, (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 1);
}

static inline void make_context(int threads) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    options.log = take_log;
    ck_assert_ok(cover_context_create(&context, &options));
}

static inline void setup(void) {
    strcpy(folder, "/tmp/cover-pack-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    logged[0] = 0;
    make_context(3);
}

static inline int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static inline void teardown(void) {
    cover_context_destroy(context);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void write_bytes(const char *path, const void *bytes, size_t count) {
    char parent[512];
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    ck_assert_ok(folder_create(parent));
    FILE *stream = fopen(path, "wb");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(bytes, 1, count, stream), count);
    ck_assert_int_eq(fclose(stream), 0);
}

static inline void write_text(const char *path, const char *text) { write_bytes(path, text, strlen(text)); }

/* Value of a synthetic 8-bit image. */
static inline uint8_t value_of(int seed, int64_t k) { return (uint8_t)((k * (seed % 13 + 3) + seed * 29 + k * k / 97) % 251); }

static inline void write_png(const char *path, int height, int width, int channels, int seed) {
    uint8_t pixels[1 << 15], *bytes;
    size_t count;
    ck_assert_int_le(height * width * channels, (int)sizeof pixels);
    for (int64_t k = 0; k < height * width * channels; k++) pixels[k] = seed < 0 ? 7 : value_of(seed, k);
    ck_assert_ok(png_encode(context, &bytes, &count, pixels, height, width, channels));
    write_bytes(path, bytes, count);
    memory_free(context, bytes);
}

/* A label map of `classes` values. */
static inline void write_label(const char *path, int height, int width, int classes) {
    uint8_t pixels[1 << 15], *bytes;
    size_t count;
    for (int k = 0; k < height * width; k++) pixels[k] = (uint8_t)(k / 3 % classes);
    ck_assert_ok(png_encode(context, &bytes, &count, pixels, height, width, 1));
    write_bytes(path, bytes, count);
    memory_free(context, bytes);
}

/* NIfTI-1 of any type: size is D, H, W; spacing D, H, W in mm; type is NIfTI's code (2 u8, 4 i16, 16 f32, 512 u16). */
static inline void write_nifti(const char *path, int type, const int size[3], const double spacing[3], const void *data) {
    static uint8_t bytes[1 << 20];
    const int16_t dim[8] = {3, (int16_t)size[2], (int16_t)size[1], (int16_t)size[0], 1, 1, 1, 1};
    const int16_t codes[2] = {(int16_t)type, (int16_t)(type == 2 ? 8 : type == 16 ? 32 : 16)};
    const float pixdim[8] = {1, (float)spacing[2], (float)spacing[1], (float)spacing[0]}, offset = 352, one = 1;
    const float rows[12] = {(float)spacing[2], 0, 0, 10, 0, (float)spacing[1], 0, 20, 0, 0, (float)spacing[0], 30};
    const size_t count = (size_t)size[0] * (size_t)size[1] * (size_t)size[2] * (size_t)(codes[1] / 8);
    memset(bytes, 0, 352);
    ck_assert_uint_le(352 + count, sizeof bytes);
    memcpy(bytes, &(int32_t){348}, 4);
    memcpy(bytes + 40, dim, sizeof dim);
    memcpy(bytes + 70, codes, sizeof codes);
    memcpy(bytes + 76, pixdim, sizeof pixdim);
    memcpy(bytes + 108, &offset, 4);
    memcpy(bytes + 112, &one, 4);
    bytes[123] = 2;                        /* mm */
    memcpy(bytes + 254, &(int16_t){1}, 2); /* sform_code */
    memcpy(bytes + 280, rows, sizeof rows);
    memcpy(bytes + 344, "n+1", 4);
    memcpy(bytes + 352, data, count);
    write_bytes(path, bytes, 352 + count);
}

/* ---- packing */

static inline cover_status pack(const char *source, const char *output, const cover_pack_options *options, json_t **summary) {
    char *text = NULL;
    cover_status status = cover_dataset_pack(&text, context, &source, 1, output, options);
    if (summary && status == COVER_OK) {
        *summary = json_loads(text, 0, NULL);
        ck_assert_ptr_nonnull(*summary);
    }
    if (status != COVER_OK) ck_assert_ptr_null(text);
    cover_text_release(context, text);
    return status;
}

static inline int64_t number(const json_t *object, const char *key) {
    ck_assert(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static inline cover_dataset *open_dataset(const char *path) {
    cover_dataset *dataset = NULL;
    ck_assert_ok(cover_dataset_open(&dataset, context, path));
    return dataset;
}

static inline cover_sample_info sample_of(const cover_dataset *dataset, int64_t index) {
    cover_sample_info info = COVER_SAMPLE_INFO_INIT;
    ck_assert_ok(cover_dataset_sample(&info, dataset, index));
    return info;
}

static inline void same_files(const char *a, const char *b) {
    uint8_t *first, *second;
    size_t first_bytes, second_bytes;
    ck_assert_ok(file_read(context, a, 0, &first, &first_bytes));
    ck_assert_ok(file_read(context, b, 0, &second, &second_bytes));
    ck_assert_uint_eq(first_bytes, second_bytes);
    ck_assert_mem_eq(first, second, first_bytes);
    memory_free(context, first);
    memory_free(context, second);
}

/* ---- an allocator that refuses the n-th request */

static atomic_llong requests, refuse_at, alive;
static inline void *refusing_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    if (atomic_fetch_add(&requests, 1) == atomic_load(&refuse_at)) return NULL;
    void *memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory) atomic_fetch_add(&alive, 1);
    return memory;
}
static inline void refusing_release(void *user, void *memory) {
    (void)user;
    atomic_fetch_sub(&alive, 1);
    free(memory);
}

/* Pack and check with the first request refused, then with the second, and so on until none is left to refuse. */
static inline void pack_with_refusals(const char *given_source, const char *given_split) {
    char own_source[512], own_split[512]; /* at() would give their places to others */
    snprintf(own_source, sizeof own_source, "%s", given_source);
    snprintf(own_split, sizeof own_split, "%s", given_split ? given_split : "");
    const char *source = own_source, *split = given_split ? own_split : NULL;
    const cover_allocator allocator = {refusing_allocate, refusing_release, NULL};
    for (long long n = 0, ended = 0; !ended; n++) {
        cover_context_options with = COVER_CONTEXT_OPTIONS_INIT;
        cover_context *poor = NULL;
        with.allocator = &allocator, with.threads = 1;
        atomic_store(&refuse_at, -1);
        ck_assert_ok(cover_context_create(&poor, &with));
        cover_pack_options options = COVER_PACK_OPTIONS_INIT;
        options.split = split, options.skip_bad = 1;
        char *summary = NULL, *report = NULL;
        atomic_store(&requests, 0);
        atomic_store(&refuse_at, n);
        cover_status status = cover_dataset_pack(&summary, poor, &source, 1, at("out.h5"), &options);
        if (status == COVER_OK) status = cover_file_check(&report, poor, at("out.h5"));
        ended = atomic_load(&requests) <= n;
        ck_assert_msg(status == (ended ? COVER_OK : COVER_ERROR_MEMORY), "request %lld: %s: %s", n, cover_status_name(status),
                      cover_error_text());
        if (ended) ck_assert_ptr_nonnull(strstr(report, "\"ok\": true"));
        cover_text_release(poor, summary);
        cover_text_release(poor, report);
        cover_context_destroy(poor);
        ck_assert_int_eq(atomic_load(&alive), 0);
    }
}

#endif
