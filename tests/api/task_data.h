/* Synthetic labelled datasets and tiny tasks on them: case i is a function of i alone. */
#ifndef TASK_DATA_H
#define TASK_DATA_H

#include "../check_main.h"

#include "api/finetune/task.h"
#include "core/base/files.h"
#include "core/base/philox.h"
#include "io/dataset/dataset.h"
#include "io/dataset/dataset_write.h"

#include <libcover/cover.h>

#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the images show.  DISC: a bright disc on noise, its label 1 (and with three classes a smaller one in it, 2).  PATTERN: class
 * k has stripes along one axis, then the other, then none.  SET: bit 0 = stripes, bit 1 = a bright corner. */
enum scene_kind { DISC, PATTERN, SET };

struct scene {
    enum scene_kind kind;
    int dims, channels, classes;
    int64_t samples, size;
    uint64_t variant;
    int nan_case;            /* 1 + the case with a pixel that is NaN */
    int regions;             /* dataset.json names a region of two labels */
    int ignore_rows;         /* the label's first rows are of the value to ignore */
    int odd_case, odd_value; /* 1 + the case whose label is this value throughout */
    int (*class_of)(int64_t i);
    uint8_t (*split_of)(int64_t i);
    cover_context *context;
    char name[32];
};

enum { SCENE_PIXELS = 1 << 14 };

static inline int64_t scene_pixels(const struct scene *s) { return s->dims == 3 ? s->size * s->size * s->size : s->size * s->size; }
static inline int scene_class(const struct scene *s, int64_t i) {
    return s->class_of ? s->class_of(i) : (int)(i % (s->kind == SET ? 4 : s->classes));
}

/* Values (0..255) and label of one case; float images hold the same values. */
static inline void scene_draw(const struct scene *s, int64_t i, float *image, uint8_t *label) {
    struct random_stream stream = random_stream(s->variant, RANDOM_TEST, (uint64_t)i, 0);
    double middle = (double)s->size / 2, third = (double)s->size / 6;
    double cz = middle + random_uniform(&stream, -2, 2), cy = middle + random_uniform(&stream, (float)-third, (float)third),
           cx = middle + random_uniform(&stream, (float)-third, (float)third),
           r = (double)s->size * random_uniform(&stream, 0.2f, 0.3f);
    for (int64_t p = 0; p < scene_pixels(s); p++) {
        int64_t x = p % s->size, y = p / s->size % s->size, z = p / s->size / s->size;
        double d = s->dims == 3 ? sqrt((z - cz) * (z - cz) + (y - cy) * (y - cy) + (x - cx) * (x - cx)) : hypot(y - cy, x - cx);
        double value = 60 + random_uniform(&stream, -20, 20);
        int class = scene_class(s, i);
        if (s->kind == DISC) {
            label[p] = s->classes > 2 && d < r / 2 ? 2 : d < r;
            value += label[p] * 70;
        } else if (s->kind == PATTERN) value += class == 0 ? 100 * (y / 4 % 2) : class == 1 ? 100 * (x / 4 % 2) : 0;
        else value += (class & 1 ? 100 * (y / 4 % 2) : 0) + (class & 2 && y < s->size / 2 && x < s->size / 2 ? 100 : 0);
        if (s->kind == DISC && y < s->ignore_rows) label[p] = (uint8_t)s->classes;
        if (s->kind == DISC && i + 1 == s->odd_case) label[p] = (uint8_t)s->odd_value;
        for (int c = 0; c < s->channels; c++) image[p * s->channels + c] = (float)(int)value;
    }
    if (i + 1 == s->nan_case) image[7] = NAN;
}

static inline cover_status scene_store(const struct scene *s, int64_t i, bool label, struct dataset_row *row, void **stored,
                                       uint64_t *bytes) {
    static float image[SCENE_PIXELS];
    static uint8_t small[SCENE_PIXELS], labels[SCENE_PIXELS];
    bool floats = s->nan_case > 0;
    int64_t values = scene_pixels(s) * s->channels;
    ck_assert_int_le(values, SCENE_PIXELS);
    scene_draw(s, i, image, labels);
    for (int64_t k = 0; k < values && !floats; k++) small[k] = (uint8_t)image[k];
    uint64_t image_bytes = (uint64_t)values * (floats ? 4 : 1), label_bytes = (uint64_t)scene_pixels(s);
    const void *pixels = floats ? (void *)image : small;
    if (row) dataset_digest(row->digest, row, s->dims, s->channels, pixels, image_bytes, labels, s->kind == DISC ? label_bytes : 0);
    return label ? dataset_compress(s->context, labels, label_bytes, 1, stored, bytes)
                 : dataset_compress(s->context, pixels, image_bytes, floats ? 4 : 1, stored, bytes);
}

static inline cover_status scene_entry(void *user, int64_t i, struct dataset_entry *entry) {
    struct scene *s = user;
    struct dataset_row *row = &entry->row;
    void *stored;
    *row = (struct dataset_row){.size = {s->dims == 3 ? (uint32_t)s->size : 1, (uint32_t)s->size, (uint32_t)s->size},
                                .dtype = s->nan_case ? 2 : 0,
                                .label_dtype = s->kind == DISC ? 0 : DATASET_NO_LABEL,
                                .class_index = s->kind == PATTERN ? scene_class(s, i) : -1,
                                .multilabel = s->kind == SET,
                                .class_set = s->kind == SET ? (uint64_t)scene_class(s, i) : 0,
                                .split = s->split_of ? s->split_of(i) : 0};
    if (s->kind == DISC) {
        TRY(scene_store(s, i, true, NULL, &stored, &row->label_bytes));
        memory_free(s->context, stored);
    }
    TRY(scene_store(s, i, false, row, &stored, &row->image_bytes));
    memory_free(s->context, stored);
    row->name_bytes = (uint32_t)snprintf(s->name, sizeof s->name, "case_%02lld", (long long)i);
    entry->name = s->name, entry->patient = "";
    return COVER_OK;
}

static inline cover_status scene_stored(void *user, int64_t i, bool label, void *out) {
    void *stored;
    uint64_t bytes;
    TRY(scene_store(user, i, label, NULL, &stored, &bytes));
    memcpy(out, stored, bytes);
    memory_free(((struct scene *)user)->context, stored);
    return COVER_OK;
}

/* ---- a scratch folder, contexts */

static cover_context *context;
static char folder[40], logged[1 << 14];

/* "FOLDER/..." of printf; eight of them live at once. */
static inline const char *at(const char *format, ...) {
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    va_list arguments;
    int length = snprintf(path, 256, "%s/", folder);
    va_start(arguments, format);
    vsnprintf(path + length, 256 - (size_t)length, format, arguments);
    va_end(arguments);
    return path;
}

static inline void take_log(void *user, cover_log_level level, const char *line) {
    (void)user, (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 1);
}

static inline cover_context *make_context(int threads) {
    cover_context *made;
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = threads, options.log = take_log;
    ck_assert_ok(cover_context_create(&made, &options));
    return made;
}

static inline void setup(void) {
    strcpy(folder, "/tmp/cover-task-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    logged[0] = 0;
    context = make_context(2);
}

static inline int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static inline void teardown(void) {
    cover_context_destroy(context);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline cover_dataset *open_data(cover_context *where, const char *path) {
    cover_dataset *dataset = NULL;
    ck_assert_ok(cover_dataset_open(&dataset, where, path));
    return dataset;
}

/* Write the scene to FOLDER/data.h5 (or `path`) and open it.  Zeros: 2D, one channel, two classes, ten cases, 32 pixels a side. */
static inline cover_dataset *make_data(struct scene scene, const char *path) {
    char own[256], about[512];
    snprintf(own, sizeof own, "%s", path ? path : at("data.h5"));
    scene.context = context;
    scene.dims = scene.dims ? scene.dims : 2, scene.channels = scene.channels ? scene.channels : 1;
    scene.classes = scene.classes ? scene.classes : 2, scene.samples = scene.samples ? scene.samples : 10;
    scene.size = scene.size ? scene.size : scene.dims == 3 ? 16 : 32;
    snprintf(about, sizeof about,
             "{\"options\": {\"dims\": %d, \"channels\": 0, \"size\": [0, 0, 0], \"spacing_mm\": [0, 0, 0], "
             "\"window\": [0, 0], \"percentile\": [0, 0]}, \"class_names\": [\"rows\", \"columns\", \"plain\"], \"label_names\": "
             "{\"background\": 0, \"disc\": %s, \"core\": 2}, \"ignore_label\": %d}",
             scene.dims, scene.regions ? "[1, 2]" : "1", scene.ignore_rows ? scene.classes : -1);
    struct dataset_content content = {.samples = scene.samples,
                                      .dims = scene.dims,
                                      .channels = scene.channels,
                                      .classes = scene.classes,
                                      .multilabel = scene.kind == SET,
                                      .about = about,
                                      .entry = scene_entry,
                                      .stored = scene_stored,
                                      .user = &scene};
    struct dataset_directory written;
    int descriptor = open(own, O_RDWR | O_CREAT | O_TRUNC, 0666);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_ok(dataset_write(context, descriptor, own, &content, &written));
    close(descriptor);
    return open_data(context, own);
}

/* ---- tasks */

static inline void set(cover_config *config, const char *name, const char *value) {
    ck_assert_ok(cover_config_set(config, name, value));
}

/* "NAME=VALUE NAME=VALUE ..." */
static inline void set_all(cover_config *config, const char *settings) {
    char copy[512], *rest = copy;
    snprintf(copy, sizeof copy, "%s", settings);
    for (char *word; (word = strsep(&rest, " "));) {
        char *equals = strchr(word, '=');
        if (!equals) continue;
        *equals = 0;
        set(config, word, equals + 1);
    }
}

/* Settings for this data: the narrowest network, a few cases a step; then `settings`. */
static inline cover_config *make_config(const cover_dataset *dataset, const char *task, const char *init, const char *settings) {
    cover_config *config;
    ck_assert_ok(cover_task_config(&config, context, dataset, task, init));
    if (task_from_scratch(init)) set(config, "widths", "8,8,8,8,8,8,8,8,8");
    set_all(config, "batch=4 lr=0.01 warmup=0 steps=8 val_every=4 log_every=2 save_every=3 schedule=constant folds=3");
    set_all(config, settings);
    return config;
}

static inline cover_task *make_task(cover_dataset *dataset, const char *name, const char *init, const char *settings) {
    cover_config *config = make_config(dataset, name, init, settings);
    cover_task *task;
    ck_assert_ok(cover_task_create(&task, context, dataset, config, init));
    cover_config_destroy(config);
    return task;
}

/* Takes steps; returns the last one's report. */
static inline cover_task_report take_steps(cover_task *task, int steps) {
    cover_task_report report = COVER_TASK_REPORT_INIT;
    for (int i = 0; i < steps; i++) {
        ck_assert_ok(cover_task_step(&report, task));
        ck_assert(isfinite(report.loss) && isfinite(report.grad_norm));
    }
    return report;
}

static inline float *weights_of(cover_task *task, const char *name, int64_t *count) {
    int row = parameters_find(&task->core.engine->model.parameters, name);
    ck_assert_int_ge(row, 0);
    if (count) *count = task->core.engine->model.parameters.rows[row].count;
    return task->core.engine->weights + task->core.engine->model.parameters.rows[row].offset;
}

/* A run folder of pretraining, one step, FOLDER/`name`: of `channels` and the narrowest widths. */
static inline const char *make_backbone(const char *name, int dims, int channels, const char *settings) {
    struct scene scene = {.kind = DISC, .dims = dims, .channels = channels, .samples = 2};
    cover_config *config;
    cover_dataset *dataset = make_data(scene, at("%s.h5", name));
    ck_assert_ok(cover_config_create(&config, context, dims == 3 ? "paper-3d" : "paper-2d"));
    set_all(config, "widths=8,8,8,8,8,8,8,8,8 heads=1,1,1,1,1 radius=1 batch=2 steps=1 lr=0.01 normalise=max");
    set(config, "channels", channels == 3 ? "3" : "1");
    set_all(config, dims == 3 ? "crop=16x16x16 work=16x16x16" : "crop=32x32 work=32x32");
    set_all(config, settings);
    ck_assert_ok(cover_run_pretrain(context, dataset, config, at("%s", name), NULL));
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
    return at("%s", name);
}

static inline bool same_files(const char *a, const char *b) {
    uint8_t *x, *y;
    size_t m, n;
    ck_assert_ok(file_read(context, a, 0, &x, &m));
    ck_assert_ok(file_read(context, b, 0, &y, &n));
    bool same = m == n && memcmp(x, y, n) == 0;
    memory_free(context, x);
    memory_free(context, y);
    return same;
}

#endif
