/* A small dataset and network for the tests of ranks. */
#ifndef COVER_TESTS_FIXTURE_H
#define COVER_TESTS_FIXTURE_H

#include "../blobs.h"
#include "api/pretrain/trainer.h"
#include "core/base/files.h"
#include "core/base/philox.h"
#include "io/image/image.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static cover_context *context;
static cover_config *config;
static char folder[64], data_path[96];

static inline char *in_folder(const char *name) {
    static char path[8][160];
    static int next;
    snprintf(path[next = (next + 1) % 8], sizeof path[0], "%s/%s", folder, name);
    return path[next];
}

static inline void set(const char *name, const char *value) { ck_assert_ok(cover_config_set(config, name, value)); }

/* A handle belongs to one thread at a time: each rank has its own. */
static inline cover_config *own_config(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    cover_config *own;
    pthread_mutex_lock(&lock);
    ck_assert_ok(cover_config_copy(&own, config));
    pthread_mutex_unlock(&lock);
    return own;
}

static inline void make_data(const char *path, uint32_t variant) {
    char images[128];
    snprintf(images, sizeof images, "%s/images-%u", folder, variant);
    write_blobs(context, images, 6, variant, 48, 56);
    ck_assert_ok(cover_dataset_pack(NULL, context, (const char *[]){images}, 1, path, NULL));
}

static inline void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 1;
    ck_assert_ok(cover_context_create(&context, &options));
    snprintf(folder, sizeof folder, "/tmp/cover-comm-%ld", (long)getpid());
    ck_assert_ok(folder_create(folder));
    snprintf(data_path, sizeof data_path, "%s/data.h5", folder);
    make_data(data_path, 1);
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    static const char *const values[][2] = {
        {"widths", "8,8,8,16,16,16,8,8,8"},
        {"heads", "2,2,1,1,1"},
        {"crop", "32x32"},
        {"work", "40x40"},
        {"batch", "5"},
        {"steps", "6"},
        {"warmup", "2"},
        {"radius", "2"},
        {"log_every", "2"},
        {"save_every", "2"},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) set(values[i][0], values[i][1]);
}

static inline void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    cover_config_destroy(config);
    cover_context_destroy(context);
}

#endif
