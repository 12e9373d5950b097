/* cover bench: what this machine does. */
#include "command.h"

#include <libcover/bench.h>
#include <libcover/dataset.h>

static int run(struct session *session) {
    static const struct field fields[] = {
        {"part", "part"},
        {"dims", "dimensions"},
        {"size", "size"},
        {"pairs", "pairs"},
        {"precision", "precision"},
        {"threads", "threads"},
        {"seconds", "time, median", UNIT_SECONDS},
        {"seconds_min", "time, least", UNIT_SECONDS},
        {"floor_seconds", "convolutions alone", UNIT_SECONDS},
        {"create_seconds", "preparing, once", UNIT_SECONDS},
        {"flops", "work", UNIT_FLOPS},
        {"peak_bytes", "peak memory", UNIT_BYTES},
        {"ops", "by operation", UNIT_SHARES},
        {0},
    };
    const struct arguments *arguments = &session->arguments;
    if (arguments->option[OPTION_SIZE].count > 1)
        return usage_error(session->verb, "--size %s: give one number, the pixels of each axis",
                           text_of(session, OPTION_SIZE));
    cover_bench_options bench = COVER_BENCH_OPTIONS_INIT;
    if (given(session, OPTION_DIMS)) bench.dims = *text_of(session, OPTION_DIMS) - '0';
    bench.size = arguments->option[OPTION_SIZE].integer[0];
    bench.pairs = arguments->option[OPTION_PAIRS].integer[0];
    bench.part = text_of(session, OPTION_PART);
    bench.precision = cover_config_get(session->config, "precision");
    char *json = NULL;
    cover_status result = cover_bench(session->context, &bench, &json);
    if (result != COVER_OK) return failed(session, result);
    int status = print_result(session, json, fields);
    cover_text_release(session->context, json);
    return status;
}

const struct verb verb_bench = {
    .name = "bench",
    .summary = "times, memory and the share of each operation",
    .operands = "",
    .detail =
        "Times one part of the work on random data, at full widths, heads 4,4,4,1,1, radius 2, exact coordinates: "
        "step (forward, backward, update, without drawing the views), mov (MoV alone, forward and backward), infer "
        "(the U-Net on one image, by all threads) or sevr (drawing one pair of views, on one thread). The floor is "
        "the time of that step's convolutions alone, in the same lanes.",
    .examples = {"cover bench", "cover bench --dims 3 --size 64 --pairs 1 --json"},
    .run = run,
    .options = {{OPTION_PART},
                {OPTION_DIMS, NULL, "image dimensions; 2 when not given"},
                {OPTION_SIZE, "N", "pixels of each axis; 384 in 2D, 64 in 3D when not given"},
                {OPTION_PAIRS, NULL, "view pairs a step; 2 in 2D, 1 in 3D when not given"}},
};
