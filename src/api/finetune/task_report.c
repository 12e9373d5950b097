/* The report of a fine-tuning run: result.json, log.jsonl and preview.safetensors as the parts of src/report/task_page.c. */
#include "core/base/files.h"
#include "core/base/json.h"
#include "io/weights/tensor_file.h"
#include "judge.h"
#include "task_preview.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULT_LIMIT = 1 << 28 };

struct parts {
    cover_context *context;
    json_t *config, *result;        /* the latter owns the names */
    const struct task_judge *judge; /* of the config's kind */
    struct task_report report;
    const char **names, **case_names;
    double *figure;
    float *score;
    int *truth;
    uint8_t *label;
    char *dataset;
    struct task_example example[TASK_PREVIEW_CASES];
    char *example_name[TASK_PREVIEW_CASES];
};

static void free_parts(struct parts *parts) {
    cover_context *context = parts->context;
    for (int k = 0; k < TASK_PREVIEW_CASES; k++) {
        memory_free(context, (void *)(uintptr_t)parts->example[k].image);
        memory_free(context, (void *)(uintptr_t)parts->example[k].truth);
        memory_free(context, (void *)(uintptr_t)parts->example[k].predicted);
        memory_free(context, parts->example_name[k]);
    }
    report_log_free(&parts->report.log, context);
    memory_free(context, parts->names);
    memory_free(context, parts->case_names);
    memory_free(context, parts->figure);
    memory_free(context, parts->score);
    memory_free(context, parts->truth);
    memory_free(context, parts->label);
    memory_free(context, parts->dataset);
    json_decref(parts->config);
    json_decref(parts->result);
}

cover_status task_report_is_one(bool *found, const char *config_json) {
    json_t *config;
    const cover_status status = json_read(&config, "config.json", config_json, strlen(config_json));
    *found = json_is_string(json_object_get(config, "task"));
    json_decref(config);
    return status == COVER_ERROR_MEMORY ? status : COVER_OK;
}

/* ---- result.json */

static int class_of(const struct parts *parts, const json_t *name) {
    for (int k = 0; k < parts->report.classes; k++)
        if (json_is_string(name) && strcmp(json_string_value(name), parts->names[k]) == 0) return k;
    return -1;
}

static bool read_case(struct parts *parts, const json_t *one, int64_t i) {
    int classes = parts->report.classes;
    const char *name = json_string_value(json_object_get(one, "name"));
    parts->case_names[i] = name ? name : "?";
    const json_t *values = json_object_get(one, parts->figure ? parts->judge->class_figure : "scores"),
                 *truth = json_object_get(one, "truth"), *item;
    for (int k = 0; k < classes; k++) {
        const json_t *value = json_object_get(values, parts->names[k]);
        double number = json_number_or_nan(value);
        if (parts->figure) parts->figure[i * classes + k] = number;
        else parts->score[i * classes + k] = (float)number;
    }
    if (parts->figure) return true;
    if (parts->truth) return (parts->truth[i] = class_of(parts, truth)) >= 0;
    size_t index;
    json_array_foreach(truth, index, item) {
        int k = class_of(parts, item);
        if (k < 0) return false;
        parts->label[i * classes + k] = 1;
    }
    return true;
}

static cover_status allocate(struct parts *parts, bool multilabel) {
    cover_context *context = parts->context;
    size_t classes = (size_t)parts->report.classes, cases = (size_t)parts->report.cases;
    parts->names = memory_alloc(context, classes * sizeof *parts->names);
    parts->case_names = memory_alloc(context, cases * sizeof *parts->case_names);
    bool room = parts->names && parts->case_names;
    if (!parts->judge->scored) {
        room &= (parts->figure = memory_alloc(context, cases * classes * sizeof *parts->figure)) != NULL;
        return room ? COVER_OK : COVER_ERROR_MEMORY;
    }
    room &= (parts->score = memory_alloc(context, cases * classes * sizeof *parts->score)) != NULL;
    if (multilabel) room &= (parts->label = memory_zero(context, cases * classes)) != NULL;
    else room &= (parts->truth = memory_alloc(context, cases * sizeof *parts->truth)) != NULL;
    return room ? COVER_OK : COVER_ERROR_MEMORY;
}

static cover_status read_result(struct parts *parts, const char *path) {
    if (!file_exists(path)) return COVER_OK; /* still in training */
    TRY(json_file_read(&parts->result, parts->context, path, RESULT_LIMIT));
    const json_t *best = json_object_get(parts->result, "best"), *cases = json_object_get(best, "cases");
    const json_t *names = json_object_get(parts->result, "class_names");
    const char *task = json_string_value(json_object_get(parts->result, "task"));
    if (!task || strcmp(task, parts->judge->kind->name) != 0 || !json_is_array(cases) || json_array_size(names) < 1 ||
        json_array_size(names) > UINT16_MAX)
        return fail(COVER_ERROR_FORMAT, "%s: no result of fine-tuning", path);
    struct task_report *report = &parts->report;
    report->classes = (int)json_array_size(names), report->cases = (int64_t)json_array_size(cases);
    report->best_step = json_integer_value(json_object_get(best, "step"));
    bool multilabel = json_is_array(json_object_get(json_array_get(cases, 0), "truth"));
    TRY(allocate(parts, multilabel));
    bool sound = true;
    for (int k = 0; k < report->classes; k++)
        sound &= (parts->names[k] = json_string_value(json_array_get(names, (size_t)k))) != NULL;
    for (int64_t i = 0; i < report->cases && sound; i++) sound = read_case(parts, json_array_get(cases, (size_t)i), i);
    if (!sound) return fail(COVER_ERROR_FORMAT, "%s: a class or a case is damaged", path);
    report->names = parts->names, report->case_names = parts->case_names, report->figure = parts->figure;
    report->score = parts->score, report->truth = parts->truth, report->label = parts->label;
    return COVER_OK;
}

/* ---- preview.safetensors */

static const struct tensor_entry *part_of(struct tensor_file *file, int k, const char *part, enum tensor_type type, int rank) {
    char name[32];
    snprintf(name, sizeof name, "%d.%s", k, part);
    const struct tensor_entry *entry = tensor_file_find(file, name);
    return entry && entry->type == type && entry->rank == rank ? entry : NULL;
}

static cover_status read_labels(const uint16_t **out, struct parts *parts, struct tensor_file *file, int k, const char *part) {
    const struct tensor_entry *entry = part_of(file, k, part, TENSOR_U16, 3);
    const struct grid *grid = &parts->example[k].grid;
    if (!entry) return COVER_OK;
    if (memcmp(entry->shape, grid->size, sizeof grid->size) != 0)
        return fail(COVER_ERROR_FORMAT, "preview.safetensors: %d.%s has another size than its image", k, part);
    uint16_t *labels = memory_alloc(parts->context, entry->bytes);
    if (!labels) return COVER_ERROR_MEMORY;
    *out = labels;
    TRY(tensor_read(file, entry, labels));
    for (int64_t p = 0; p < entry->elements; p++)
        if (labels[p] >= parts->report.classes && part[0] == 'p')
            return fail(COVER_ERROR_FORMAT, "preview.safetensors: %d.%s holds %d", k, part, labels[p]);
    return COVER_OK;
}

static cover_status read_example(struct parts *parts, struct tensor_file *file, int k) {
    struct task_example *example = &parts->example[k];
    const struct tensor_entry *entry = part_of(file, k, "image", TENSOR_F32, 4);
    char key[32];
    float *image;
    if (!entry) return COVER_OK;
    TRY(tensor_load_f32(file, entry, &image));
    example->image = image;
    example->grid = (struct grid){.ndim = entry->shape[0] > 1 ? 3 : 2, .size = {entry->shape[0], entry->shape[1], entry->shape[2]}};
    example->channels = (int)entry->shape[3];
    snprintf(key, sizeof key, "%d.name", k);
    const char *name = tensor_file_metadata(file, key);
    if (!(parts->example_name[k] = memory_text(parts->context, name ? name : "?"))) return COVER_ERROR_MEMORY;
    example->name = parts->example_name[k];
    snprintf(key, sizeof key, "%d.row", k);
    const char *row = tensor_file_metadata(file, key);
    example->row = row ? strtoll(row, NULL, 10) : -1;
    if (example->row < 0 || example->row >= parts->report.cases) example->row = -1;
    TRY(read_labels(&example->truth, parts, file, k, "truth"));
    TRY(read_labels(&example->predicted, parts, file, k, "predicted"));
    parts->report.examples = k + 1;
    return COVER_OK;
}

static cover_status read_preview(struct parts *parts, const char *path) {
    struct tensor_file *file;
    if (!file_exists(path) || parts->report.cases == 0) return COVER_OK;
    TRY(tensor_file_open(&file, parts->context, path));
    cover_status status = COVER_OK;
    for (int k = 0; k < TASK_PREVIEW_CASES && status == COVER_OK && parts->report.examples == k; k++)
        status = read_example(parts, file, k);
    const char *dataset = tensor_file_metadata(file, "dataset");
    if (status == COVER_OK && dataset && !(parts->dataset = memory_text(parts->context, dataset))) status = COVER_ERROR_MEMORY;
    tensor_file_close(file);
    return status;
}

cover_status task_report_run(cover_context *context, const char *run, const char *config_json, const char *log_path,
                             const char *preview_path, const char *path) {
    struct parts parts = {.context = context, .report = {.run = path_name(run), .config_json = config_json}};
    cover_status status = COVER_ERROR_MEMORY;
    char *result = path_join(context, run, "result.json");
    if (!result) goto done;
    GO(json_read(&parts.config, "config.json", config_json, strlen(config_json)));
    GO(task_judge_named(&parts.judge, context, json_string_value(json_object_get(parts.config, "task"))));
    parts.report.section = parts.judge->section;
    GO(report_log_read(&parts.report.log, context, log_path));
    GO(read_result(&parts, result));
    GO(read_preview(&parts, preview_path));
    parts.report.dataset = parts.dataset, parts.report.example = parts.example;
    status = task_page_write(context, path, &parts.report);
done:
    memory_free(context, result);
    free_parts(&parts);
    return status;
}
