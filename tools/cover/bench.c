/* cover bench: what this machine does, and how far each operation is from what it could do. */
#include "command.h"
#include "json_text.h"

#include <libcover/bench.h>
#include <libcover/dataset.h>

#include <string.h>

static double number(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

/* A rate in G, or nothing where there is none. */
static void print_rate(double value) {
    if (value > 0) printf(" %8.1f", value / 1e9);
    else printf(" %8s", "");
}

static void print_row(const json_t *row, bool layer) {
    double seconds = number(row, "seconds");
    printf("  %-22s", json_string_value(json_object_get(row, "op")));
    if (!layer) printf(" %5.0f", number(row, "count"));
    printf(" %10.3f %6.1f", 1e3 * seconds, 100 * number(row, "share"));
    print_rate(number(row, "flops_per_s"));
    print_rate(number(row, "bytes_per_s"));
    printf(" %10.3f %7.1f  %s", 1e3 * number(row, "floor_seconds"), number(row, "distance"),
           json_string_value(json_object_get(row, "bound")));
    if (layer)
        printf("%*s  %s (%s)", (int)(10 - json_string_length(json_object_get(row, "bound"))), "",
               json_string_value(json_object_get(row, "layer")), json_string_value(json_object_get(row, "size")));
    putchar('\n');
}

static void print_rates(const json_t *peak, const char *key, const char *label) {
    const json_t *rates = json_object_get(peak, key);
    printf("%s fp32 %.0f GFLOP/s, ", label, number(rates, "fp32_flops_per_s") / 1e9);
    if (number(rates, "bf16_flops_per_s") > 0) printf("bf16 %.0f GFLOP/s, ", number(rates, "bf16_flops_per_s") / 1e9);
    printf("memory %.1f GB/s\n", number(rates, "bytes_per_s") / 1e9);
}

static void print_rows(const json_t *rows, bool layers) {
    size_t index;
    json_t *row;
    printf("\n  %-22s%s %10s %6s %8s %8s %10s %7s  %s%s\n", "operation", layers ? "" : "     n", "ms", "%", "GFLOP/s", "GB/s",
           "floor ms", "x floor", layers ? "bound by  " : "bound by", layers ? "  layer" : "");
    json_array_foreach(rows, index, row) print_row(row, layers);
}

static void print_tables(const char *json) {
    json_t *result = json_of(json, NULL);
    const json_t *peak = json_object_get(result, "peak");
    if (peak) {
        const json_t *layers = json_object_get(result, "layers");
        printf("\n");
        print_rates(peak, "one_thread", "peak, one thread: ");
        print_rates(peak, "all_threads", "peak, all threads:");
        printf("\none pair on one thread; floor: the larger of FLOPs at peak rate and bytes at the memory's rate\n");
        print_rows(json_object_get(result, "operations"), false);
        printf("  %-22s %5s %10.3f %6s %8s %8s %10.3f %7.1f\n", "sum", "", 1e3 * number(result, "ops_seconds"), "", "", "",
               1e3 * number(result, "ops_floor_seconds"), number(result, "ops_seconds") / number(result, "ops_floor_seconds"));
        if (json_array_size(layers)) print_rows(layers, true);
    }
    json_decref(result);
}

static int run(struct session *session) {
    static const struct field fields[] = {
        {"part", "part"},
        {"dims", "dimensions"},
        {"size", "size"},
        {"pairs", "pairs"},
        {"precision", "precision"},
        {"threads", "threads"},
        {"lanes", "lanes"},
        {"rounds", "rounds"},
        {"seconds", "time, median", UNIT_SECONDS},
        {"seconds_min", "time, least", UNIT_SECONDS},
        {"floor_seconds", "convolutions alone", UNIT_SECONDS},
        {"update_seconds", "update", UNIT_SECONDS},
        {"create_seconds", "preparing, once", UNIT_SECONDS},
        {"flops", "work", UNIT_FLOPS},
        {"peak_bytes", "peak memory", UNIT_BYTES},
        {0},
    };
    const struct arguments *arguments = &session->arguments;
    if (arguments->option[OPTION_SIZE].count > 1)
        return usage_error(session->verb, "--size %s: give one number, the pixels of each axis", text_of(session, OPTION_SIZE));
    cover_bench_options bench = COVER_BENCH_OPTIONS_INIT;
    if (given(session, OPTION_DIMS)) bench.dims = *text_of(session, OPTION_DIMS) - '0';
    bench.size = arguments->option[OPTION_SIZE].integer[0];
    bench.pairs = arguments->option[OPTION_PAIRS].integer[0];
    bench.part = text_of(session, OPTION_PART);
    bench.precision = cover_config_get(session->config, "precision");
    if (strcmp(cover_config_get(session->config, "objective"), "cover") != 0)
        bench.objective = cover_config_get(session->config, "objective");
    bench.rounds = (int)arguments->option[OPTION_ROUNDS].integer[0];
    bench.brief = given(session, OPTION_BRIEF);
    bench.layers = given(session, OPTION_LAYERS);
    bench.html = text_of(session, OPTION_HTML);
    char *json = NULL;
    cover_bench *measured = NULL;
    cover_status result = cover_bench_run(&measured, session->context, &bench);
    if (result == COVER_OK) result = cover_bench_json(&json, measured);
    cover_bench_destroy(measured);
    if (result != COVER_OK) return failed(session, result);
    int status = print_result(session, json, fields);
    if (status == EXIT_OK && !given(session, OPTION_JSON)) print_tables(json);
    cover_text_release(session->context, json);
    return status;
}

const struct verb verb_bench = {
    .name = "bench",
    .summary = "times and memory; each operation against what this machine could do",
    .operands = "",
    .detail = "Times one part of the work on random data, at full widths, heads 4,4,4,1,1, radius 2, exact coordinates: "
              "step (forward, backward, update, without drawing the views), mov (MoV alone, forward and backward), infer "
              "(the U-Net on one image, by all threads) or sevr (drawing one pair of views, on one thread). Then each "
              "operation of it, for one pair on one thread, beside its floor: its FLOPs at the processor's peak rate or its "
              "bytes (every input read once, every output written once) at the memory's, whichever takes longer; both "
              "rates are measured here and now. Convolutions count as direct ones, so a faster algorithm may lie below.",
    .examples = {"cover bench", "cover bench --objective simclr --pairs 8", "cover bench --html bench.html",
                 "cover bench --part infer --layers"},
    .run = run,
    .options = {{OPTION_PART},
                {OPTION_DIMS, NULL, "image dimensions; 2 when not given"},
                {OPTION_SIZE, "N", "pixels of each axis; 384 in 2D, 64 in 3D when not given"},
                {OPTION_OBJECTIVE, NULL, "step of this objective, with the method's own settings; cover when not given"},
                {OPTION_PAIRS, NULL, "view pairs a step; 2 in 2D, 1 in 3D when not given"},
                {OPTION_ROUNDS},
                {OPTION_BRIEF},
                {OPTION_LAYERS},
                {OPTION_HTML}},
};
