/* The report of a run folder (include/libcover/report.h): gathers settings, log, preview and, of pairs, what the network makes of them;
 * src/report draws the page. */
#include "report/report.h"

#include "api/finetune/task_preview.h"
#include "api/network/matcher.h"
#include "api/run/run_folder.h"
#include "core/base/files.h"
#include "preview.h"

#include <libcover/report.h>

#include <string.h>

enum { SETTINGS_LIMIT = 1 << 20 };

_Static_assert((int)LEVELS_MAX <= (int)REPORT_LEVELS_MAX, "every level has a column");

struct parts {
    cover_context *context;
    char *config_path, *log_path, *preview_path;
    uint8_t *config_json;
    const struct objective *objective; /* NULL = not known here */
    struct report report;
    struct preview preview;
    struct matcher matcher;
    struct report_pair pairs[PREVIEW_SAMPLES];
    float *fields[PREVIEW_SAMPLES][LEVELS_MAX];
};

static void free_parts(struct parts *parts) {
    cover_context *context = parts->context;
    for (int i = 0; i < PREVIEW_SAMPLES * LEVELS_MAX; i++) memory_free(context, parts->fields[i / LEVELS_MAX][i % LEVELS_MAX]);
    report_log_free(&parts->report.log, context);
    preview_free(&parts->preview);
    matcher_close(&parts->matcher);
    memory_free(context, parts->config_json);
    memory_free(context, parts->config_path);
    memory_free(context, parts->log_path);
    memory_free(context, parts->preview_path);
}

/* ---- view pairs: what the network says of each */

enum { MOVING, FIXED, FIELD, MASK }; /* pictures of an objective over pairs */

/* All four on one grid, a displacement and a weight a pixel. */
static cover_status is_pair(const struct report_sample *sample) {
    const struct report_picture *picture = sample->picture;
    const int ndim = picture[MOVING].grid.ndim, channels[] = {picture[MOVING].channels, picture[MOVING].channels, ndim, 1};
    for (int i = MOVING; i <= MASK; i++)
        if (!grid_same(&picture[i].grid, &picture[MOVING].grid) || picture[i].channels != channels[i])
            return fail(COVER_ERROR_FORMAT, "preview.safetensors: %s of a pair has another size than its image", picture[i].name);
    return COVER_OK;
}

/* The field after each level. */
static cover_status predict(struct parts *parts, int k) {
    struct matcher *matcher = &parts->matcher;
    struct report_pair *pair = &parts->pairs[k];
    const struct report_picture *picture = parts->preview.sample[k].picture;
    const size_t values = (size_t)(grid_pixels(&picture->grid) * picture->channels);
    memcpy(matcher->views, picture[MOVING].values, values * sizeof(float));
    memcpy(matcher->views + values, picture[FIXED].values, values * sizeof(float));
    TRY(matcher_run(matcher));
    *pair = (struct report_pair){.name = parts->preview.sample[k].name,
                                 .grid = picture->grid,
                                 .channels = picture->channels,
                                 .moving = picture[MOVING].values,
                                 .fixed = picture[FIXED].values,
                                 .truth = picture[FIELD].values,
                                 .mask = picture[MASK].values};
    for (int i = 0; i < matcher->pair.levels; i++) {
        struct grid grid;
        const float *field = matcher_level_field(matcher, i, &grid);
        if (!field) continue; /* a network without pyramid */
        parts->fields[k][i] = memory_copy(parts->context, field, (size_t)(grid_pixels(&grid) * grid.ndim) * sizeof *field);
        if (!parts->fields[k][i]) return COVER_ERROR_MEMORY;
        pair->level[pair->levels++] = (struct report_level){.grid = grid, .field = parts->fields[k][i]};
        pair->predicted = parts->fields[k][i]; /* the last one is the prediction */
    }
    return COVER_OK;
}

/* Has the run saved anything yet? */
static cover_status has_weights(bool *found, cover_context *context, const char *run) {
    static const char *const names[] = {"weights.safetensors", "checkpoint.h5"};
    *found = false;
    for (int i = 0; i < 2 && !*found; i++) {
        char *path = path_join(context, run, names[i]);
        if (!path) return COVER_ERROR_MEMORY;
        *found = file_exists(path);
        memory_free(context, path);
    }
    return COVER_OK;
}

static cover_status predict_all(struct parts *parts, const char *run) {
    const struct network_settings *network = &parts->matcher.settings.network;
    bool saved;
    TRY(has_weights(&saved, parts->context, run));
    if (!saved) log_line(parts->context, COVER_LOG_INFO, "%s: nothing is saved yet, so the report has no view pairs", run);
    if (parts->preview.count == 0 || !saved) return COVER_OK;
    TRY(matcher_open(&parts->matcher, parts->context, run));
    for (int k = 0; k < parts->preview.count; k++) {
        const struct report_picture *moving = parts->preview.sample[k].picture;
        TRY(is_pair(&parts->preview.sample[k]));
        if (network->channels != moving->channels || network->dims != moving->grid.ndim)
            return fail(COVER_ERROR_MISMATCH, "%s: the weights take %d channels in %dD, preview.safetensors has %d in %dD", run,
                        (int)network->channels, (int)network->dims, moving->channels, moving->grid.ndim);
        TRY(matcher_prepare(&parts->matcher, &moving->grid));
        TRY(predict(parts, k));
    }
    parts->report.pair = parts->pairs, parts->report.pairs = parts->preview.count;
    parts->report.coordinates = (enum coordinates)parts->matcher.settings.objective.coordinates;
    return COVER_OK;
}

/* ---- the page of any objective */

static cover_status take_samples(struct parts *parts, const char *run) {
    if (!parts->objective) return COVER_OK;
    TRY(preview_read(&parts->preview, parts->context, parts->objective, parts->preview_path));
    parts->report.dataset = parts->preview.dataset;
    if (parts->objective->pairs) return predict_all(parts, run);
    parts->report.samples = parts->preview.sample, parts->report.sample_count = parts->preview.count;
    return COVER_OK;
}

/* The page is made of these, and of what a run is worth. */
static cover_status check_output(cover_context *context, const char *run, const char *output) {
    static const char *const names[] = {"config.json", "log.jsonl", "preview.safetensors", "checkpoint.h5", "weights.safetensors"};
    cover_status status = COVER_OK;
    for (size_t i = 0; status == COVER_OK && i < sizeof names / sizeof *names; i++) {
        char *path = path_join(context, run, names[i]);
        status = path ? output_is_not(output, path) : COVER_ERROR_MEMORY;
        memory_free(context, path);
    }
    return status == COVER_OK ? temporaries_remove_beside(context, output) : status;
}

static cover_status write_page(cover_context *context, const char *run, const char *path) {
    struct parts parts = {.context = context};
    cover_status status = COVER_ERROR_MEMORY;
    size_t bytes;
    bool task;
    parts.config_path = path_join(context, run, "config.json");
    parts.log_path = path_join(context, run, "log.jsonl");
    parts.preview_path = path_join(context, run, "preview.safetensors");
    if (!parts.config_path || !parts.log_path || !parts.preview_path) goto done;
    if (!file_exists(parts.config_path)) GO(fail(COVER_ERROR_IO, "%s: not a run folder: there is no %s", run, parts.config_path));
    GO(check_output(context, run, path));
    GO(file_read(context, parts.config_path, SETTINGS_LIMIT, &parts.config_json, &bytes));
    GO(task_report_is_one(&task, (const char *)parts.config_json));
    if (task) {
        status = task_report_run(context, run, (const char *)parts.config_json, parts.log_path, parts.preview_path, path);
        goto done;
    }
    GO(run_folder_objective(&parts.objective, context, run));
    if (parts.objective)
        parts.report.objective = parts.objective->title, parts.report.paper = parts.objective->paper,
        parts.report.figure = parts.objective->figure;
    GO(report_log_read(&parts.report.log, context, parts.log_path));
    GO(report_log_divide(&parts.report.log, context, parts.report.figure));
    GO(take_samples(&parts, run));
    parts.report.run = path_name(run), parts.report.config_json = (const char *)parts.config_json;
    status = report_page_write(context, path, &parts.report);
done:
    free_parts(&parts);
    return status;
}

/* The page is called as the folder is, which "run/" does not say in its last part. */
cover_status cover_report_write(cover_context *context, const char *run, const char *path) {
    if (!context || !run || !path) return fail(COVER_ERROR_ARGUMENT, "cover_report_write: an argument is NULL");
    char *folder = memory_text(context, run);
    if (!folder) return COVER_ERROR_MEMORY;
    for (size_t length = strlen(folder); length > 1 && folder[length - 1] == '/'; length--) folder[length - 1] = 0;
    cover_status status = write_page(context, folder, path);
    memory_free(context, folder);
    return status;
}
