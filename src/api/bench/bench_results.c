/* What was measured, as structs and as JSON of the same figures (include/libcover/bench.h).  Called by the command's bench and by
 * programs. */
#include "bench_parts.h"

cover_status cover_bench_get_info(cover_bench_info *info, const cover_bench *bench) {
    if (!info || !bench) return fail(COVER_ERROR_ARGUMENT, "cover_bench_get_info: an argument is NULL");
    const struct bench_figures *f = &bench->figures;
    const cover_bench_info known = {
        .part = f->part,
        .precision = f->precision,
        .dims = f->dims,
        .size = f->size,
        .pairs = f->pairs,
        .threads = f->threads,
        .lanes = f->lanes,
        .team = f->team,
        .rounds = f->rounds,
        .round_seconds = bench->seconds,
        .seconds = f->seconds,
        .seconds_min = f->seconds_min,
        .floor_seconds = f->floor_seconds,
        .create_seconds = f->create_seconds,
        .update_seconds = f->update_seconds,
        .flops = f->flops,
        .peak_bytes = f->peak_bytes,
        .operations = f->op_count,
        .layers = f->layer_rows ? f->layer_count : 0,
        .operations_seconds = f->ops_seconds,
        .operations_floor_seconds = f->ops_floor_seconds,
        .one_thread = {f->peak.one.f32, f->peak.one.bf16, f->peak.one.bytes},
        .all_threads = {f->peak.all.f32, f->peak.all.bf16, f->peak.all.bytes},
    };
    report_write(info, &known, sizeof known);
    return COVER_OK;
}

static cover_status row_at(cover_bench_row *given, const struct bench_row *rows, int count, int index, const char *what) {
    if (index < 0 || index >= count) return fail(COVER_ERROR_ARGUMENT, "%s %d: there are %d", what, index, count);
    const struct bench_row *row = &rows[index];
    const cover_bench_row known = {.op = row->op,
                                   .layer = row->layer,
                                   .size = row->size,
                                   .count = row->count,
                                   .seconds = row->seconds,
                                   .flops = row->flops,
                                   .bytes = row->bytes,
                                   .floor_seconds = row->floor_seconds,
                                   .memory_bound = row->memory_bound,
                                   .bf16 = row->bf16};
    report_write(given, &known, sizeof known);
    return COVER_OK;
}

cover_status cover_bench_operation_at(cover_bench_row *row, const cover_bench *bench, int index) {
    if (!row || !bench) return fail(COVER_ERROR_ARGUMENT, "cover_bench_operation_at: an argument is NULL");
    return row_at(row, bench->figures.ops, bench->figures.op_count, index, "operation");
}

cover_status cover_bench_layer_at(cover_bench_row *row, const cover_bench *bench, int index) {
    if (!row || !bench) return fail(COVER_ERROR_ARGUMENT, "cover_bench_layer_at: an argument is NULL");
    return row_at(row, bench->figures.layers, bench->figures.layer_rows ? bench->figures.layer_count : 0, index, "layer");
}

/* ---- JSON */

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

static void add_rates(struct text *text, const char *name, const struct peak_rates *rates) {
    text_add(text, "\"%s\": {\"fp32_flops_per_s\": %.6g, \"bf16_flops_per_s\": %.6g, \"bytes_per_s\": %.6g}", name, rates->f32,
             rates->bf16, rates->bytes);
}

static void add_rows(struct text *text, const char *name, const struct bench_figures *figures, const struct bench_row *rows,
                     int count) {
    text_add(text, ", \"%s\": [", name);
    for (int i = 0; i < count; i++) {
        const struct bench_row *row = &rows[i];
        text_add(text, "%s\n {\"op\": \"%s\", ", i ? "," : "", row->op);
        if (row->layer[0]) {
            text_add(text, "\"layer\": ");
            text_add_json(text, row->layer);
            text_add(text, ", \"size\": \"%s\", ", row->size);
        } else text_add(text, "\"count\": %d, ", row->count);
        text_add(text, "\"seconds\": %.6g, \"share\": %.4g, \"flops\": %.6g, \"bytes\": %.6g, ", row->seconds,
                 ratio(row->seconds, figures->ops_seconds), row->flops, row->bytes);
        text_add(text, "\"flops_per_s\": %.6g, \"bytes_per_s\": %.6g, \"floor_seconds\": %.6g, \"distance\": %.4g, ",
                 ratio(row->flops, row->seconds), ratio(row->bytes, row->seconds), row->floor_seconds,
                 ratio(row->seconds, row->floor_seconds));
        text_add(text, "\"bound\": \"%s\", \"products\": \"%s\"}", row->memory_bound ? "memory" : "arithmetic",
                 row->flops > 0 ? row->bf16 ? "bf16" : "fp32" : "none");
    }
    text_add(text, "]");
}

cover_status cover_bench_json(char **json, const cover_bench *bench) {
    if (!json || !bench) return fail(COVER_ERROR_ARGUMENT, "cover_bench_json: an argument is NULL");
    const struct bench_figures *f = &bench->figures;
    struct text text = {.context = bench->context};
    text_add(&text, "{\"part\": \"%s\", \"dims\": %d, \"size\": %lld, \"pairs\": %lld, \"precision\": \"%s\", \"threads\": %d, ",
             f->part, f->dims, (long long)f->size, (long long)f->pairs, f->precision, f->threads);
    text_add(&text, "\"lanes\": %d, \"team\": %d, \"rounds\": %d, \"seconds\": %.6g, \"seconds_min\": %.6g, ", f->lanes, f->team,
             f->rounds, f->seconds, f->seconds_min);
    text_add(&text, "\"peak_bytes\": %llu, \"flops\": %.6g, \"floor_seconds\": %.6g, \"ratio\": %.4g, ",
             (unsigned long long)f->peak_bytes, f->flops, f->floor_seconds, ratio(f->seconds, f->floor_seconds));
    text_add(&text, "\"create_seconds\": %.6g, \"update_seconds\": %.6g, \"ops\": {", f->create_seconds, f->update_seconds);
    for (int i = 0; i < f->op_count; i++) text_add(&text, "%s\"%s\": %.6g", i ? ", " : "", f->ops[i].op, f->ops[i].seconds);
    text_add(&text, "}");
    if (f->op_count) {
        text_add(&text, ", \"ops_seconds\": %.6g, \"ops_floor_seconds\": %.6g, \"peak\": {", f->ops_seconds, f->ops_floor_seconds);
        add_rates(&text, "one_thread", &f->peak.one);
        text_add(&text, ", ");
        add_rates(&text, "all_threads", &f->peak.all);
        text_add(&text, "}");
        add_rows(&text, "operations", f, f->ops, f->op_count);
    }
    if (f->layer_rows) add_rows(&text, "layers", f, f->layers, f->layer_count);
    text_add(&text, "}");
    return text_take(&text, json);
}
