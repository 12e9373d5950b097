/* The report of a run folder (include/libcover/report.h): gathers settings, log, preview pairs and what the network makes
 * of them; src/report draws the page. */
#include "report/report.h"

#include "api/finetune/task_preview.h"
#include "api/network/matcher.h"
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
    struct report report;
    struct preview preview;
    struct matcher matcher;
    struct report_pair pairs[PREVIEW_PAIRS];
    float *fields[PREVIEW_PAIRS][LEVELS_MAX];
};

static void free_parts(struct parts *parts) {
    cover_context *context = parts->context;
    for (int i = 0; i < PREVIEW_PAIRS * LEVELS_MAX; i++) memory_free(context, parts->fields[i / LEVELS_MAX][i % LEVELS_MAX]);
    report_log_free(&parts->report.log, context);
    preview_free(&parts->preview);
    matcher_close(&parts->matcher);
    memory_free(context, parts->config_json);
    memory_free(context, parts->config_path);
    memory_free(context, parts->log_path);
    memory_free(context, parts->preview_path);
}

/* What the network says of pair k: the field after each level. */
static cover_status predict(struct parts *parts, int k) {
    struct matcher *matcher = &parts->matcher;
    struct report_pair *pair = &parts->pairs[k];
    int64_t values = grid_pixels(&parts->preview.grid) * parts->preview.channels;
    memcpy(matcher->views, parts->preview.pair[k].moving, (size_t)values * sizeof(float));
    memcpy(matcher->views + values, parts->preview.pair[k].fixed, (size_t)values * sizeof(float));
    TRY(matcher_run(matcher));
    *pair = (struct report_pair){.name = parts->preview.pair[k].name,
                                 .grid = parts->preview.grid,
                                 .channels = parts->preview.channels,
                                 .moving = parts->preview.pair[k].moving,
                                 .fixed = parts->preview.pair[k].fixed,
                                 .truth = parts->preview.pair[k].field,
                                 .mask = parts->preview.pair[k].mask};
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
    bool saved;
    TRY(preview_read(&parts->preview, parts->context, parts->preview_path));
    TRY(has_weights(&saved, parts->context, run));
    if (!saved) log_line(parts->context, COVER_LOG_INFO, "%s: nothing is saved yet, so the report has no view pairs", run);
    if (parts->preview.count == 0 || !saved) return COVER_OK;
    TRY(matcher_open(&parts->matcher, parts->context, run));
    if (parts->matcher.settings.network.channels != parts->preview.channels ||
        parts->matcher.settings.network.dims != parts->preview.grid.ndim)
        return fail(COVER_ERROR_MISMATCH, "%s: the weights take %d channels in %dD, preview.safetensors has %d in %dD", run,
                    (int)parts->matcher.settings.network.channels, (int)parts->matcher.settings.network.dims,
                    parts->preview.channels, parts->preview.grid.ndim);
    TRY(matcher_prepare(&parts->matcher, &parts->preview.grid));
    for (int k = 0; k < parts->preview.count; k++) TRY(predict(parts, k));
    parts->report.pair = parts->pairs, parts->report.pairs = parts->preview.count;
    parts->report.coordinates = (enum coordinates)parts->matcher.settings.objective.coordinates;
    return COVER_OK;
}

cover_status cover_report_write(cover_context *context, const char *run, const char *path) {
    if (!context || !run || !path) return fail(COVER_ERROR_ARGUMENT, "cover_report_write: an argument is NULL");
    struct parts parts = {.context = context};
    cover_status status = COVER_ERROR_MEMORY;
    size_t bytes;
    parts.config_path = path_join(context, run, "config.json");
    parts.log_path = path_join(context, run, "log.jsonl");
    parts.preview_path = path_join(context, run, "preview.safetensors");
    if (!parts.config_path || !parts.log_path || !parts.preview_path) goto done;
    GO(file_read(context, parts.config_path, SETTINGS_LIMIT, &parts.config_json, &bytes));
    if (task_report_is_one((const char *)parts.config_json)) {
        status = task_report_run(context, run, (const char *)parts.config_json, parts.log_path, parts.preview_path, path);
        goto done;
    }
    GO(report_log_read(&parts.report.log, context, parts.log_path));
    GO(predict_all(&parts, run));
    parts.report.dataset = parts.preview.dataset;
    parts.report.run = path_name(run), parts.report.config_json = (const char *)parts.config_json;
    status = report_page_write(context, path, &parts.report);
done:
    free_parts(&parts);
    return status;
}
