/* What the head costs over its receptive field, VPA against one large window (include/libcover/analysis.h; paper, 4.3.5).
 *
 * A MoV of radius r at a level of stride s reaches r s pixels, so VPA over its last levels reaches R = r times the sum of their strides: a
 * window of 2 R + 1 pixels an axis.  "Direct" is MoV at full size with that radius.  Both are built as graphs, whose nodes
 * tell their FLOPs; nothing runs. */
#include "core/base/files.h"
#include "core/method/cover.h"
#include "report/plot.h"

#include <libcover/analysis.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

struct row {
    int levels;
    int64_t field, direct_radius;
    double vpa, direct;
};

/* FLOPs of the head from level `first` on, for one pair. */
static cover_status head_flops(double *flops, cover_context *context, const struct settings *settings, int first) {
    struct parameters parameters = {.context = context};
    struct grid full = settings_grid(&settings->views.crop, (int)settings->network.dims);
    struct graph graph;
    const struct levels known = backbone_levels(context, &settings->network);
    int levels[LEVELS_MAX];
    graph_begin(&graph, context, &parameters);
    for (int i = 0; i < known.count; i++) {
        struct grid grid = level_grid(&full, known.at[i].stride);
        levels[i] = graph_input(&graph, "features", 2, &grid, known.at[i].channels);
    }
    vpa_build_from(&graph, first, levels, settings, NULL);
    cover_status status = graph_finish(&graph);
    *flops = 0;
    for (int i = 0; i < graph.node_count && status == COVER_OK; i++) *flops += node_flops(&graph, &graph.nodes[i]);
    graph_free(&graph);
    parameters_free(&parameters);
    return status;
}

struct table {
    int count;
    struct row row[LEVELS_MAX];
};

static cover_status count_rows(struct table *table, cover_context *context, const struct settings *settings) {
    const struct levels known = backbone_levels(context, &settings->network);
    int64_t strides = 0;
    table->count = known.count;
    for (int n = 1; n <= known.count; n++) {
        struct row *row = &table->row[n - 1];
        struct settings direct = *settings;
        row->levels = n, strides += known.at[known.count - n].stride;
        row->direct_radius = direct.objective.radius = settings->objective.radius * strides;
        row->field = 2 * row->direct_radius + 1;
        TRY(head_flops(&row->vpa, context, settings, known.count - n));
        TRY(head_flops(&row->direct, context, &direct, known.count - 1));
    }
    return COVER_OK;
}

static cover_status write_json(char **json, cover_context *context, const struct table *table, const struct settings *settings) {
    struct text text = {.context = context};
    struct grid grid = settings_grid(&settings->views.crop, (int)settings->network.dims);
    text_add(&text, "{\"dims\": %d, \"size\": [%lld, %lld, %lld], \"radius\": %lld, \"rows\": [", (int)settings->network.dims,
             (long long)grid.size[0], (long long)grid.size[1], (long long)grid.size[2], (long long)settings->objective.radius);
    const struct row *rows = table->row;
    for (int i = 0; i < table->count; i++)
        text_add(&text,
                 "%s{\"levels\": %d, \"field\": %lld, \"vpa_flops\": %.0f, \"direct_radius\": %lld, \"direct_flops\": %.0f, "
                 "\"ratio\": %.6g}",
                 i ? ", " : "", rows[i].levels, (long long)rows[i].field, rows[i].vpa, (long long)rows[i].direct_radius,
                 rows[i].direct, rows[i].direct / rows[i].vpa);
    text_add(&text, "]}");
    cover_status status = text_take(&text, json);
    text_free(&text);
    return status;
}

static void add_page(struct text *page, const struct table *table) {
    double field[LEVELS_MAX], vpa[LEVELS_MAX], direct[LEVELS_MAX];
    const struct row *rows = table->row;
    char lead[160];
    for (int i = 0; i < table->count; i++)
        field[i] = (double)rows[i].field, vpa[i] = rows[i].vpa / 1e9, direct[i] = rows[i].direct / 1e9;
    snprintf(lead, sizeof lead,
             "Work of the head for one pair of images: VPA over its last 1 to %d levels, and one window at full size that "
             "sees as far.",
             table->count);
    plot_page_begin(page, "The cost of the receptive field", lead);
    plot_add(
        page,
        &(struct plot){.title = "GFLOP a pair, logarithmic", .x_label = "receptive field, pixels an axis", .logarithmic = true},
        (struct plot_series[]){{"VPA", table->count, field, vpa}, {"Direct", table->count, field, direct}}, 2);
    plot_page_end(page);
}

static void add_csv(struct text *csv, const struct table *table) {
    text_add(csv, "levels,field,vpa_flops,direct_radius,direct_flops\n");
    const struct row *rows = table->row;
    for (int i = 0; i < table->count; i++)
        text_add(csv, "%d,%lld,%.0f,%lld,%.0f\n", rows[i].levels, (long long)rows[i].field, rows[i].vpa,
                 (long long)rows[i].direct_radius, rows[i].direct);
}

static cover_status write_file(cover_context *context, const char *path, const struct table *table) {
    struct text text = {.context = context};
    char *data = NULL;
    if (has_suffix(path, ".html")) add_page(&text, table);
    else add_csv(&text, table);
    cover_status status = text_take(&text, &data);
    if (status == COVER_OK) status = file_replace(context, path, data, strlen(data));
    memory_free(context, data);
    text_free(&text);
    return status;
}

cover_status cover_analysis_flops(char **json, cover_context *context, const cover_config *config, const char *path) {
    if (!context || !config || !json) return fail(COVER_ERROR_ARGUMENT, "cover_analysis_flops: an argument is NULL");
    struct table table;
    if (path && !has_suffix(path, ".html") && !has_suffix(path, ".csv"))
        return fail(COVER_ERROR_ARGUMENT, "%s: give a name that ends in .html or .csv", path);
    TRY(cover_config_validate(config));
    TRY(config_expect(config, false));
    const struct settings *settings = config_settings(config);
    TRY(count_rows(&table, context, settings));
    if (path) TRY(write_file(context, path, &table));
    return write_json(json, context, &table, settings);
}
